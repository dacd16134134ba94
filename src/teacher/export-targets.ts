import { type Columns, createTargets, type Manifest, type TargetsWriter, viewsOf } from '../cache/index.js'
import { InterruptedError } from '../errors.js'
import type { Batch, Inputs, Source } from '../source/index.js'
import { createAccuracy } from './accuracy.js'
import { checkRows } from './check-rows.js'
import { type ExportEvent, type ExportOptions, rangeIn } from './options.js'
import { runInOrder } from './ordered.js'
import { type PreparedExport, prepareExport } from './prepare-export.js'

/**
 * Stage 1: runs the teacher once over the source and writes its raw logits as a soft-target dataset.
 * The same call on a folder that an earlier call left unfinished goes on where it stopped; the result is the same bytes.
 *
 * @returns the manifest
 * @throws DecantError: bad input; without a finished shard nothing is left behind. MismatchError: the folder holds another export. UnavailableError: the
 * provider cannot run. InterruptedError: stopped by `signal`; the same call resumes.
 */
export async function exportTargets(options: ExportOptions): Promise<Manifest> {
  const onEvent = options.onEvent ?? (() => {})
  const started = performance.now()
  const prepared = await prepareExport({ ...options, onEvent })
  try {
    const writer = await createTargets(options.out, prepared.plan)
    try {
      const already = writer.done
      if (!already) await writeShards({ source: options.source, options, prepared, writer, onEvent })
      const manifest = await writer.finish({ created: new Date().toISOString(), fidelity: prepared.fidelity })
      onEvent({ type: 'complete', ...totals(manifest), seconds: (performance.now() - started) / 1000, already })
      return manifest
    } catch (error) {
      await writer.withdraw()
      throw error
    } finally {
      await writer.close()
    }
  } finally {
    await prepared.close()
  }
}

const totals = ({ rows, shards }: Manifest) => ({
  rows,
  shards: shards.length,
  bytes: shards.reduce((sum, shard) => sum + shard.bytes, 0),
})

interface WriteOptions {
  source: Source
  options: ExportOptions
  prepared: PreparedExport
  writer: TargetsWriter
  onEvent: (event: ExportEvent) => void
}

/** Decoding, the devices and the disk overlap: while a batch is written the next ones run, and those after them are decoded. */
async function writeShards({ source, options, prepared, writer, onEvent }: WriteOptions): Promise<void> {
  const { plan, devices, feed, buffers, inFile, rowBytes, stretch } = prepared
  const perShard = plan.rowsPerShard * viewsOf(plan) // the source counts views as rows, the plan counts samples
  const { from: start, to: end } = rangeIn(source, plan.source.range)
  const from = start + writer.finishedShards * perShard
  if (from > start) onEvent({ type: 'resume', shards: writer.finishedShards, rows: Math.min(from, end) - start })
  if (from >= end) return // all but the manifest was written
  const accuracy = createAccuracy(plan)
  const pace = createPace(from - start, end - start, (progress) => {
    const share = accuracy.share()
    onEvent({ type: 'progress', ...progress, ...(share !== undefined && { accuracy: share }) })
  })

  let shard = writer.finishedShards
  let done = from
  // rowsPerShard is a multiple of the stretch, so no stretch lies in two shards
  const onError = options.onError ?? 'fail'
  const read = source.batches({ from, to: end, size: stretch, onError, buffers, ...(inFile && { inputs: false }) })
  const batches = plan.inputs ? keepInputs(read) : read
  for await (const { batch, output } of runInOrder(batches, devices, { feed, batch: plan.runtime.batch, rowBytes })) {
    if (batch.first === start + shard * perShard) await writer.beginShard(shard)
    for (const skipped of batch.skipped) onEvent({ type: 'skipped', ...skipped })
    if (output) {
      checkRows(batch, output)
      accuracy.add(batch.labels, output.columns)
    }
    await writer.append({
      rows: batch.rows,
      ids: batch.ids,
      labels: batch.labels,
      columns: { ...output?.columns, ...ownColumns(batch) },
      skipped: batch.skipped,
    })
    done = Math.min(batch.first + stretch, end)
    pace(done - start)
    const ends = start + (shard + 1) * perShard
    if (done < ends && done < end) continue
    const entry = await writer.endShard()
    shard++
    onEvent({ type: 'shard', file: entry.file, rows: entry.rows, bytes: entry.bytes })
    if (options.signal?.aborted && done < end) {
      throw new InterruptedError(
        `stopped: ${shard} shards with the first ${done - start} of ${end - start} rows are safe in ${options.out}; run the same command again to go on`,
      )
    }
  }
  const measured = accuracy.result()
  if (measured) onEvent({ type: 'accuracy', resumed: from > start, ...measured })
}

/** Copies the inputs: a batch's own buffer goes to the device. */
async function* keepInputs(batches: AsyncIterable<Batch>): AsyncGenerator<Batch & { kept: Inputs }> {
  for await (const batch of batches) yield { ...batch, kept: batch.inputs.slice() }
}

/** The columns that a batch brings with it. */
const ownColumns = ({ view, viewParams, kept }: Batch & { kept?: Inputs }): Columns => ({
  ...(view && { view }),
  ...(viewParams && { view_params: viewParams }),
  ...(kept && { input: kept }),
})

/** The rate is that of the last ten seconds or so: it follows a machine that slows down, and sessions whose batches come in at once. */
const PACE_MS = 10_000

type Progress = Omit<Extract<ExportEvent, { type: 'progress' }>, 'type' | 'accuracy'>

/** Reports at most ten times a second. */
function createPace(from: number, total: number, report: (progress: Progress) => void) {
  const seen = [{ at: performance.now(), rows: from }]
  return (done: number) => {
    const at = performance.now()
    if (at - seen.at(-1)!.at < 100 && done < total) return
    while (seen.length > 1 && seen[1]!.at <= at - PACE_MS) seen.shift()
    const rate = ((done - seen[0]!.rows) / Math.max(at - seen[0]!.at, 1e-3)) * 1000
    seen.push({ at, rows: done })
    report({ rows: done, total, rowsPerSecond: rate, secondsLeft: (total - done) / rate })
  }
}
