import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { io } from '@tensorflow/tfjs-core'
import { type LayersModel, loadLayersModel } from '@tensorflow/tfjs-layers'
import { replaceFile } from '../cache/files.js'
import { version } from '../version.js'
import type { Dataset } from './dataset.js'
import { exportStudent, preprocessOf } from './export-student.js'
import { type Provenance, readJson, SUMMARY } from './folder.js'
import type { Summary } from './summary.js'

type Saved = Omit<Summary, 'provenance'> & { provenance: Provenance; model: LayersModel }

/**
 * Writes a student's folder: model.json and weights.bin (a tfjs layers model), student.onnx, preprocess.json (what comes before the
 * ONNX model), metrics.json, and at last student.json, whose presence says that the student is whole.
 */
export async function saveStudent(dir: string, student: Saved, dataset: Dataset): Promise<void> {
  const { model, provenance, parameters, history, seconds, metrics, measuredOn } = student
  const { classes, names, input } = dataset
  const write = (file: string, value: unknown) => replaceFile(join(dir, file), `${JSON.stringify(value, null, 2)}\n`)
  await model.save(
    io.withSaveHandler(async (artifacts) => {
      const { modelTopology, weightSpecs, weightData } = artifacts
      await replaceFile(join(dir, 'weights.bin'), new Uint8Array(io.CompositeArrayBuffer.join(weightData)))
      await write('model.json', {
        format: 'layers-model',
        generatedBy: `decant ${version}`,
        convertedBy: null,
        modelTopology,
        weightsManifest: [{ paths: ['weights.bin'], weights: weightSpecs }],
      })
      return { modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: 'JSON' } }
    }),
  )
  await replaceFile(join(dir, 'student.onnx'), await exportStudent(model, dataset, provenance))
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

/** The tfjs model of a student's folder. */
export async function loadStudent(dir: string): Promise<LayersModel> {
  const description = (await readJson(join(dir, 'model.json'))) as io.ModelJSON
  const weights = await readFile(join(dir, 'weights.bin'))
  const artifacts = await io.getModelArtifactsForJSON(description, async (manifest) => [
    manifest.flatMap((group) => group.weights),
    new Uint8Array(weights).buffer,
  ])
  return loadLayersModel(io.fromMemory(artifacts))
}
