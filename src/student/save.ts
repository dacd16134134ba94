import { join } from 'node:path'
import { dispose, io } from '@tensorflow/tfjs-core'
import { type LayersModel, loadLayersModel } from '@tensorflow/tfjs-layers'
import { z } from 'zod'
import { replaceFile } from '../cache/files.js'
import { validate } from '../cache/manifest.js'
import { DecantError, FormatError } from '../errors.js'
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

/** The tfjs model of a student's folder. @throws DecantError where a layer of the student's own module is not registered with tfjs; FormatError */
export async function loadStudent(dir: string): Promise<LayersModel> {
  const artifacts = await readArtifacts(dir)
  const path = join(dir, 'model.json')
  try {
    return await loadLayersModel(io.fromMemory(artifacts))
  } catch (error) {
    const [message] = (error as Error).message.split('\n')
    const [, layer] = /^Unknown layer: (\S+)\./.exec(message!) ?? []
    if (layer === undefined) throw new FormatError(`${path}: tfjs cannot load it: ${message}`, { cause: error })
    throw new DecantError(
      `${path}: ${layer} is no layer of tfjs: register it before, tf.serialization.registerClass(${layer}), as the module of the student can`,
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
  try {
    assignVariables(variablesOf(model.weights), 'model', tensors)
  } catch (error) {
    throw new FormatError(`${join(dir, 'model.json')}: ${(error as Error).message}`)
  }
  dispose(weights.map(([, tensor]) => tensor))
}

const BYTES = { float32: 4, int32: 4, bool: 1 }
/** Of model.json what says where the weights are; the layers are for tfjs to understand. */
const modelFile = z.object({
  modelTopology: z.record(z.string(), z.unknown()),
  weightsManifest: z.array(
    z.object({
      weights: z.array(
        z.object({ name: z.string(), shape: z.array(z.int().min(0)), dtype: z.enum(['float32', 'int32', 'bool']) }),
      ),
    }),
  ),
})
/** They are read at once, which takes less than 2 GiB. */
const MAX_WEIGHTS_BYTES = 2 ** 31 - 1

async function readArtifacts(dir: string): Promise<io.ModelArtifacts> {
  const [path, data] = [join(dir, 'model.json'), join(dir, 'weights.bin')]
  const description = (await readJson(path)) as io.ModelJSON
  const { weightsManifest } = validate(modelFile, description, path)
  const weights = await readInput(data, MAX_WEIGHTS_BYTES)
  const specs = weightsManifest.flatMap((group) => group.weights)
  const bytes = specs.reduce((sum, { shape, dtype }) => sum + shape.reduce((a, b) => a * b, BYTES[dtype]), 0)
  if (bytes !== weights.length)
    throw new FormatError(`${data}: expected the ${bytes} bytes of the weights in ${path}, found ${weights.length}`)
  return io.getModelArtifactsForJSON(description, async (manifest) => [
    manifest.flatMap((group) => group.weights),
    new Uint8Array(weights).buffer,
  ])
}
