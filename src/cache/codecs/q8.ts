import type { DenseCodec } from './codec.js'
import { refuseMasked } from './masked.js'
import { firstZeros, gapsOf, roundEven } from './rows.js'

const LEVELS = 255
/** Keeps the division of a row of equal logits from being 0/0. */
const TINY = 2 ** -126

/**
 * Codec q8: a byte a class, `q` = round(255·√(gap / scale)) with gap = shift - z, `shift` the row's top and `scale` its widest gap.
 * The square root puts the levels where the likely classes are: over 1000 classes and T in 1..8 the worst row's KL is a few 1e-4,
 * where evenly spaced levels have 1e-2.
 */
export const q8: DenseCodec = {
  kind: 'dense',
  columns: ({ classes }) => [
    { name: 'q', type: 'uint8', width: classes, list: true },
    { name: 'shift', type: 'float32', width: 1, list: false },
    { name: 'scale', type: 'float32', width: 1, list: false },
  ],

  encode({ logits, classes }) {
    const rows = logits.length / classes
    const q = new Uint8Array(logits.length)
    const shift = new Float32Array(rows)
    const scale = new Float32Array(rows)
    for (let row = 0; row < rows; row++) {
      const at = row * classes
      const { top, gaps } = gapsOf(logits, at, at + classes)
      shift[row] = top
      scale[row] = topOfGaps(gaps)
      refuseMasked(scale[row]!, 'q8')
      for (let c = 0; c < classes; c++) q[at + c] = compand(gaps[c]!, scale[row]!)
    }
    return { q, shift, scale }
  },

  tops: ({ q }, { classes }) => firstZeros(q as Uint8Array, classes),

  decode({ q, shift, scale }, { classes }, into) {
    const logits = into?.subarray(0, q!.length) ?? new Float32Array(q!.length)
    for (let row = 0, i = 0; i < logits.length; row++) {
      const [top, widest] = [shift![row]!, scale![row]!]
      for (const to = i + classes; i < to; i++) logits[i] = top - expand(q![i]!, widest)
    }
    return logits
  },
}

/** A gap in 0..widest as a byte; each step rounds to float32 as the fused graph does. */
export function compand(gap: number, widest: number): number {
  const root = Math.fround(Math.sqrt(Math.fround(gap / Math.max(widest, TINY))))
  return roundEven(Math.fround(LEVELS * root))
}

export const expand = (q: number, widest: number): number => widest * squares[q]!

const squares = Float64Array.from({ length: LEVELS + 1 }, (_, q) => (q / LEVELS) ** 2)

const topOfGaps = (gaps: Float32Array) => gaps.reduce((most, gap) => Math.max(most, gap), 0)
