/** What the values of an output show themselves to be, or why that is not clear, in a few words. */
export type Verdict = 'logits' | 'probabilities' | 'log-probabilities' | { unclear: string }

/** What a teacher gives for some rows, drawn from all of the source. */
export interface SampledValues {
  /** [n, C], all finite */
  values: Float32Array
  /** C, at least 2 */
  classes: number
  /** How far a row's sum may be from 1. */
  tolerance: number
  /** The graph's structure says that these are probabilities. */
  probable: boolean
}

/** float32 and float16 rows of probabilities sum to 1 so well; those that are quantized or rounded to this. */
export const SUM_TOLERANCE = { float32: 1e-3, float16: 1e-3, coarse: 2e-2 } as const

/**
 * So many different rows that sum to 1, none of them a 1 among zeros, are no chance: of logits that are spread over a unit or more, a row does in one of a
 * thousand cases.
 */
const TELLING_ROWS = 8
/** Arithmetic's noise: 1 - p of a p that was rounded up. */
const NOISE = 1e-6

/** Judges by the numbers alone whether an output of C ≥ 2 classes holds logits, probabilities or their logarithms. */
export function judgeValues({ values, classes, tolerance, probable }: SampledValues): Verdict {
  const rows = rowsOf(values, classes)
  const sums = rows.map((row) => sumOf(row, (value) => value))
  const [least, most] = [minOf(sums), maxOf(sums)]
  const within = (number: number) => Math.abs(number - 1) <= tolerance
  const positive = minOf(values) >= -NOISE
  if (positive && within(least) && within(most)) {
    const telling = countDifferent(rows.filter((row) => maxOf(row) < 1 - tolerance))
    if (probable || telling >= TELLING_ROWS) return 'probabilities'
    return {
      unclear:
        telling === 0
          ? 'every sampled row is a 1 among zeros'
          : `the sampled rows sum to 1 as probabilities do, but only ${telling} of them differ and are more than a 1 among zeros, which may be chance`,
    }
  }
  if (positive && maxOf(values) <= 1 + tolerance)
    return { unclear: `all sampled values lie in [0, 1], but the rows sum to ${range(least, most)}` }
  if (positive && most - least <= tolerance * most && countDifferent(rows) >= TELLING_ROWS)
    return {
      unclear: `all sampled values are at least 0 and every row sums to ${short(most)}, as percentages or counts do`,
    }
  if (countDifferent(rows) < TELLING_ROWS) return 'logits'
  if (positive && rows.every((row) => within(sumOf(row, (value) => Math.exp(-value)))))
    return { unclear: 'they are logarithms of probabilities with the sign turned: export their negation' }
  return maxOf(values) <= tolerance && rows.every((row) => within(sumOf(row, Math.exp)))
    ? 'log-probabilities'
    : 'logits'
}

/** Do all values lie in [0, 1], as those of a sigmoid do? */
export const inUnit = (values: Float32Array): boolean => minOf(values) >= -NOISE && maxOf(values) <= 1 + NOISE

/**
 * The least probability whose logarithm is taken: what one that reads 0 may have been. Where zeros were seen, or values lie on a grid, that is half of the
 * least step seen; but never so much that the zeros of a row together outweigh what its other classes are known to (`coarse`: 2e-2, else
 * 1e-5). A power of two, so that another machine's rounding does not change it.
 */
export function floorOf(values: Float32Array, options: { classes: number; coarse: boolean; tiny: number }): number {
  const { classes, coarse, tiny } = options
  if (values.length === 0 || (!coarse && minOf(values) > 0)) return tiny
  let least = Number.POSITIVE_INFINITY
  for (const value of values) if (value > 0 && value < least) least = value
  const sum = Math.min(1, sumOf(values, (value) => value) / (values.length / classes))
  const most = ((coarse ? 2e-2 : 1e-5) * sum) / classes
  return Math.max(2 ** -126, 2 ** Math.floor(Math.log2(Math.min(least / 2, most))))
}

/**
 * How far the probabilities of logits are from the output's own in the worst row: whether a proposal of the graph's structure holds. Both are [n, C], `columns` of
 * the output 1 or C. The distance is half of the sum over the classes (total variation); of `coarse` values, each of which may be half a step off, the
 * largest of a class.
 */
export function largestDifference(
  { logits, values }: { logits: Float32Array; values: Float32Array },
  options: { classes: number; columns: number; logarithm: boolean; normalised: boolean; coarse: boolean },
): number {
  const { classes, columns, logarithm, normalised, coarse } = options
  let worst = 0
  for (let row = 0; row * classes < logits.length; row++) {
    const z = logits.subarray(row * classes, (row + 1) * classes)
    const top = normalised ? maxOf(z) : 0
    const sum = normalised ? sumOf(z, (value) => Math.exp(value - top)) : 1
    const apart = Array.from({ length: columns }, (_, c) => {
      const said = values[row * columns + c]!
      // one column is of the second class
      const p = Math.exp(z[columns === 1 ? 1 : c]! - top) / sum
      return Math.abs(p - (logarithm ? Math.exp(said) : said))
    })
    worst = Math.max(worst, coarse || columns === 1 ? maxOf(apart) : apart.reduce((a, b) => a + b) / 2)
  }
  return worst
}

function rowsOf(values: Float32Array, classes: number): Float32Array[] {
  return Array.from({ length: values.length / classes }, (_, i) => values.subarray(i * classes, (i + 1) * classes))
}

/** How many rows differ; no more are counted than tell something. */
function countDifferent(rows: readonly Float32Array[]): number {
  const seen = new Set<string>()
  for (const { buffer, byteOffset, byteLength } of rows) {
    seen.add(Buffer.from(buffer, byteOffset, byteLength).toString('latin1'))
    if (seen.size === TELLING_ROWS) break
  }
  return seen.size
}

function sumOf(values: Float32Array, of: (value: number) => number): number {
  let sum = 0
  for (const value of values) sum += of(value)
  return sum
}

// loops: a sample's values are too many for arguments
function minOf(values: Iterable<number>): number {
  let least = Number.POSITIVE_INFINITY
  for (const value of values) if (value < least) least = value
  return least
}

function maxOf(values: Iterable<number>): number {
  let most = Number.NEGATIVE_INFINITY
  for (const value of values) if (value > most) most = value
  return most
}

const short = (value: number): string => `${Number(value.toPrecision(3))}`
const range = (from: number, to: number): string =>
  short(from) === short(to) ? short(from) : `${short(from)} to ${short(to)}`
