import type * as tf from '@tensorflow/tfjs-core'
import type { LayersModel } from '@tensorflow/tfjs-layers'
import type { ModelProto } from 'onnx-buf'
import { exportInference } from '../engine/onnx/export-inference.js'
import { encodeModel } from '../onnx/index.js'
import type { Preprocess } from '../source/index.js'
import type { Dataset } from './dataset.js'
import type { Provenance } from './folder.js'
import { type Domain, inputNames, inputTypes, prepareInput } from './inputs.js'

/**
 * A student as an ONNX model: `input` float32 [batch, H, W, C], normalised as preprocess.json says, or `features` float32, or `tokens`
 * int32 with -1 = padding, [batch, ...shape]; to `logits` float32 [batch, classes].
 * Its metadata say what it was made from, so that it can be a teacher at once, and nothing of when: the same training gives the same bytes.
 * @throws DecantError where a layer has no form for any number of rows
 */
export function exportStudent(
  model: LayersModel,
  dataset: Dataset,
  provenance: Pick<Provenance, 'teacher' | 'content' | 'config'>,
): Uint8Array {
  const { names } = dataset
  const proto = exportInference(model, {
    ...inputOf(dataset),
    outputName: 'logits',
    metadata: {
      ...(names && { classes: JSON.stringify(names) }),
      preprocess: JSON.stringify(preprocessOf(dataset)),
      teacher: provenance.teacher,
      ...(provenance.content !== undefined && { content: provenance.content }),
      lineage: JSON.stringify({ ...dataset.lineage, manifest: undefined }),
      student: JSON.stringify(provenance.config),
    },
  })
  nameWeights(proto, model)
  return encodeModel(proto)
}

/** Images come normalised, as ONNX models of images take them; the rest as it lies in a dataset. */
export function inputOf({ input, normalisation }: Domain) {
  if (input.kind === 'image') return { inputName: 'input' }
  return {
    inputName: inputNames[input.kind],
    inputType: inputTypes[input.kind],
    prepare: (x: tf.Tensor) => prepareInput(x, { input, normalisation }),
  }
}

/** What comes before a student's ONNX model. */
export function preprocessOf({ input, preprocess }: Pick<Dataset, 'input' | 'preprocess'>): Preprocess {
  return input.kind === 'image' ? { ...preprocess, layout: 'NHWC' } : preprocess
}

/** Weights under the names of the layers: tfjs numbers its variables by how many there were in the process (`dense1/kernel_4`). */
function nameWeights({ graph }: ModelProto, model: LayersModel): void {
  const names = new Map(model.weights.map(({ name, originalName }) => [name, originalName]))
  if (!graph || new Set(names.values()).size < names.size) return
  const rename = (name: string) => names.get(name) ?? name
  for (const initializer of graph.initializer) initializer.name = rename(initializer.name)
  for (const node of graph.node) node.input = node.input.map(rename)
}
