import { join } from 'node:path'
import { z } from 'zod'
import { FormatError } from '../errors.js'
import { type EpochRecord, epochSchema } from './checkpoint.js'
import { readJson, SUMMARY } from './folder.js'
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
