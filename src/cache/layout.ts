import { type CodecName, MAX_BATCH_ROWS } from './manifest.js'

/** A record batch is written at once and read at once: large enough for the disk, small enough to hold two in memory. */
const BATCH_BYTES = 4 * 2 ** 20
/** The id's bytes are not known beforehand; a dozen is usual. */
const ID_BYTES = 12

/** Bytes of one row on disk, an id of usual length included: what `--dry-run` multiplies. */
export function bytesPerRow(codec: CodecName, classes: number): number {
  const target = codec === 'f32' ? 4 * classes : 2 * classes + 4
  return target + 4 + 4 + ID_BYTES
}

/** Rows per record batch (about 4 MiB) and per shard (about `shardBytes`, a whole number of batches): two numbers of a plan. */
export function chooseRows(options: { codec: CodecName; classes: number; shardBytes: number }): {
  rowsPerBatch: number
  rowsPerShard: number
} {
  const row = bytesPerRow(options.codec, options.classes)
  const whole = Math.max(1, Math.floor(Math.min(BATCH_BYTES, options.shardBytes) / row))
  const rowsPerBatch = Math.min(whole < 64 ? whole : whole - (whole % 64), MAX_BATCH_ROWS)
  const batches = Math.max(1, Math.round(options.shardBytes / row / rowsPerBatch))
  return { rowsPerBatch, rowsPerShard: batches * rowsPerBatch }
}
