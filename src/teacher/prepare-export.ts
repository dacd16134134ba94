import { createRequire } from 'node:module'
import {
  bytesPerRow,
  type CodecName,
  checkFolder,
  checkPlan,
  checkSamePlan,
  chooseRows,
  codecOf,
  type Fidelity,
  labelsByPosition,
  measureFidelity,
  type Plan,
  type RowKind,
  readPlan,
  rowKeys,
} from '../cache/index.js'
import { DecantError } from '../errors.js'
import { type Batch, BufferPool, type FileRows, type Source } from '../source/index.js'
import { version } from '../version.js'
import { checkRows } from './check-rows.js'
import { chooseBatch, wholeSamples } from './choose-batch.js'
import { chooseCodec } from './choose-codec.js'
import { chooseStretch } from './choose-stretch.js'
import { type Device, type FusedTeacher, openDevice } from './device.js'
import { type FusedModel, loadTeacher } from './load-teacher.js'
import { matchClasses } from './match-classes.js'
import { type ExportEvent, type PlannedExport, rangeIn } from './options.js'
import { orderColumns } from './order-columns.js'
import { chooseProvider, shareCores } from './provider.js'
import { recordTokens } from './record-tokens.js'
import type { Feeds } from './run-rows.js'
import { finiteTargets, sampleLogits, sampleRows } from './sample-rows.js'
import { tryTeacher } from './try-teacher.js'

export interface PreparedExport {
  plan: Plan
  /** Of the codec, on random rows; undefined where none of them is finite. */
  fidelity: Fidelity | undefined
  classes: number
  devices: Device[]
  /** What the fused teacher is fed of a batch; the batch's inputs are moved to it. */
  feed: (batch: Batch) => Feeds
  /** The batches' inputs are left there: the devices read them. */
  inFile: FileRows | undefined
  /** Of a row, input and targets. */
  rowBytes: number
  /** Rows decoded, sent to a device and written at once: whole batches, and a whole part of a shard. */
  stretch: number
  /** Of pixels that have been run, for the next batches. */
  buffers: BufferPool
  close(): Promise<void>
}

/** Buffers kept for the next batch: one more than are decoded ahead is never needed at once. */
const BUFFERS = 4

/** Rows looked at before anything is written; the batch search repeats them for larger batches. */
const FIRST_ROWS = 256

/**
 * Everything that can be refused before a byte is written: the teacher fits the source, the provider runs, the first rows come out
 * finite with labels the teacher knows. Finds the batch size and makes the plan.
 */
export async function prepareExport(
  options: PlannedExport & { onEvent: (event: ExportEvent) => void },
): Promise<PreparedExport> {
  const { source, onEvent } = options
  const { range } = options
  const views = source.views?.count ?? 1
  if ('preprocess' in options)
    throw new DecantError(
      'exportTargets: preprocess is an option of openSource: the source keeps it, and it is applied from there',
    )
  if (range && !(range.from < range.to && range.to * views <= source.rows))
    throw new DecantError(
      `rows ${range.from} to ${range.to}: ${source.uri} has ${source.rows / views} rows, counted from 0`,
    )
  if (options.out !== undefined) await checkFolder(options.out)
  const first = await firstBatch(source, options)
  const choice = chooseProvider(options.provider ?? 'auto', options.devices)
  const loaded = await loadTeacher({ ...options, told: options.logitsAre !== undefined })
  onEvent({ type: 'provider', ...choice })

  const devices: Device[] = []
  const buffers = new BufferPool(BUFFERS)
  const close = async () => {
    await Promise.all(devices.splice(0).map((device) => device.close()))
  }
  const open = async (device: number, fused: FusedTeacher) => {
    const onHalved = (batch: number) => onEvent({ type: 'out-of-memory', device, batch })
    const { provider } = choice
    const opened = await openDevice({ ...fused, teacher: options.teacher, provider, device, buffers, onHalved })
    devices.push(opened)
    return opened
  }
  try {
    const before = options.out === undefined ? undefined : await readPlan(options.out)
    const { settled, calls, run, load } = await tryTeacher({
      path: options.teacher,
      ...{ loaded, source, before },
      sample: await sampleRows(source, first, rangeIn(source, undefined)),
      told: options.logitsAre,
      twoClasses: [source.topLabel + 1, source.classes?.length, loaded.classLabels?.length].includes(2),
      provider: choice.provider,
      open: (fused) => open(choice.devices[0]!, fused),
    })
    const { alone, fixedBatch } = calls
    const { rule } = settled
    const { positions } = settled.teacher
    const classes = settled.sampled.columns.logits!.length / settled.sampled.rowSum.length
    const { file, output, logits, floor } = settled.teacher.origin
    const how = { file, output, logits, ...(rule && { rule }), ...(floor !== undefined && { floor }) }
    onEvent({ type: 'teacher', ...how, classes, ...(positions && { positions }) })
    const { attentionMask: column } = source.options
    if (column !== undefined) onEvent({ type: 'attention-mask', column })
    if (loaded.padding) onEvent({ type: 'padding', ...loaded.padding })
    if (calls.event) onEvent(calls.event)
    const names = matchClasses({ teacher: options.teacher, labels: loaded.classLabels, classes, source })
    const { teacher, raw, sampled } = await orderColumns({
      ...{ file: options.teacher, provider: choice.provider },
      ...{ loaded, settled, run, onEvent },
    })
    const origin = { ...teacher.origin, ...(rule && { rule }) }
    await load(raw)
    const began = performance.now()
    const sample = await sampleLogits(devices[0]!, first, { raw, alone })
    const secondsPerRow = (performance.now() - began) / 1000 / sample.rows
    checkRows(first, sample)

    const columns = {
      classes,
      ...(positions && { positions }),
      ...(source.views && { views: source.views }),
      ...(options.storeInputs && { inputs: { kind: source.input.kind, shape: source.input.shape } }),
    }
    const asked = rangeIn(source, range)
    // of a part, its own rows
    const own =
      range && (await sampleLogits(devices[0]!, await sampleRows(source, first, asked), { raw, spread: true, alone }))
    const targets = finiteTargets(own ?? sampled, classes)
    const codec = codecFor(options, { logits: targets, kind: columns, before })
    const kind = { ...columns, codec, ...labelsByPosition({ ...columns, codec }) }
    const fidelity = targets.length > 0 ? measureFidelity({ logits: targets, classes, codec }) : undefined

    // Not every WebGPU device has the operators and types that a codec takes in the graph: there the worker encodes.
    const fused = { ...teacher.fuse(kind, { inGraph: choice.provider !== 'webgpu' }), fixedBatch }
    const inFile = options.storeInputs ? undefined : source.inFile
    const feed = (batch: Batch) => feedOf(batch, fused, { kind, inFile })
    const { sessions, threads } = shareCores(choice.provider, {
      weightBytes: teacher.bytes,
      seconds: secondsPerRow * (asked.to - asked.from),
    })
    const each = {
      ...fused,
      sessionOptions: { ...fused.sessionOptions, ...(threads && { intraOpNumThreads: threads }) },
    }
    if (codec !== 'f32' || threads) await devices[0]!.load(each)
    const others = [...choice.devices.slice(1), ...Array<number>(sessions - 1).fill(choice.devices[0]!)]
    await Promise.all(others.map((device) => open(device, each)))

    const device = devices[0]!
    const { batch, together } = await chooseBatch({ options, calls, before, kind, device, first, feed, onEvent })
    const rows = chooseRows({ ...kind, shardBytes: (options.shardMb ?? 128) * 2 ** 20 })
    const rowBytes = first.inputs.byteLength / first.rows + bytesPerRow(kind)
    const { stretch, rowsPerShard } = chooseStretch({
      batch: together,
      rowsPerShard: rows.rowsPerShard,
      // left out rows close up within a stretch: what a batch then holds must be the same wherever it runs
      bytes: options.onError === 'skip' ? Number.POSITIVE_INFINITY : rowBytes,
      seconds: secondsPerRow,
      rows: asked.to - asked.from,
      sessions: devices.length,
    })
    const plan: Plan = {
      ...kind,
      names,
      rowsPerBatch: rows.rowsPerBatch,
      rowsPerShard: rowsPerShard / views,
      teacher: origin,
      source: {
        uri: source.uri,
        kind: source.kind,
        fingerprint: source.fingerprint,
        rows: source.rows / views,
        ...(range && { range }),
        ...(Object.keys(source.options).length > 0 && { options: source.options }),
      },
      preprocess:
        recordTokens(source, { teacher: loaded, classes, before }) ??
        (source.input.kind === 'image' ? { version: 1 } : null),
      runtime: {
        decant: version,
        onnxruntime: onnxruntimeVersion(),
        provider: choice.provider,
        precision: teacher.precision,
        batch,
        ...(alone && { rows: 'alone' as const }),
        ...(fixedBatch && { fixedBatch: fixedBatch.rows }),
        ...(source.decoder !== undefined && { decoder: source.decoder }),
      },
      ...licencesOf(options, before),
    }
    const checked = checkPlan(plan)
    if (options.out !== undefined && before) checkSamePlan(options.out, before, checked)
    return { plan: checked, fidelity, classes, devices, feed, buffers, inFile, rowBytes, stretch, close }
  } catch (error) {
    await close()
    throw error
  }
}

async function firstBatch(source: Source, { range, onError = 'fail' }: PlannedExport): Promise<Batch> {
  const views = source.views?.count ?? 1
  const size = wholeSamples(Math.min(FIRST_ROWS, Math.max(1, source.rows)), views)
  for await (const batch of source.batches({ ...rangeIn(source, range), size, onError })) {
    if (batch.rows > 0) return batch
  }
  throw new DecantError(`${source.uri}: no readable sample in it`)
}

/** Given, else as the unfinished export in the folder has it, else the smallest that holds. */
function codecFor(
  { codec = 'f16', maxKl = 1e-3, onEvent }: PlannedExport,
  { before, ...sample }: { logits: Float32Array; kind: Omit<RowKind, 'codec'>; before: Plan | undefined },
): CodecName {
  if (codec !== 'auto') return codec
  const { codec: chosen, trials } = before ? { codec: before.codec, trials: [] } : chooseCodec({ ...sample, maxKl })
  onEvent?.({ type: 'codec', codec: chosen, trials })
  return chosen
}

/** Given, else as the export in the folder has it: the same command goes on, whoever was asked the first time. */
function licencesOf({ license, teacherLicense }: PlannedExport, before: Plan | undefined): Licences {
  const teacher = teacherLicense ?? before?.teacherLicense
  return {
    license: license ?? before?.license ?? null,
    ...(teacher !== undefined && { teacherLicense: teacher }),
  }
}

type Licences = Pick<Plan, 'license' | 'teacherLicense'>

/** What a fused teacher is fed of a batch. The batch's inputs are moved to it, or named where they lie in a file; its labels are copied. */
function feedOf(
  batch: Batch,
  { inputs: [data] }: FusedModel,
  { kind, inFile }: { kind?: RowKind; inFile?: FileRows | undefined } = {},
): Feeds {
  const lies = inFile && batch.inputs.length === 0
  const inputs = lies ? { ...inFile, position: inFile.position + batch.first * inFile.bytes } : batch.inputs
  if (!kind || codecOf(kind.codec).kind === 'dense') return { [data!.name]: inputs }
  const feeds: Feeds = { [data!.name]: inputs, label: batch.labels.slice() }
  if (kind.codec.startsWith('sampled')) {
    const keys = rowKeys({ ids: batch.ids, view: batch.view })
    // again and again where the first rows are repeated
    feeds.keys = Int32Array.from({ length: batch.rows }, (_, row) => keys[row % keys.length]!)
  }
  return feeds
}

function onnxruntimeVersion(): string {
  const require = createRequire(import.meta.url)
  return (require('onnxruntime-node/package.json') as { version: string }).version
}
