import { DecantError } from '../../errors.js'
import { halfOfGap, halfValues } from './half.js'

// What is kept of the classes beyond the head, so that their mass is known at any temperature. With β = 1/T, gaps g_j = z_j - shift
// of the n classes of the tail and f(β) = log Σ_j exp(β·g_j), kept is h = (f - log n)/β at Chebyshev nodes of s = β/(0.3 + β): h is
// smooth, runs from the tail's mean gap (T → ∞) to its largest (T → 0), and between nodes it is a polynomial in s.
// Measured for rows of 10 to 50,257 classes, heavy-tailed ones included: 10 nodes of β/(1 + β) in float16 (20 bytes) miss the tail's
// mass by 1.7 % on clustered and 11 % on heavy-tailed rows; these 16, float16 below the first in float32 (34 bytes), by 0.8 % at most.

/** The temperatures between which the tail is known. */
export const TAIL_RANGE = { low: 0.5, high: 20 } as const
export const TAIL_NODES = 16
/** s = 1/(1 + 0.3·T): puts the nodes where a tail changes from a few classes' to all classes' */
const SOFTENING = 0.3
const sOf = (temperature: number) => 1 / (1 + SOFTENING * temperature)
const [first, last] = [sOf(TAIL_RANGE.high), sOf(TAIL_RANGE.low)]
const xs = Array.from({ length: TAIL_NODES }, (_, i) => Math.cos(((2 * i + 1) * Math.PI) / (2 * TAIL_NODES)))

/** All that a reader in another language or graph needs to compute a tail at T from its nodes. */
export const tailTable = {
  /** x = slope·s + offset lies in [-1, 1], with s = 1/(1 + softening·T) */
  softening: SOFTENING,
  slope: 2 / (last - first),
  offset: -(first + last) / (last - first),
  /** T of each node, the lowest first: what the encoder evaluates */
  temperatures: xs.map((x) => (1 / (first + ((x + 1) / 2) * (last - first)) - 1) / SOFTENING),
  /** [node][term]: a node's weight at T is Σ_m basis[node][m]·cos(m·acos x); the weights of all nodes sum to 1 */
  basis: xs.map((x) => xs.map((_, m) => ((m === 0 ? 1 : 2) / TAIL_NODES) * Math.cos(m * Math.acos(x)))),
}

/**
 * How much each node's h counts at temperature T.
 * @returns [TAIL_NODES], summing to 1
 * @throws DecantError for T outside [0.5, 20], where the tail is not known
 */
export function tailWeights(temperature: number): Float64Array {
  if (!(temperature >= TAIL_RANGE.low && temperature <= TAIL_RANGE.high))
    throw new DecantError(
      `temperature ${temperature}: a top-k or sampled codec knows its tail from ${TAIL_RANGE.low} to ${TAIL_RANGE.high}`,
    )
  const { softening, slope, offset, basis } = tailTable
  const x = slope / (1 + softening * temperature) + offset
  const angle = Math.acos(Math.min(1, Math.max(-1, x)))
  return Float64Array.from(basis, (terms) => terms.reduce((sum, term, m) => sum + term * Math.cos(m * angle), 0))
}

/** h at each node of a tail of gaps g ≤ 0 (as many as there are classes), and of those the first in float32, the others as float16 below it. */
export function encodeTail(gaps: Float64Array): { top: number; rest: Uint16Array } {
  let most = Number.NEGATIVE_INFINITY
  for (const gap of gaps) if (gap > most) most = gap
  const nodes = tailTable.temperatures.map((temperature) => {
    let sum = 0
    for (const gap of gaps) sum += Math.exp((gap - most) / temperature)
    return most + temperature * Math.log(sum / gaps.length)
  })
  const top = Math.fround(nodes[0]!)
  return { top, rest: Uint16Array.from(nodes.slice(1), (h) => halfOfGap(h - top)) }
}

/**
 * log Σ_tail exp(z_j / T) of each row.
 * @param columns `tail_top` [n] and `shift` [n] float32, `tail` [n, TAIL_NODES - 1] float16 bits
 * @param classes in the tail
 */
export function decodeTail(
  { shift, tailTop, tail }: { shift: Float32Array; tailTop: Float32Array; tail: Uint16Array },
  { classes, temperature }: { classes: number; temperature: number },
): Float64Array {
  const weights = tailWeights(temperature)
  return Float64Array.from(shift, (top, row) => {
    let h = tailTop[row]!
    for (let i = 1; i < TAIL_NODES; i++) h += weights[i]! * halfValues[tail[row * (TAIL_NODES - 1) + i - 1]!]!
    return (top + h) / temperature + Math.log(classes)
  })
}
