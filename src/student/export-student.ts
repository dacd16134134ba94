import * as tf from '@tensorflow/tfjs-core'
import type { LayersModel } from '@tensorflow/tfjs-layers'
import type { ModelProto } from 'onnx-buf'
import * as ort from 'onnxruntime-node'
import { exportInference } from '../engine/onnx/export-inference.js'
import { DecantError } from '../errors.js'
import { encodeModel } from '../onnx/index.js'
import type { Dataset } from './dataset.js'
import type { Provenance } from './folder.js'
import { normalise } from './program.js'

/** Rows that the exported student is checked on, and how far its logits may be off, relative to the largest. */
const CHECKED = 16
const TOLERANCE = 1e-5

/**
 * A student as an ONNX model: `input` float32 [batch, H, W, C], normalised as preprocess.json says, to `logits` float32 [batch, classes].
 * Its metadata say what it was made from, so that it can be a teacher at once.
 * @throws DecantError where ONNX Runtime does not compute what tfjs does
 */
export async function exportStudent(model: LayersModel, dataset: Dataset, provenance: Provenance): Promise<Uint8Array> {
  const { names, preprocess } = dataset
  const proto = exportInference(model, {
    outputName: 'logits',
    metadata: {
      ...(names && { classes: JSON.stringify(names) }),
      preprocess: JSON.stringify({ ...preprocess, layout: 'NHWC' }),
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
  const rows = Math.min(CHECKED, dataset.rows)
  const shape = [rows, ...dataset.shape]
  const pixels = dataset.pixels.slice(
    0,
    shape.reduce((a, b) => a * b),
  )
  const [input, expected] = tf.tidy(() => {
    const x = normalise(tf.tensor(pixels, shape, 'int32'), dataset)
    return [x.dataSync<'float32'>(), (model.apply(x, { training: false }) as tf.Tensor).dataSync<'float32'>()]
  })
  const session = await ort.InferenceSession.create(onnx, { intraOpNumThreads: 1, logSeverityLevel: 3 })
  try {
    const { logits } = await session.run({ input: new ort.Tensor('float32', Float32Array.from(input), shape) })
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
