import * as tf from '@tensorflow/tfjs-core'
import { type LayersModel, loadLayersModel } from '@tensorflow/tfjs-layers'
import * as ort from 'onnxruntime-node'
import { useBackend } from '../engine/eager.js'
import { DecantError } from '../errors.js'
import type { Dataset } from './dataset.js'
import { exportStudent, inputOf } from './export-student.js'
import type { Provenance } from './folder.js'
import { everyLayer } from './inner-layers.js'
import { allocateInputs, createGather, inputTypes, prepareInput } from './inputs.js'

/** Rows that a student is compared on as it is saved, and how far logits may be off, relative to the largest. */
const CHECKED = 16
const TOLERANCE = 1e-5

/** A student as tfjs saves it: what is in model.json and weights.bin. */
export type Artifacts = tf.io.ModelArtifacts

export async function artifactsOf(model: LayersModel): Promise<Artifacts> {
  let artifacts: Artifacts = {}
  await model.save(
    tf.io.withSaveHandler(async (given) => {
      artifacts = given
      return { modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: 'JSON' } }
    }),
  )
  return artifacts
}

/**
 * @throws DecantError where ONNX Runtime does not compute what tfjs does of the model, or tfjs what it does of the model once it is loaded again
 */
export async function checkSaved(
  model: LayersModel,
  saved: { onnx: Uint8Array; artifacts: Artifacts },
  dataset: Dataset,
) {
  const rows = takeRows(dataset, CHECKED)
  const [found, expected] = [await runOnnx(saved.onnx, rows), await predict(model, rows)]
  refuse('student.onnx', "tfjs's", deviation(found, expected))
  const loaded = await reload(model, saved.artifacts)
  if (loaded instanceof Error) return
  const again = await predict(loaded, rows)
  loaded.dispose()
  refuse('model.json, once loaded', "student.onnx's", deviation(again, found))
}

/**
 * What would keep a student from being saved is known before its first step, not after its last epoch: the student is exported, run on a
 * row, and loaded again.
 * @returns why model.json could not be loaded again, if so
 * @throws DecantError as {@link checkSaved}
 */
export async function checkSavable(
  model: LayersModel,
  dataset: Dataset,
  provenance: Provenance,
): Promise<string | undefined> {
  const rows = takeRows(dataset, 1)
  const expected = await predict(model, rows)
  refuse('student.onnx', "tfjs's", deviation(await runOnnx(exportStudent(model, dataset, provenance), rows), expected))
  const loaded = await reload(model, await artifactsOf(model))
  if (loaded instanceof Error) return loaded.message.split('\n')[0]!
  // Loading projects weights that have a constraint, as the first step will.
  if (!model.weights.some(({ constraint }) => constraint))
    refuse('model.json, once loaded', "the student's", deviation(await predict(loaded, rows), expected))
  loaded.dispose()
  return undefined
}

function refuse(file: string, whose: string, off: number): void {
  if (off <= TOLERANCE) return
  throw new DecantError(
    `${file}: its logits are off by ${off.toExponential(1)} relative to ${whose}, expected at most ${TOLERANCE}`,
  )
}

/** Loads a model as one does who has registered its own layers with tfjs. The error where tfjs cannot. */
async function reload(model: LayersModel, artifacts: Artifacts): Promise<LayersModel | Error> {
  const known = tf.serialization.SerializationMap.getMap().classNameMap
  const classes = new Set(everyLayer(model).map((layer) => layer.constructor as unknown as { className: string }))
  const own = [...classes].filter(({ className }) => !known[className])
  for (const each of own) tf.serialization.registerClass(each as never)
  try {
    return await loadLayersModel(tf.io.fromMemory(artifacts))
  } catch (error) {
    return error as Error
  } finally {
    for (const { className } of own) delete known[className]
  }
}

interface Rows {
  dataset: Dataset
  /** As they lie in the dataset, [rows, ...shape]. */
  given: ReturnType<typeof allocateInputs>
  shape: number[]
}

function takeRows(dataset: Dataset, most: number): Rows {
  const rows = Uint32Array.from({ length: Math.min(most, dataset.rows) }, (_, i) => i)
  const given = allocateInputs(dataset.input, rows.length)
  createGather(dataset)(rows, given)
  return { dataset, given, shape: [rows.length, ...dataset.input.shape] }
}

/** What the model takes. */
function prepare({ dataset, given, shape }: Rows): tf.Tensor {
  const type = inputTypes[dataset.input.kind]
  return prepareInput(tf.tensor(given, shape, type === 'uint8' ? 'int32' : type), dataset)
}

async function predict(model: LayersModel, rows: Rows): Promise<Float32Array> {
  await useBackend('cpu') // which has every kernel
  return tf.tidy(() => (model.apply(prepare(rows), { training: false }) as tf.Tensor).dataSync<'float32'>())
}

async function runOnnx(onnx: Uint8Array, rows: Rows): Promise<Float32Array> {
  const { dataset, given, shape } = rows
  const type = inputTypes[dataset.input.kind]
  const fed =
    type === 'uint8'
      ? new ort.Tensor(
          'float32',
          tf.tidy(() => prepare(rows).dataSync<'float32'>()),
          shape,
        )
      : new ort.Tensor(type, given as Float32Array, shape)
  const session = await ort.InferenceSession.create(onnx, { intraOpNumThreads: 1, logSeverityLevel: 3 })
  try {
    const { logits } = await session.run({ [inputOf(dataset).inputName]: fed })
    return logits!.data as Float32Array
  } finally {
    await session.release()
  }
}

/** max |found - expected| / max(1, max |expected|); NaN where one of the two is no number. */
function deviation(found: Float32Array, expected: Float32Array): number {
  let [off, most] = [0, 1]
  for (let i = 0; i < expected.length; i++) {
    if (Object.is(found[i], expected[i])) continue
    off = Math.max(off, Math.abs(found[i]! - expected[i]!))
    most = Math.max(most, Math.abs(expected[i]!))
  }
  return off / most
}
