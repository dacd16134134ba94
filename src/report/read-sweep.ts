import { join } from 'node:path'
import { z } from 'zod'
import { DecantError, FormatError } from '../errors.js'
import { readInput } from '../input-file.js'
import { parseJson } from '../json.js'
import type { SweepResult } from '../student/index.js'
import { costSchema, sweepFactsSchema } from '../student/sweep-file.js'
import { sweepStudentSchema } from '../student/sweep-table.js'

/** What a page is made from; the table is made again from the students. */
export type SweepFile = Omit<SweepResult, 'table'>

const fileSchema = z.object({
  format: z.literal('decant-sweep'),
  version: z.literal(2),
  students: z.array(sweepStudentSchema),
  data: sweepFactsSchema,
  costs: costSchema.nullable(),
  seconds: z.number().min(0),
})

/** Reads sweep.json of a sweep's folder. @throws DecantError where there is none; FormatError naming the key that is wrong */
export async function readSweep(dir: string): Promise<SweepFile> {
  const path = join(dir, 'sweep.json')
  const text = await readInput(path).catch((error: NodeJS.ErrnoException) => {
    if (error instanceof DecantError) throw error
    throw new DecantError(
      `${path}: ${error.code === 'ENOENT' ? 'no such file: expected the folder of a sweep' : `cannot be read (${error.code})`}`,
    )
  })
  return parseSweep(String(text), path)
}

export function parseSweep(text: string, path: string): SweepFile {
  const result = fileSchema.safeParse(parseJson(text, path))
  if (result.success) return result.data
  const { path: key, message } = result.error.issues[0]!
  throw new FormatError(`${path}: ${key.join('.')}: ${message}`)
}
