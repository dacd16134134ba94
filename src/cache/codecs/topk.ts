import { bucketColumns, decodeBuckets, encodeBuckets, headOf } from './buckets.js'
import type { BucketedCodec } from './codec.js'
import { largest } from './rows.js'

/**
 * Codec topk:k: the k likeliest classes as float16 below the row's top logit, nearest first, and of all the others what their mass at
 * any temperature needs. 4·k + 44 bytes up to 65,536 classes.
 */
export const topk = (k: number): BucketedCodec => ({
  kind: 'bucketed',
  columns: (kind) => bucketColumns(k, kind),
  encode: (rows) => encodeBuckets(rows, (z) => largest(z, headOf(k, rows.classes))),
  tops: ({ index, shift }, { classes }) => {
    const width = headOf(k, classes)
    const tops = new Int32Array(shift!.length)
    for (let row = 0; row < tops.length; row++) tops[row] = index![row * width]!
    return tops
  },
  decode: (columns, kind) => decodeBuckets(columns, { k, ...kind }),
})
