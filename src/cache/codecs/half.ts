/** The largest float16. */
export const HALF_MAX = 65504
/** The bits of a float16 that is no number: what stands where there is nothing to say. */
export const HALF_NAN = 0x7e00

/** float16 → float32 for all 65,536 bit patterns (IEEE 754 binary16): 256 KB, several times faster than computing each. */
export const halfValues = Float32Array.from({ length: 65536 }, (_, half) => {
  const sign = half & 0x8000 ? -1 : 1
  const exponent = (half >> 10) & 31
  const fraction = half & 1023
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY
  return sign * (exponent ? (1 + fraction / 1024) * 2 ** (exponent - 15) : fraction * 2 ** -24)
})

const scratch = new Float32Array(1)
const bits = new Uint32Array(scratch.buffer)

/** The bits of the float16 nearest to `value` rounded to float32, ties to even (IEEE 754, roundTiesToEven). */
export function halfOf(value: number): number {
  scratch[0] = value
  const word = bits[0]!
  const sign = (word >>> 16) & 0x8000
  const abs = word & 0x7fffffff
  if (abs > 0x7f800000) return sign | HALF_NAN
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

/** The float16 of a number that is far below float16's reach cut at its end, never infinite. */
export const halfOfGap = (gap: number): number => halfOf(Math.max(gap, -HALF_MAX))
