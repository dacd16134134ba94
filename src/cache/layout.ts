import { columnBytes, columnsOf, type RowKind } from './columns.js'
import { MAX_BATCH_ROWS } from './manifest.js'

/** A record batch is written at once and read at once: large enough for the disk, small enough to hold two in memory. */
export const BATCH_BYTES = 4 * 2 ** 20
/** The id's bytes are not known beforehand; a dozen is usual. */
const ID_BYTES = 12

const LABEL_BYTES = 4
const OFFSET_BYTES = 4

/** Bytes of one row on disk, an id of usual length included: what `--dry-run` multiplies. */
export const bytesPerRow = (kind: RowKind): number =>
  columnBytes(columnsOf(kind)) + LABEL_BYTES + OFFSET_BYTES + ID_BYTES

/** How many rows take about `bytes`: at least one, at most a batch may have, a multiple of 64 where there are that many. */
export function rowsIn(bytes: number, kind: RowKind): number {
  const rows = Math.max(1, Math.floor(bytes / bytesPerRow(kind)))
  return Math.min(rows < 64 ? rows : rows - (rows % 64), MAX_BATCH_ROWS)
}

/**
 * Rows per record batch (about 4 MiB, or one shard) and per shard (about `shardBytes`, whole batches): two numbers of a plan.
 * Both count rows of the dataset; a plan of several views divides `rowsPerShard` by them.
 */
export function chooseRows(options: RowKind & { shardBytes: number }): { rowsPerBatch: number; rowsPerShard: number } {
  const { shardBytes } = options
  const rowsPerBatch = rowsIn(Math.min(BATCH_BYTES, shardBytes), options)
  const batches = Math.max(1, Math.round(shardBytes / bytesPerRow(options) / rowsPerBatch))
  return { rowsPerBatch, rowsPerShard: batches * rowsPerBatch }
}
