import { DecantError } from '../../errors.js'
import { BINS, cellsOf, createBinning, MOST_BITS } from './bins.js'
import type { DenseCodec } from './codec.js'
import { halfOf, halfValues } from './half.js'
import { refuseMasked } from './masked.js'
import { gapsOf } from './rows.js'

/** Bits of a bin's number, and of the width of its fine positions. */
const CODE = 3
const HEADER = CODE * BINS
/** Bytes of a row beside its `bits`: eight float16 and the shift. */
const BESIDE = 2 * BINS + 4

/**
 * Codec hybrid:b, b bytes a row at most. A row's gaps (shift - z) are cut into eight bins of its own, finer where a class weighs more at T = 1 to 16:
 * bin j goes from edges[j - 1] (the first from 0) to edges[j], in 2^width steps. `bits`, from the lowest of byte 0 on: the widths of the bins, three bits
 * each; the bin of each class, three bits; the fine position of each class, as many as its bin's width. A gap is its bin's start and
 * (fine + ½) steps, in the first bin fine steps: there 0 is the top class and none below it.
 */
export const hybrid = (bytes: number): DenseCodec => ({
  kind: 'dense',
  columns: ({ classes }) => [
    { name: 'bits', type: 'uint8', width: widthOf(bytes, classes), list: true },
    { name: 'edges', type: 'float16', width: BINS, list: true },
    { name: 'shift', type: 'float32', width: 1, list: false },
  ],

  encode({ logits, classes }) {
    const rows = logits.length / classes
    const width = widthOf(bytes, classes)
    const bits = new Uint8Array(rows * width)
    const edges = new Uint16Array(rows * BINS)
    const shift = new Float32Array(rows)
    const cells = new Uint8Array(classes)
    const [starts, steps] = [new Float64Array(BINS), new Float64Array(BINS)]
    const chooseBins = createBinning()
    const budget = 8 * width - HEADER - CODE * classes
    for (let row = 0; row < rows; row++) {
      const { top, gaps } = gapsOf(logits, row * classes, (row + 1) * classes)
      let widest = 0
      for (let c = 0; c < classes; c++) if (gaps[c]! > widest) widest = gaps[c]!
      refuseMasked(widest, `hybrid:${bytes}`)
      cellsOf(gaps, widest, cells)
      const { ends, widths, binOf } = chooseBins({ cells, widest, budget })
      shift[row] = top
      const own = bits.subarray(row * width, (row + 1) * width)
      for (let b = 0, start = 0; b < BINS; b++) {
        edges[row * BINS + b] = halfOf(ends[b]!)
        put(own, CODE * b, widths[b]!)
        starts[b] = start
        steps[b] = (ends[b]! - start) / (1 << widths[b]!) || 1 // nothing is kept in a bin of no width
        start = ends[b]!
      }
      for (let c = 0, at = HEADER + CODE * classes; c < classes; c++) {
        const b = binOf[cells[c]!]!
        const place = (gaps[c]! - starts[b]!) / steps[b]!
        const fine = b > 0 ? Math.floor(place) : gaps[c] === 0 ? 0 : Math.max(1, Math.round(place))
        put(own, HEADER + CODE * c, b)
        // the edges are rounded, so a gap may lie just outside
        put(own, at, Math.max(0, Math.min(fine, (1 << widths[b]!) - 1)))
        at += widths[b]!
      }
    }
    return { bits, edges, shift }
  },

  tops({ bits, shift }, { classes }) {
    const width = widthOf(bytes, classes)
    const own = new Uint8Array(width + 2)
    return Int32Array.from(shift!, (_, row) => {
      own.set(bits!.subarray(row * width, (row + 1) * width) as Uint8Array)
      const widths = Array.from({ length: BINS }, (_, b) => take(own, CODE * b, CODE))
      for (let c = 0, at = HEADER + CODE * classes; c < classes; c++) {
        const b = take(own, HEADER + CODE * c, CODE)
        if (b === 0 && take(own, at, widths[0]!) === 0) return c
        at += widths[b]!
      }
      return -1
    })
  },

  decode({ bits, edges, shift }, { classes }) {
    const rows = shift!.length
    const width = widthOf(bytes, classes)
    const logits = new Float32Array(rows * classes)
    const own = new Uint8Array(width + 2) // a number may end in the last byte, one of no bits stand behind it
    const [widths, starts, steps] = [new Uint8Array(BINS), new Float64Array(BINS), new Float64Array(BINS)]
    for (let row = 0; row < rows; row++) {
      own.set(bits!.subarray(row * width, (row + 1) * width) as Uint8Array)
      for (let b = 0, start = 0; b < BINS; b++) {
        const end = halfValues[edges![row * BINS + b]!]!
        widths[b] = take(own, CODE * b, CODE)
        steps[b] = (end - start) / (1 << widths[b]!)
        starts[b] = b > 0 ? start + steps[b]! / 2 : 0
        start = end
      }
      const top = shift![row]!
      let at = HEADER + CODE * classes
      for (let c = 0; c < classes; c++) {
        const b = take(own, HEADER + CODE * c, CODE)
        logits[row * classes + c] = top - (starts[b]! + take(own, at, widths[b]!) * steps[b]!)
        at += widths[b]!
      }
      if (at > 8 * width)
        throw new DecantError(`codec hybrid:${bytes}: a row of ${at} bits, expected ${8 * width} at most`)
    }
    return logits
  },
})

/** Bytes of `bits`. There is a bit of fine position a class or more: enough to tell the top one; and no more than all may have. */
function widthOf(bytes: number, classes: number): number {
  const bytesAt = (fine: number) => Math.ceil((HEADER + (CODE + fine) * classes) / 8)
  const least = BESIDE + bytesAt(1)
  if (bytes >= least) return Math.min(bytes - BESIDE, bytesAt(MOST_BITS))
  throw new DecantError(`codec hybrid:${bytes} (bytes a row): ${classes} classes need at least hybrid:${least}`)
}

/** Writes a number of at most 8 bits at bit `at`, where zeros are. */
function put(bytes: Uint8Array, at: number, value: number): void {
  const word = value << (at & 7)
  bytes[at >> 3]! |= word
  if (word > 255) bytes[(at >> 3) + 1]! |= word >> 8
}

/** The number of `width` bits, at most 8, at bit `at`. */
function take(bytes: Uint8Array, at: number, width: number): number {
  const byte = at >> 3
  return ((bytes[byte]! | (bytes[byte + 1]! << 8)) >> (at & 7)) & ((1 << width) - 1)
}
