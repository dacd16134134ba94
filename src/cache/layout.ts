import { type CodecName, MAX_BATCH_ROWS } from './manifest.js'

/** A record batch is written at once and read at once: large enough for the disk, small enough to hold two in memory. */
export const BATCH_BYTES = 4 * 2 ** 20
/** The id's bytes are not known beforehand; a dozen is usual. */
const ID_BYTES = 12

export interface RowKind {
  codec: CodecName
  classes: number
}

/** Bytes of one row on disk, an id of usual length included: what `--dry-run` multiplies. */
export function bytesPerRow(codec: CodecName, classes: number): number {
  const target = codec === 'f32' ? 4 * classes : 2 * classes + 4
  return target + 4 + 4 + ID_BYTES
}

/** How many rows take about `bytes`: at least one, at most a batch may have, a multiple of 64 where there are that many. */
export function rowsIn(bytes: number, { codec, classes }: RowKind): number {
  const rows = Math.max(1, Math.floor(bytes / bytesPerRow(codec, classes)))
  return Math.min(rows < 64 ? rows : rows - (rows % 64), MAX_BATCH_ROWS)
}

/** Rows per record batch (about 4 MiB, or one shard) and per shard (about `shardBytes`, whole batches): two numbers of a plan. */
export function chooseRows(options: RowKind & { shardBytes: number }): { rowsPerBatch: number; rowsPerShard: number } {
  const { codec, classes, shardBytes } = options
  const rowsPerBatch = rowsIn(Math.min(BATCH_BYTES, shardBytes), options)
  const batches = Math.max(1, Math.round(shardBytes / bytesPerRow(codec, classes) / rowsPerBatch))
  return { rowsPerBatch, rowsPerShard: batches * rowsPerBatch }
}
