import { DecantError } from '../errors.js'
import type { FixedBatch } from '../onnx/index.js'
import type { Source } from '../source/index.js'
import { explainMisfit } from './explain-misfit.js'
import type { FusedModel, LoadedTeacher } from './load-teacher.js'
import type { RunSampled } from './sample-rows.js'

export interface TryBatches {
  teacher: LoadedTeacher
  /** Path of the teacher, for errors. */
  path: string
  source: Pick<Source, 'uri' | 'input'>
  fused: FusedModel
  run: RunSampled
}

/** What exporters trace graphs with. */
const TRIED = [2, 3, 4, 8, 16, 32, 64]

/**
 * The one number of rows that a graph takes: declared, or found by trying where its batch axis is declared open; undefined where it takes any number. Throws
 * DecantError, in words of axes, where one row does not give one row of values.
 */
export async function tryBatches({ teacher, path, source, fused, run }: TryBatches): Promise<FixedBatch | undefined> {
  const { positions = 1, takes } = teacher
  const gives = async (rows: number) => (await run(Array<number>(rows).fill(0))).rowSum.length === rows * positions
  const works = (rows: number) => gives(rows).catch(() => false)
  const only = (rows: number) => ({
    rows,
    why: `the graph works with ${rows} only, though the batch of ${takes} is open`,
  })
  const first = await run([0]).catch((error: DecantError) => error)
  const right = !(first instanceof Error) && first.rowSum.length === positions
  if (right) return fused.fixedBatch ?? ((await works(2)) ? undefined : only(1))
  if (!fused.fixedBatch) for (const rows of TRIED) if (await works(rows)) return only(rows)
  const found = first instanceof Error ? { said: first.message } : { rows: first.rowSum.length / positions }
  const why = explainMisfit({ source, takes, found })
  if (why === undefined) throw first
  throw new DecantError(`${path}: ${why}`)
}
