import type { Fidelity } from '../../../src/cache/index.js'
import { logSoftmax, type Peer } from '../peers/peer.js'

const TEMPERATURES = [0.5, 1, 2, 4, 8, 20]

/** The figures of `measureFidelity`, for what a peer tells a student. */
export function measurePeer(peer: Peer, { logits, classes }: { logits: Float32Array; classes: number }): Fidelity {
  const rows = logits.length / classes
  const kept = Array.from({ length: rows }, (_, row) => {
    const z = Float64Array.from(logits.subarray(row * classes, (row + 1) * classes))
    return { z, ...peer.keep(z) }
  })
  return {
    rows,
    temperatures: TEMPERATURES.map((temperature) => {
      const measured = kept.map(({ z, head, logProbs }) =>
        measureRow(logSoftmax(z, temperature), logProbs(temperature), head),
      )
      const spread = (key: 'buckets' | 'classes' | 'tail') => {
        const values = measured.map((row) => row[key]).filter((value) => value !== undefined)
        if (values.length === 0) return null
        return { mean: values.reduce((sum, v) => sum + v, 0) / values.length, worst: Math.max(...values) }
      }
      return { temperature, klBuckets: spread('buckets')!, klClasses: spread('classes')!, tailError: spread('tail') }
    }),
  }
}

function measureRow(exact: Float64Array, told: Float64Array, head: Int32Array) {
  const isHead = new Set(head)
  let [classes, buckets, tail, toldTail] = [0, 0, 0, 0]
  exact.forEach((log, c) => {
    const p = Math.exp(log)
    const term = p > 0 ? p * (log - told[c]!) : 0
    classes += term
    if (isHead.has(c)) buckets += term
    else {
      tail += p
      toldTail += Math.exp(told[c]!)
    }
  })
  if (tail > 0) buckets += tail * Math.log(tail / toldTail)
  return { buckets, classes, tail: tail >= 1e-4 ? Math.abs(toldTail / tail - 1) : undefined }
}
