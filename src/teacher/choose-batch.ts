import type { Plan, RowKind } from '../cache/index.js'
import type { Batch, Inputs } from '../source/index.js'
import type { Device } from './device.js'
import type { Calls } from './find-calls.js'
import type { ExportEvent, PlannedExport } from './options.js'
import { type FedArray, type Feeds, repeatRows } from './run-rows.js'
import { tuneBatch } from './tune-batch.js'

/** Largest batch that is tried, in bytes of its inputs or of its logits. */
const MAX_BATCH_BYTES = 256 * 2 ** 20

export interface ChooseBatch {
  options: PlannedExport
  calls: Calls
  /** The plan of an unfinished export in the folder. */
  before: Plan | undefined
  device: Device
  first: Batch
  feed: (batch: Batch) => Feeds
  kind: RowKind
  onEvent: (event: ExportEvent) => void
}

/**
 * Rows of a call: the only number that is right, where there is one; else given, else as the unfinished export in the folder has it (its shards must come out
 * the same), else measured. `together` rows are never parted by a stretch: whole calls, and every view of a sample.
 */
export async function chooseBatch(options: ChooseBatch): Promise<{ batch: number; together: number }> {
  const { calls, onEvent } = options
  const views = options.options.source.views?.count ?? 1
  const only = calls.alone ? 1 : calls.fixedBatch?.rows
  if (only === undefined) {
    const batch = await chooseFreely(options)
    return { batch, together: batch }
  }
  onEvent({ type: 'batch', batch: only, why: 'the only one' })
  return { batch: only, together: only * views }
}

async function chooseFreely({ options, before, device, first, feed, kind, onEvent }: ChooseBatch): Promise<number> {
  const views = options.source.views?.count ?? 1
  if (options.batch !== undefined) {
    const batch = wholeSamples(options.batch, views)
    onEvent({ type: 'batch', batch, why: 'given' })
    return batch
  }
  if (before) {
    onEvent({ type: 'batch', batch: before.runtime.batch, why: 'as before' })
    return before.runtime.batch
  }
  const width = (first.inputs.length / first.rows) * first.inputs.BYTES_PER_ELEMENT
  const logits = 4 * kind.classes * (kind.positions ?? 1)
  const { batch: best, timings } = await tuneBatch({
    signal: options.signal,
    most: Math.min(options.source.rows, Math.max(1, Math.floor(MAX_BATCH_BYTES / Math.max(width, logits)))),
    run: (rows) => device.run(feed(repeat(first, rows)), rows),
  })
  const batch = wholeSamples(best, views)
  onEvent({ type: 'batch', batch, why: 'measured', timings })
  return batch
}

/** A batch holds every view of its samples. */
export const wholeSamples = (rows: number, views: number) => Math.max(1, Math.round(rows / views)) * views

/** The first rows again and again, in memory of their own: they are moved to the device. */
function repeat(first: Batch, rows: number): Batch {
  const fill = <T extends Inputs & FedArray>(values: T): T =>
    rows === first.rows ? (values.slice() as T) : repeatRows(values, first.rows, rows)
  return { ...first, rows, inputs: fill(first.inputs), labels: fill(first.labels) }
}
