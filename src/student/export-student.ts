import * as tf from '@tensorflow/tfjs-core'
import type { LayersModel } from '@tensorflow/tfjs-layers'
import type { ModelProto } from 'onnx-buf'
import * as ort from 'onnxruntime-node'
import { exportInference } from '../engine/onnx/export-inference.js'
import { DecantError } from '../errors.js'
import { encodeModel } from '../onnx/index.js'
import type { Preprocess } from '../source/index.js'
import type { Dataset } from './dataset.js'
import type { Provenance } from './folder.js'
import { allocateInputs, createGather, type Domain, inputNames, inputTypes, prepareInput } from './inputs.js'

/** Rows that the exported student is checked on, and how far its logits may be off, relative to the largest. */
const CHECKED = 16
const TOLERANCE = 1e-5

/**
 * A student as an ONNX model: `input` float32 [batch, H, W, C], normalised as preprocess.json says, or `features` float32, or `tokens`
 * int32 with -1 = padding, [batch, ...shape]; to `logits` float32 [batch, classes].
 * Its metadata say what it was made from, so that it can be a teacher at once.
 * @throws DecantError where ONNX Runtime does not compute what tfjs does
 */
export async function exportStudent(model: LayersModel, dataset: Dataset, provenance: Provenance): Promise<Uint8Array> {
  const { names } = dataset
  const proto = exportInference(model, {
    ...inputOf(dataset),
    outputName: 'logits',
    metadata: {
      ...(names && { classes: JSON.stringify(names) }),
      preprocess: JSON.stringify(preprocessOf(dataset)),
      teacher: provenance.teacher,
      manifest: provenance.manifest,
      lineage: JSON.stringify(dataset.lineage),
      student: JSON.stringify(provenance.config),
    },
  })
  nameWeights(proto, model)
  const bytes = encodeModel(proto)
  const off = await deviation(model, bytes, dataset)
  if (!(off <= TOLERANCE)) {
    throw new DecantError(
      `student.onnx: its logits are off by ${off.toExponential(1)} relative to tfjs's, expected at most ${TOLERANCE}`,
    )
  }
  return bytes
}

/** Images come normalised, as ONNX models of images take them; the rest as it lies in a dataset. */
function inputOf({ input, normalisation }: Domain) {
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

/** max |onnx - tfjs| / max(1, max |tfjs|) over the logits of the dataset's first rows. */
async function deviation(model: LayersModel, onnx: Uint8Array, dataset: Dataset): Promise<number> {
  const rows = Uint32Array.from({ length: Math.min(CHECKED, dataset.rows) }, (_, i) => i)
  const { input } = dataset
  const [type, shape] = [inputTypes[input.kind], [rows.length, ...input.shape]]
  const given = allocateInputs(input, rows.length)
  createGather(dataset)(rows, given)
  const [prepared, expected] = tf.tidy(() => {
    const x = prepareInput(tf.tensor(given, shape, type === 'uint8' ? 'int32' : type), dataset)
    return [x.dataSync(), (model.apply(x, { training: false }) as tf.Tensor).dataSync<'float32'>()]
  })
  const fed =
    type === 'uint8'
      ? new ort.Tensor('float32', Float32Array.from(prepared), shape)
      : new ort.Tensor(type, given as Float32Array, shape)
  const session = await ort.InferenceSession.create(onnx, { intraOpNumThreads: 1, logSeverityLevel: 3 })
  try {
    const { logits } = await session.run({ [inputOf(dataset).inputName]: fed })
    const found = logits!.data as Float32Array
    let [off, most] = [0, 1]
    for (let i = 0; i < expected.length; i++) {
      off = Math.max(off, Math.abs(found[i]! - expected[i]!))
      most = Math.max(most, Math.abs(expected[i]!))
    }
    return off / most
  } finally {
    await session.release()
  }
}
