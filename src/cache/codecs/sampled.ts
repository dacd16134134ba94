import { DecantError } from '../../errors.js'
import { bucketColumns, decodeBuckets, encodeBuckets, headOf } from './buckets.js'
import type { BucketedCodec, TargetRows } from './codec.js'
import { byLogit, largest, topOf } from './rows.js'
import { uniformsOf } from './uniforms.js'

/**
 * Codec sampled:k (Anshumann et al., ACL 2025, "Sparse Logit Sampling", random sampling with the soft targets at T = 1 as proposal):
 * k classes are drawn with replacement, and a class drawn `count` times weighs count/k, so that the weights are unbiased for the soft
 * targets however large the vocabulary. Drawn twice, a class needs one slot only: the free slots hold the likeliest classes that were not
 * drawn, with a count of 0. Slots are distinct, nearest to the top first, and the tail is what is in none: it reads as topk does, too.
 */
export const sampled = (k: number): BucketedCodec => ({
  kind: 'bucketed',
  columns: (kind) => {
    const columns = bucketColumns(k, kind)
    const at = columns.findIndex(({ name }) => name === 'shift')
    const slots = headOf(k, kind.classes)
    return columns.toSpliced(at, 0, { name: 'count', type: 'uint8', width: slots, list: true, below: slots + 1 })
  },
  encode(rows) {
    const slots = headOf(k, rows.classes)
    const uniforms = uniformsFor(rows, slots)
    const count = new Uint8Array((rows.logits.length / rows.classes) * slots)
    const columns = encodeBuckets(rows, (z, row) => {
      const counts = draw(z, uniforms.subarray(row * slots, (row + 1) * slots))
      const drawn = [...counts.keys()].filter((c) => counts[c]! > 0)
      const others = z.map((value, c) => (counts[c] ? Number.NEGATIVE_INFINITY : value))
      const chosen = Int32Array.from([...drawn, ...largest(others, slots - drawn.length)]).sort(byLogit(z))
      chosen.forEach((c, slot) => {
        count[row * slots + slot] = counts[c]!
      })
      return chosen
    })
    return { ...columns, count }
  },
  tops: ({ index, logits, shift, label_logit: ofLabel }, { classes }, labels) => {
    const width = headOf(k, classes)
    const top = (row: number) => {
      if (logits![row * width] === 0) return index![row * width]!
      return ofLabel?.[row] === 0 ? labels[row]! : -1
    }
    return Int32Array.from(shift!, (_, row) => top(row))
  },
  decode: (columns, kind) => ({ ...decodeBuckets(columns, { k, ...kind }), count: columns.count as Uint8Array }),
})

function uniformsFor({ keys, positions = 1, logits, classes }: TargetRows, width: number): Float32Array {
  const rows = logits.length / classes / positions
  if (keys?.length !== rows)
    throw new DecantError(`codec sampled: expected the keys of ${rows} rows, found ${keys?.length ?? 'none'}`)
  return uniformsOf(keys, { positions, width })
}

/** How often each class is drawn: u falls between the cumulative soft targets (T = 1) before and up to its class. */
function draw(z: Float32Array, uniforms: Float32Array): Uint8Array {
  const top = topOf(z, 0, z.length)
  let total = 0
  for (const value of z) total += Math.exp(value - top)
  const ordered = uniforms.slice().sort()
  const counts = new Uint8Array(z.length)
  for (let c = 0, next = 0, sum = 0; c < z.length && next < ordered.length; c++) {
    sum += Math.exp(z[c]! - top)
    // The last class takes what rounding leaves over.
    while (next < ordered.length && (ordered[next]! * total < sum || c === z.length - 1)) {
      counts[c]!++
      next++
    }
  }
  return counts
}
