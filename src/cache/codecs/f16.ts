import type { Codec } from './codec.js'

/**
 * Codec f16: `shift` = the row's top logit (float32), `logits` = float16(max(z - shift, -65504)); 2 bytes a class and 4 a row.
 * float16 is most precise near zero, where subtracting the top logit puts the classes that carry the probability:
 * a worst-row KL of 9e-7 over 1000 classes where float16 of z itself has 6e-5. The fused teacher graph computes the same.
 */
export const f16: Codec = {
  kind: 'dense',
  columns: (classes) => [
    { name: 'logits', type: 'float16', width: classes, list: true },
    { name: 'shift', type: 'float32', width: 1, list: false },
  ],

  encode(logits, classes) {
    const rows = logits.length / classes
    const halves = new Uint16Array(logits.length)
    const shift = new Float32Array(rows)
    const gap = new Float32Array(1)
    const bits = new Uint32Array(gap.buffer)
    for (let row = 0; row < rows; row++) {
      const [from, to] = [row * classes, (row + 1) * classes]
      let top = logits[from]!
      for (let i = from + 1; i < to; i++) if (logits[i]! > top) top = logits[i]!
      shift[row] = top
      for (let i = from; i < to; i++) {
        gap[0] = logits[i]! - top // rounded to float32, as the graph's Sub does
        if (gap[0]! < -HALF_MAX) gap[0] = -HALF_MAX
        halves[i] = halfOf(bits[0]!, gap, bits)
      }
    }
    return { logits: halves, shift }
  },

  decode({ logits: halves, shift }, classes) {
    const logits = new Float32Array(halves!.length)
    for (let row = 0, i = 0; i < logits.length; row++) {
      const top = shift![row]!
      for (const to = i + classes; i < to; i++) logits[i] = floats[halves![i]!]! + top
    }
    return logits
  },
}

const HALF_MAX = 65504

/** float16 → float32 for all 65,536 bit patterns (IEEE 754 binary16): 256 KB, several times faster than computing each. */
const floats = Float32Array.from({ length: 65536 }, (_, half) => {
  const sign = half & 0x8000 ? -1 : 1
  const exponent = (half >> 10) & 31
  const fraction = half & 1023
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY
  return sign * (exponent ? (1 + fraction / 1024) * 2 ** (exponent - 15) : fraction * 2 ** -24)
})

/**
 * The bits of a float32 → the bits of the nearest float16, ties to even (IEEE 754, roundTiesToEven). `scratch` is a float32
 * and `bits` the same four bytes as an integer.
 */
function halfOf(word: number, scratch: Float32Array, bits: Uint32Array): number {
  const sign = (word >>> 16) & 0x8000
  const abs = word & 0x7fffffff
  if (abs > 0x7f800000) return sign | 0x7e00 // NaN
  if (abs >= 0x47800000) return sign | 0x7c00 // 65536 and above: infinity
  if (abs < 0x38800000) {
    // Below 2^-14 the result is subnormal, a multiple of 2^-24. Adding 0.5, whose float32 spacing is 2^-24, rounds to one.
    bits[0] = abs
    scratch[0] = scratch[0]! + 0.5
    return sign | (bits[0]! - 0x3f000000)
  }
  // Rebias the exponent by 15 - 127 and round the 13 bits that go: half of the last place less one, plus the bit that decides ties.
  return sign | ((abs - 0x38000000 + 0xfff + ((abs >>> 13) & 1)) >>> 13)
}
