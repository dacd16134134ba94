import { bytesPerRow } from '../cache/index.js'
import { type Accuracy, createAccuracy } from './accuracy.js'
import { type PlannedExport, rangeIn } from './options.js'
import { runInOrder } from './ordered.js'
import { prepareExport } from './prepare-export.js'
import type { Provider } from './provider.js'

/** What an export would write and how long it would take. */
export interface ExportEstimate {
  rows: number
  classes: number
  bytesPerRow: number
  bytes: number
  shards: number
  provider: Provider
  devices: number[]
  batch: number
  rowsPerSecond: number
  /** To prepare (load the teacher, choose the batch) and to run all rows; what the disk takes for `bytes` is not in it. */
  seconds: number
  /** Of the rows that were run; absent where none of them has a label, and for sequences. */
  accuracy?: Accuracy
}

/** Real batches are decoded and run for at least this long. */
const LEAST_MS = 1500

/**
 * Does everything that an export does before its first byte, times a few batches of the real source, and writes nothing. Without `out`, no folder is looked at.
 * @throws whatever `exportTargets` refuses before its first byte
 */
export async function estimateExport(options: PlannedExport): Promise<ExportEstimate> {
  const { source } = options
  const began = performance.now()
  const prepared = await prepareExport({ ...options, onEvent: options.onEvent ?? (() => {}) })
  const { plan, devices, classes, feed, rowBytes, inFile, stretch } = prepared
  try {
    const { batch, provider } = plan.runtime
    const started = performance.now()
    const accuracy = createAccuracy(plan)
    let rows = 0
    const batches = source.batches({
      ...rangeIn(source, options.range),
      size: stretch,
      onError: options.onError ?? 'fail',
      ...(inFile && { inputs: false }),
    })
    for await (const each of runInOrder(batches, devices, { feed, batch, rowBytes })) {
      rows += each.batch.rows
      if (each.output) accuracy.add(each.batch.labels, each.output.columns)
      if (performance.now() - started > LEAST_MS) break
    }
    const rowsPerSecond = (rows / (performance.now() - started)) * 1000
    const row = bytesPerRow(plan)
    const measured = accuracy.result()
    const { from, to } = rangeIn(source, options.range)
    return {
      rows: to - from,
      classes,
      bytesPerRow: row,
      bytes: row * (to - from),
      shards: Math.ceil((to - from) / (source.views?.count ?? 1) / plan.rowsPerShard),
      provider: provider as Provider,
      devices: options.devices ?? [0],
      batch,
      rowsPerSecond,
      seconds: (started - began) / 1000 + (to - from) / rowsPerSecond,
      ...(measured && { accuracy: measured }),
    }
  } finally {
    await prepared.close()
  }
}
