import { DecantError } from '../../errors.js'
import type { DenseCodec } from './codec.js'
import { compand, expand } from './q8.js'
import { gapsOf, largest, roundEven } from './rows.js'

/** The code that says "of the head"; the ones below are levels of the rest. */
const HEAD = 15
const LEVELS = HEAD - 1
/** Exponent of the rest's levels: denser near the head, where a class weighs more. Between 1.25 and 2 it hardly matters. */
const POWER = 1.5

/**
 * Codec hybrid:k: the k likeliest classes in 8 bits (`head`, in the order of their classes, as q8), the rest in 4 (`codes`, class c in
 * byte c >> 1, the even class in its low half). Code 15 marks the head, so the head needs no list of classes; 0..14 is a level of the
 * rest: gap = low + (high - low)·(code/14)^1.5. `scales` = widest gap of the head, low, high. ⌈C/2⌉ + k + 16 bytes: 596 for C = 1000, k = 80.
 */
export const hybrid = (k: number): DenseCodec => ({
  kind: 'dense',
  columns: ({ classes }) => [
    { name: 'codes', type: 'uint8', width: Math.ceil(classes / 2), list: true },
    { name: 'head', type: 'uint8', width: Math.min(k, classes), list: true },
    { name: 'shift', type: 'float32', width: 1, list: false },
    { name: 'scales', type: 'float32', width: 3, list: true },
  ],

  encode({ logits, classes }) {
    const rows = logits.length / classes
    const [heads, bytes] = [Math.min(k, classes), Math.ceil(classes / 2)]
    const codes = new Uint8Array(rows * bytes)
    const head = new Uint8Array(rows * heads)
    const shift = new Float32Array(rows)
    const scales = new Float32Array(rows * 3)
    for (let row = 0; row < rows; row++) {
      const { top, gaps } = gapsOf(logits, row * classes, (row + 1) * classes)
      const chosen = largest(logits.subarray(row * classes, (row + 1) * classes), heads)
      const isHead = new Uint8Array(classes)
      for (const c of chosen) isHead[c] = 1
      const widest = gaps[chosen[heads - 1]!]!
      let [low, high] = [Number.POSITIVE_INFINITY, 0]
      for (let c = 0; c < classes; c++) {
        if (isHead[c]) continue
        low = Math.min(low, gaps[c]!)
        high = Math.max(high, gaps[c]!)
      }
      if (heads === classes) low = 0 // there is no rest
      shift[row] = top
      scales.set([widest, low, high], row * 3)
      for (let c = 0, at = row * heads; c < classes; c++) {
        if (isHead[c]) head[at++] = compand(gaps[c]!, widest)
        const code = isHead[c] ? HEAD : level(gaps[c]!, low, high)
        codes[row * bytes + (c >> 1)]! |= code << (4 * (c & 1))
      }
    }
    return { codes, head, shift, scales }
  },

  decode({ codes, head, shift, scales }, { classes }) {
    const rows = shift!.length
    const [heads, bytes] = [Math.min(k, classes), Math.ceil(classes / 2)]
    const logits = new Float32Array(rows * classes)
    for (let row = 0; row < rows; row++) {
      const [widest, low, high] = scales!.subarray(row * 3, row * 3 + 3) as unknown as [number, number, number]
      const gapOf = Float64Array.from({ length: HEAD }, (_, code) => low + (high - low) * (code / LEVELS) ** POWER)
      let at = row * heads
      for (let c = 0; c < classes; c++) {
        const code = (codes![row * bytes + (c >> 1)]! >> (4 * (c & 1))) & 15
        const gap = code === HEAD ? expand(head![at++]!, widest) : gapOf[code]!
        logits[row * classes + c] = shift![row]! - gap
      }
      if (at !== (row + 1) * heads)
        throw new DecantError(`codec hybrid:${k}: a row of ${at - row * heads} head classes, expected ${heads}`)
    }
    return logits
  },
})

function level(gap: number, low: number, high: number): number {
  return high > low ? roundEven(Math.fround(LEVELS * Math.fround(((gap - low) / (high - low)) ** (1 / POWER)))) : 0
}
