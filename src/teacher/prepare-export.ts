import { createRequire } from 'node:module'
import { chooseRows, type Plan, readPlan } from '../cache/index.js'
import { DecantError } from '../errors.js'
import type { Batch, Inputs, Source } from '../source/index.js'
import { version } from '../version.js'
import { checkRows } from './check-rows.js'
import { type Device, openDevice } from './device.js'
import { loadTeacher } from './load-teacher.js'
import type { ExportEvent, ExportOptions } from './options.js'
import { chooseProvider } from './provider.js'
import type { Feeds } from './run-rows.js'
import { tuneBatch } from './tune-batch.js'

export interface PreparedExport {
  plan: Plan
  classes: number
  devices: Device[]
  /** What the fused teacher is fed of a batch; the batch's inputs are moved to it. */
  feed: (batch: Batch) => Feeds
  close(): Promise<void>
}

/** Rows looked at before anything is written; the batch search repeats them for larger batches. */
const FIRST_ROWS = 256
/** Largest batch that is tried, in bytes of input. */
const MAX_BATCH_BYTES = 256 * 2 ** 20

/**
 * Everything that can be refused before a byte is written: the teacher fits the source, the provider runs, the first rows come out
 * finite with labels the teacher knows. Finds the batch size and makes the plan.
 */
export async function prepareExport(
  options: ExportOptions & { onEvent: (event: ExportEvent) => void },
): Promise<PreparedExport> {
  const { source, codec = 'f16', onEvent } = options
  const first = await firstBatch(source, options.onError ?? 'fail')
  const choice = chooseProvider(options.provider ?? 'auto', options.devices)
  // Not every WebGPU device has float16, which the graph's cast would take: there the worker makes it.
  const encode = codec === 'f16' && choice.provider === 'webgpu'
  const teacher = await loadTeacher({ ...options, codec: encode ? 'f32' : codec })
  onEvent({ type: 'provider', ...choice })

  const devices: Device[] = []
  const close = async () => {
    await Promise.all(devices.map((device) => device.close()))
  }
  try {
    for (const device of choice.devices) {
      devices.push(
        await openDevice({
          teacher: options.teacher,
          provider: choice.provider,
          device,
          model: teacher.model,
          sessionOptions: teacher.sessionOptions,
          inputs: teacher.inputs,
          encode,
          onHalved: (batch) => onEvent({ type: 'out-of-memory', device, batch }),
        }),
      )
    }
    const feed = ({ inputs }: Pick<Batch, 'inputs'>): Feeds => ({ [teacher.inputs[0]!.name]: inputs })
    const output = await devices[0]!.run(feed({ inputs: first.inputs.slice() }), first.rows)
    const classes = output.columns.logits!.length / output.rows
    onEvent({
      type: 'teacher',
      file: teacher.origin.file,
      output: teacher.origin.output,
      logits: teacher.origin.logits,
      classes,
    })
    const names = classNames(options, classes)
    checkRows(first, output)

    const batch = await chooseBatch({ options, device: devices[0]!, first, feed, onEvent })
    const rows = chooseRows({ codec, classes, shardBytes: (options.shardMb ?? 128) * 2 ** 20 })
    const plan: Plan = {
      classes,
      names,
      codec,
      rowsPerBatch: rows.rowsPerBatch,
      // whole batches, so that what one shard holds does not depend on where a run began
      rowsPerShard: Math.max(1, Math.round(rows.rowsPerShard / batch)) * batch,
      teacher: teacher.origin,
      source: {
        uri: source.uri,
        kind: source.kind,
        fingerprint: source.fingerprint,
        rows: source.rows,
        ...(Object.keys(source.options).length > 0 && { options: source.options }),
      },
      preprocess: options.preprocess ?? { version: 1 },
      runtime: {
        decant: version,
        onnxruntime: onnxruntimeVersion(),
        provider: choice.provider,
        precision: teacher.precision,
        batch,
        ...(source.decoder !== undefined && { decoder: source.decoder }),
      },
      license: options.license ?? null,
    }
    return { plan, classes, devices, feed, close }
  } catch (error) {
    await close()
    throw error
  }
}

/** The names of the classes, where they are known; labels, names and the teacher's classes must belong together. */
function classNames({ source, names, teacher }: ExportOptions, classes: number): string[] | null {
  if (source.topLabel >= classes) {
    throw new DecantError(
      `${source.uri} has labels up to ${source.topLabel}, the teacher ${teacher} has classes 0..${classes - 1}: they do not belong together`,
    )
  }
  const different = names && source.classes?.findIndex((name, label) => name !== names[label])
  if (names && different !== undefined && different >= 0) {
    throw new DecantError(
      `label ${different} of ${source.uri} is the directory '${source.classes![different]}', the class names given say '${names[different]}'`,
    )
  }
  const known = names ?? source.classes ?? null
  if (known && known.length !== classes) {
    throw new DecantError(
      `${known.length} class names for ${classes} logits: the teacher ${teacher} and the classes of ${source.uri} do not belong together`,
    )
  }
  return known
}

async function firstBatch(source: Source, onError: 'fail' | 'skip'): Promise<Batch> {
  for await (const batch of source.batches({ size: Math.min(FIRST_ROWS, Math.max(1, source.rows)), onError })) {
    if (batch.rows > 0) return batch
  }
  throw new DecantError(`${source.uri}: no readable sample in it`)
}

interface ChooseBatch {
  options: ExportOptions
  device: Device
  first: Batch
  feed: (batch: Pick<Batch, 'inputs'>) => Feeds
  onEvent: (event: ExportEvent) => void
}

/** Given, else as the unfinished export in the folder has it (its shards must come out the same), else measured. */
async function chooseBatch({ options, device, first, feed, onEvent }: ChooseBatch): Promise<number> {
  if (options.batch !== undefined) {
    onEvent({ type: 'batch', batch: options.batch, why: 'given' })
    return options.batch
  }
  const before = await readPlan(options.out)
  if (before) {
    onEvent({ type: 'batch', batch: before.runtime.batch, why: 'as before' })
    return before.runtime.batch
  }
  const width = first.inputs.length / first.rows
  const { batch, timings } = await tuneBatch({
    signal: options.signal,
    most: Math.min(
      options.source.rows,
      Math.max(1, Math.floor(MAX_BATCH_BYTES / (width * first.inputs.BYTES_PER_ELEMENT))),
    ),
    run: (rows) => device.run(feed({ inputs: repeat(first.inputs, rows * width) }), rows),
  })
  onEvent({ type: 'batch', batch, why: 'measured', timings })
  return batch
}

function repeat(inputs: Inputs, length: number): Inputs {
  const out = new (inputs.constructor as new (length: number) => Inputs)(length)
  for (let at = 0; at < length; at += inputs.length)
    out.set(inputs.subarray(0, Math.min(inputs.length, length - at)), at)
  return out
}

function onnxruntimeVersion(): string {
  const require = createRequire(import.meta.url)
  return (require('onnxruntime-node/package.json') as { version: string }).version
}
