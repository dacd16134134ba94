import { join } from 'node:path'
import { dispose, io } from '@tensorflow/tfjs-core'
import { type LayersModel, loadLayersModel } from '@tensorflow/tfjs-layers'
import { replaceFile } from '../cache/files.js'
import { DecantError } from '../errors.js'
import { readInput } from '../input-file.js'
import { version } from '../version.js'
import { artifactsOf, checkSaved } from './check-saved.js'
import type { Dataset } from './dataset.js'
import { exportStudent, preprocessOf } from './export-student.js'
import { type Provenance, readJson, SUMMARY } from './folder.js'
import { variablesOf } from './program.js'
import type { Summary } from './summary.js'
import { assignVariables } from './tensors.js'

type Saved = Omit<Summary, 'provenance'> & { provenance: Provenance; model: LayersModel }

/**
 * Writes a student's folder: model.json and weights.bin (a tfjs layers model), student.onnx, preprocess.json (what comes before the
 * ONNX model), metrics.json, and at last student.json, whose presence says that the student is whole.
 */
export async function saveStudent(dir: string, student: Saved, dataset: Dataset): Promise<void> {
  const { model, provenance, parameters, history, seconds, metrics, measuredOn } = student
  const { classes, names, input } = dataset
  const onnx = exportStudent(model, dataset, provenance)
  const artifacts = await artifactsOf(model)
  await checkSaved(model, { onnx, artifacts }, dataset)
  const write = (file: string, value: unknown) => replaceFile(join(dir, file), `${JSON.stringify(value, null, 2)}\n`)
  const { modelTopology, weightSpecs, weightData } = artifacts
  await replaceFile(join(dir, 'weights.bin'), new Uint8Array(io.CompositeArrayBuffer.join(weightData)))
  await write('model.json', {
    format: 'layers-model',
    generatedBy: `decant ${version}`,
    convertedBy: null,
    modelTopology,
    weightsManifest: [{ paths: ['weights.bin'], weights: weightSpecs }],
  })
  await replaceFile(join(dir, 'student.onnx'), onnx)
  await write('preprocess.json', preprocessOf(dataset))
  await write('metrics.json', { measuredOn, metrics, history })
  await write(SUMMARY, {
    format: 'decant-student',
    version: 1,
    provenance,
    classes,
    names,
    input,
    parameters,
    seconds,
  })
}

/** The tfjs model of a student's folder. @throws DecantError where a layer of the student's own module is not registered with tfjs */
export async function loadStudent(dir: string): Promise<LayersModel> {
  try {
    return await loadLayersModel(io.fromMemory(await readArtifacts(dir)))
  } catch (error) {
    const [, layer] = /^Unknown layer: (\S+)\./.exec((error as Error).message) ?? []
    if (layer === undefined) throw error
    throw new DecantError(
      `${join(dir, 'model.json')}: ${layer} is no layer of tfjs: register it before, tf.serialization.registerClass(${layer}), as the module of the student can`,
    )
  }
}

/** Gives a model, made as the student of a folder was, that student's weights: they lie in its order. @throws FormatError */
export async function restoreWeights(model: LayersModel, dir: string): Promise<void> {
  const { weightData, weightSpecs } = await readArtifacts(dir)
  const weights = Object.entries(io.decodeWeights(io.CompositeArrayBuffer.join(weightData), weightSpecs!))
  const tensors = weights.map(([, tensor], i) => ({
    ...{ name: `model/${i}`, shape: tensor.shape, values: tensor.dataSync() as Float32Array },
  }))
  assignVariables(variablesOf(model.weights), 'model', tensors)
  dispose(weights.map(([, tensor]) => tensor))
}

/** They are read at once, which takes less than 2 GiB. */
const MAX_WEIGHTS_BYTES = 2 ** 31 - 1

async function readArtifacts(dir: string): Promise<io.ModelArtifacts> {
  const description = (await readJson(join(dir, 'model.json'))) as io.ModelJSON
  const weights = await readInput(join(dir, 'weights.bin'), MAX_WEIGHTS_BYTES)
  return io.getModelArtifactsForJSON(description, async (manifest) => [
    manifest.flatMap((group) => group.weights),
    new Uint8Array(weights).buffer,
  ])
}
