import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { io } from '@tensorflow/tfjs-core'
import { type LayersModel, loadLayersModel } from '@tensorflow/tfjs-layers'
import { z } from 'zod'
import { replaceFile } from '../cache/files.js'
import { FormatError } from '../errors.js'
import { version } from '../version.js'
import { type EpochRecord, epochSchema } from './checkpoint.js'
import type { Dataset } from './dataset.js'
import { exportStudent, preprocessOf } from './export-student.js'
import { type Provenance, readJson, SUMMARY } from './folder.js'
import { type Metrics, metricsSchema } from './metrics.js'

/** What student.json and metrics.json say of a student. */
export interface Summary {
  provenance: unknown
  parameters: number
  history: EpochRecord[]
  seconds: number
  metrics: Metrics | null
  measuredOn: 'evaluation' | 'held-out rows' | 'nothing'
}

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

const metricsFile = z.object({
  measuredOn: z.enum(['evaluation', 'held-out rows', 'nothing']),
  metrics: metricsSchema.nullable(),
  history: z.array(epochSchema),
})
const summaryFile = z.object({
  format: z.literal('decant-student'),
  version: z.literal(1),
  provenance: z.unknown(),
  parameters: z.int(),
  seconds: z.number(),
})

/** Reads what a finished student's folder says of it. @throws FormatError naming file and key */
export async function readSummary(dir: string): Promise<Summary> {
  const parse = async <T>(file: string, schema: z.ZodType<T>): Promise<T> => {
    const result = schema.safeParse(await readJson(join(dir, file)))
    if (result.success) return result.data
    const { path, message } = result.error.issues[0]!
    throw new FormatError(`${join(dir, file)}: ${path.join('.')}: ${message}`)
  }
  const { provenance, parameters, seconds } = await parse(SUMMARY, summaryFile)
  const { measuredOn, metrics, history } = await parse('metrics.json', metricsFile)
  return { provenance, parameters, history, seconds, metrics, measuredOn }
}
