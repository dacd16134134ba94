import { type Buckets, codecOf } from '../../../src/cache/index.js'
import { logSumExp } from './rows.js'

const TEMPERATURES = Array.from({ length: 25 }, (_, i) => 0.5 * 40 ** (i / 24))

/** Of each row, codec topk:k, the largest relative error of the tail's mass over T in [0.5, 20], where that mass is 1e-4 or more. */
export function tailErrors(logits: Float32Array, { classes, k }: { classes: number; k: number }): Float64Array {
  const codec = codecOf(`topk:${k}`)
  const kind = { classes, labelled: false }
  const buckets = codec.decode(codec.encode({ logits, classes }), kind) as Buckets
  const worst = new Float64Array(buckets.rows)
  for (const temperature of TEMPERATURES) {
    const tails = buckets.logTail(temperature)
    for (let row = 0; row < buckets.rows; row++) {
      // float64, from the definition: the largest k apart, by sorting
      const z = Float64Array.from(logits.subarray(row * classes, (row + 1) * classes), (v) => v / temperature)
      const sorted = z.sort().reverse()
      const tail = logSumExp(sorted.subarray(buckets.k))
      const exact = Math.exp(tail - logSumExp(sorted))
      if (exact < 1e-4) continue
      const head = [...buckets.logits.subarray(row * buckets.k, (row + 1) * buckets.k)].map((v) => v / temperature)
      const found = Math.exp(tails[row]! - logSumExp([...head, tails[row]!]))
      worst[row] = Math.max(worst[row]!, Math.abs(found / exact - 1))
    }
  }
  return worst
}

export const shareWithin = (errors: Float64Array, most: number) =>
  errors.filter((error) => error <= most).length / errors.length
