import { logSoftmax, logSumExp, type Peer, topClasses } from './peer.js'

/**
 * DistillKit's polynomial codec, from its README ("Compression Deep-Dive"): the k largest log-probabilities in falling order, the first
 * `exact` of them in bfloat16, the others as a least-squares fit of `terms` (powers of the place in the order, and its square root;
 * float32 coefficients); classes bit-packed. Missing probability: spread evenly (`uniform`), the kinder of its two options.
 */
export const distillkit = ({ k, exact, powers }: { k: number; exact: number; powers: number[] }): Peer => ({
  name: `DistillKit, k = ${k}, ${exact} exact, ${powers.length} terms`,
  bytes: (classes) => Math.ceil((k * Math.ceil(Math.log2(classes))) / 8) + 2 * exact + 4 * powers.length,
  keep(z) {
    const head = topClasses(z, k)
    const p = logSoftmax(z)
    const sorted = Float64Array.from(head, (c) => p[c]!)
    const places = Array.from({ length: k - exact }, (_, i) => i / (k - exact))
    const fit = leastSquares(
      places.map((x) => powers.map((power) => x ** power)),
      [...sorted.subarray(exact)],
    )
    const told = sorted.map((value, i) =>
      i < exact
        ? bfloat16(value)
        : powers.reduce((sum, power, t) => sum + Math.fround(fit[t]!) * places[i - exact]! ** power, 0),
    )
    const rest = Math.log(Math.max(1 - Math.exp(logSumExp(told)), 1e-12) / (z.length - k))
    const kept = new Float64Array(z.length).fill(rest)
    head.forEach((c, i) => {
      kept[c] = told[i]!
    })
    return { head, logProbs: (temperature) => logSoftmax(kept, temperature) }
  },
})

function bfloat16(value: number): number {
  const bits = new Uint32Array(Float32Array.of(value).buffer)
  bits[0] = (bits[0]! + 0x7fff + ((bits[0]! >>> 16) & 1)) & 0xffff0000
  return new Float32Array(bits.buffer)[0]!
}

/** The x that makes |A·x - b| least: normal equations, a few unknowns, by Gauss with pivots. */
function leastSquares(a: number[][], b: number[]): number[] {
  const n = a[0]!.length
  const m = Array.from({ length: n }, (_, i) => [
    ...Array.from({ length: n }, (_, j) => a.reduce((sum, row) => sum + row[i]! * row[j]!, 0)),
    a.reduce((sum, row, r) => sum + row[i]! * b[r]!, 0),
  ])
  for (let i = 0; i < n; i++) {
    const pivot = m.slice(i).reduce((best, row, r) => (Math.abs(row[i]!) > Math.abs(m[best]![i]!) ? r + i : best), i)
    ;[m[i], m[pivot]] = [m[pivot]!, m[i]!]
    for (let r = 0; r < n; r++) {
      if (r === i) continue
      const factor = m[r]![i]! / m[i]![i]!
      for (let c = i; c <= n; c++) m[r]![c]! -= factor * m[i]![c]!
    }
  }
  return m.map((row, i) => row[n]! / row[i]!)
}
