/** The float32 values of float16 bits (IEEE 754 binary16). */
export function widenHalves(bits: Uint16Array): Float32Array {
  const values = new Float32Array(bits.length)
  for (let i = 0; i < bits.length; i++) values[i] = floatOf(bits[i]!)
  return values
}

function floatOf(half: number): number {
  const sign = half & 0x8000 ? -1 : 1
  const [exponent, fraction] = [(half >> 10) & 31, half & 1023]
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY
  return sign * (exponent ? (1024 + fraction) * scales[exponent]! : fraction * scales[1]!)
}

/** What the last place of the fraction is worth, by the exponent's bits. */
const scales = Float32Array.from({ length: 31 }, (_, exponent) => 2 ** (exponent - 25))
