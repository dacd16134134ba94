import type { TeacherOutput } from './run-rows.js'

export interface JudgeOptions {
  /** Different rows that there are to run. */
  rows: number
  /** Runs rows by their numbers, all in one call. Columns hold `logits`, float32 [n, C], of sequences [n, L, C]. */
  run(rows: readonly number[]): Promise<TeacherOutput>
  /** Rows of every call, which the run fills up with copies; undefined where a call takes any number. */
  fixedBatch?: number | undefined
  /** Two runs differ where max|Δz| of a row is more than this share of max(1, max|z|). */
  tolerance: number
  /** Logits below count as this: their digits are rounding, as of the logarithm of a small probability. Default: all count. */
  least?: number | undefined
  /** The graph has nodes that draw at random: equal runs are repeated for as long as the time allows. */
  suspect?: boolean
  /** Milliseconds; passed in so that the time taken can be tested. */
  now?: () => number
}

/** Whether a row's logits are a function of that row. */
export interface RowsVerdict {
  /** `batch`: they depend on the other rows of the call, or on the place in it; `chance`: two equal runs differ. */
  kind: 'independent' | 'batch' | 'chance'
  /** max|Δz| where it was furthest beyond the bound; 0 for independent rows. */
  difference: number
  /** Rows that were looked at. */
  rows: number
  /** Different rows, each run alone, all give the same logits. */
  constant: boolean
  /** Seconds of a call with one row. */
  seconds: number
}

/** 16 rows drawn at random hold one of those that each fifth row is with 97 %. A slow teacher gets fewer, at least two. */
export const MOST_ROWS = 16
/** Of logits that are compared at once: 64 MiB. */
const MOST_VALUES = 2 ** 24
/** About what may be spent, so that a small export does not wait for this. */
const BUDGET_MS = 1_000
/** Runs of the same rows, where a graph may draw at random. */
const MOST_REPEATS = 8
/** A class further below the row's top is masked (-1e9), and is left out: it would hide all other differences. */
const MASKED = 1_000
/** Of logits that differ by rounding alone. */
const EQUAL = 1e-6

/** Runs some rows alone, together, together again and in another order, and compares all values. */
export async function judgeRows(options: JudgeOptions): Promise<RowsVerdict> {
  const { run, fixedBatch = Number.POSITIVE_INFINITY, suspect = false, now = () => performance.now() } = options
  const warm = await run([0]) // the first call of a shape allocates
  const began = now()
  const alone = [await run([0])]
  const ms = now() - began
  const affordable = Math.floor(Math.min(BUDGET_MS / (4 * Math.max(ms, 1e-3)), MOST_VALUES / valuesOf(warm)))
  const rows = Math.min(options.rows, MOST_ROWS, Math.max(2, affordable))
  const picked = Array.from({ length: rows }, (_, i) => Math.floor((i * options.rows) / rows))
  for (const row of picked.slice(1)) alone.push(await run([row]))
  const constant = rows > 1 && alone.every((output) => compareLogits(output, alone[0]!, { tolerance: EQUAL }) === 0)
  const verdict = (kind: RowsVerdict['kind'], difference: number): RowsVerdict => ({
    ...{ kind, difference, rows, constant, seconds: ms / 1000 },
  })

  const call = picked.slice(0, fixedBatch)
  const together = await run(call)
  let byChance = compareLogits(warm, alone[0]!, options)
  for (let times = 0; byChance === 0 && times < (suspect ? MOST_REPEATS : 1); times++) {
    byChance = compareLogits(together, await run(call), options)
    if (now() - began > BUDGET_MS) break
  }
  if (byChance > 0) return verdict('chance', byChance)

  const reversed = await run(call.toReversed())
  const apart = call.flatMap((_, i) => [
    compareLogits(alone[i]!, rowOf(together, i), options),
    compareLogits(alone[i]!, rowOf(reversed, call.length - 1 - i), options),
  ])
  const most = Math.max(...apart)
  return verdict(most > 0 ? 'batch' : 'independent', most)
}

const valuesOf = ({ columns }: TeacherOutput) => columns.logits!.length

function rowOf({ columns, rowSum, rows }: TeacherOutput, row: number): TeacherOutput {
  const part = (values: Float32Array) => {
    const width = values.length / rows
    return values.subarray(row * width, (row + 1) * width)
  }
  return { rows: 1, columns: { logits: part(columns.logits as Float32Array) }, rowSum: part(rowSum) }
}

/** max|Δz| of the row, or position of one, where two outputs are furthest beyond the tolerance; 0 where they are within it. */
export function compareLogits(
  a: TeacherOutput,
  b: TeacherOutput,
  { tolerance, least = Number.NEGATIVE_INFINITY }: Pick<JudgeOptions, 'tolerance' | 'least'>,
): number {
  const [x, y] = [a.columns.logits as Float32Array, b.columns.logits as Float32Array]
  const width = x.length / a.rowSum.length
  let [found, excess] = [0, 1]
  for (let at = 0; at < x.length; at += width) {
    const [one, other] = [x.subarray(at, at + width), y.subarray(at, at + width)]
    let top = Number.NEGATIVE_INFINITY
    for (const z of one) if (z > top) top = z // NaN is left out
    const floor = top === Number.POSITIVE_INFINITY ? least : Math.max(least, top - MASKED)
    let [difference, scale] = [0, 1]
    for (let c = 0; c < width; c++) {
      if (one[c]! < floor && other[c]! < floor) continue
      const [p, q] = [Math.max(one[c]!, floor), Math.max(other[c]!, floor)]
      if (Number.isFinite(p)) scale = Math.max(scale, Math.abs(p))
      if (Object.is(p, q)) continue
      const apart = Math.abs(p - q)
      difference = Math.max(difference, Number.isNaN(apart) ? Number.POSITIVE_INFINITY : apart)
    }
    const share = difference / (tolerance * scale)
    if (share > excess) [found, excess] = [difference, share]
  }
  return found
}
