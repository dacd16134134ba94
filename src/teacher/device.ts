import type { InferenceSession } from 'onnxruntime-node'
import { DecantError, FormatError, UnavailableError } from '../errors.js'
import type { BufferPool } from '../source/index.js'
import { startThread } from '../thread.js'
import { explainRefusal } from './explain-refusal.js'
import { type Provider, sessionOptions } from './provider.js'
import { buffersOf, type FeedSpec, type Feeds, type TeacherOutput } from './run-rows.js'
import type { TargetOf } from './target.js'

/** A fused teacher, and what it runs on. */
export interface DeviceModel {
  provider: Provider
  /** Bytes, or the path of a model whose weights lie in files beside it. */
  model: Uint8Array | string
  options: InferenceSession.SessionOptions
  /** What the fused teacher is fed. */
  inputs: readonly FeedSpec[]
  /** The graph gives float32 logits, and the worker makes the columns of a codec of them. */
  encode: TargetOf | undefined
  /** Rows of each call; fewer are filled up by repeating them. undefined: any number. */
  fixedBatch: number | undefined
}
export interface RunRequest {
  kind: 'run'
  id: number
  feeds: Feeds
  rows: number
  batch: number | undefined
  /** Of outputs that were taken back. */
  memory: ArrayBuffer[]
}
export type DeviceRequest = RunRequest | ({ kind: 'load' } & DeviceModel)
export type DeviceReply =
  | { kind: 'ready' }
  | { kind: 'refused'; reason: string }
  | { kind: 'halved'; limit: number }
  | { kind: 'output'; id: number; output: TeacherOutput; feeds: Feeds }
  | { kind: 'failed'; id: number; reason: string }
  /** A file of the source, not the teacher, was at fault. */
  | { kind: 'unreadable'; id: number; reason: string }

/** What a device is to run. */
export interface FusedTeacher {
  model: Uint8Array | string
  sessionOptions?: InferenceSession.SessionOptions
  inputs: readonly FeedSpec[]
  encode?: TargetOf | undefined
  fixedBatch?: { rows: number } | undefined
}

export interface DeviceOptions extends FusedTeacher {
  /** Path of the teacher's model, for errors. */
  teacher: string
  provider: Provider
  device: number
  /** Gets the feeds' buffers back when they have been run. */
  buffers?: BufferPool
  /** Memory ran out; at most `limit` rows are run at once from now on. */
  onHalved?: (limit: number) => void
}

/** One device with the fused teacher loaded, in a thread of its own. */
export interface Device {
  readonly pending: number
  /** Runs `rows` rows, at most `batch` in one call of the runtime; the arrays' buffers are moved to the thread and are no longer usable here. */
  run(feeds: Feeds, rows: number, batch?: number): Promise<TeacherOutput>
  /** Gives the memory of an output of this device back for the next ones; its arrays are no longer usable. */
  takeBack(output: TeacherOutput): void
  /** Runs another graph from now on; the one before goes first. For a device that is idle. */
  load(fused: FusedTeacher): Promise<void>
  /** Waits for what is running: a thread that is ended inside ONNX Runtime takes the whole process with it. */
  close(): Promise<void>
}

/** Loads the teacher on a device. Throws DecantError where the model is at fault, UnavailableError with the runtime's own words where the provider refuses. */
export async function openDevice(options: DeviceOptions): Promise<Device> {
  const { provider, device } = options
  const modelOf = ({ model, inputs, encode, fixedBatch, sessionOptions: own }: FusedTeacher): DeviceModel => {
    const base = sessionOptions(provider, device)
    const options = { ...base, ...own, extra: { ...base.extra, ...own?.extra } }
    return { provider, model, inputs, encode, fixedBatch: fixedBatch?.rows, options }
  }
  const worker = startThread('./device-worker', import.meta.url, modelOf(options))
  const waiting = new Map<number, { resolve(output: TeacherOutput): void; reject(error: Error): void }>()
  const back: ArrayBuffer[] = []
  let next = 0
  let idled = () => {}
  const idle = () => (waiting.size === 0 ? undefined : new Promise<void>((resolve) => (idled = resolve)))
  const settle = (id: number) => {
    const job = waiting.get(id)
    waiting.delete(id)
    if (waiting.size === 0) idled()
    return job
  }

  let loading = { resolve() {}, reject(_: Error) {} }
  const load = () => new Promise<void>((resolve, reject) => (loading = { resolve, reject }))
  const fail = (error: Error) => {
    loading.reject(error)
    for (const { reject } of waiting.values()) reject(error)
    waiting.clear()
    idled()
  }
  worker.on('error', fail)
  worker.on('exit', (code) => fail(new DecantError(`the thread of ${provider}:${device} ended with code ${code}`)))
  worker.on('message', (reply: DeviceReply) => {
    if (reply.kind === 'ready') return loading.resolve()
    if (reply.kind === 'refused') {
      const fault = explainRefusal(reply.reason)
      if (fault) return fail(new DecantError(`${options.teacher}: ${fault}`))
      return fail(new UnavailableError(`provider ${provider}, device ${device}: ${reply.reason}`))
    }
    if (reply.kind === 'halved') return options.onHalved?.(reply.limit)
    const job = settle(reply.id)
    if (reply.kind === 'output') {
      for (const buffer of buffersOf(reply.feeds)) options.buffers?.give(buffer)
      job?.resolve(reply.output)
    } else if (reply.kind === 'unreadable') job?.reject(new FormatError(reply.reason))
    else
      job?.reject(new DecantError(`${options.teacher}: the teacher failed on ${provider}:${device}: ${reply.reason}`))
  })
  await load().catch(async (error: unknown) => {
    await worker.terminate()
    throw error
  })

  return {
    get pending() {
      return waiting.size
    },
    run(feeds, rows, batch) {
      const id = next++
      return new Promise((resolve, reject) => {
        waiting.set(id, { resolve, reject })
        const memory = back.splice(0)
        const request: DeviceRequest = { kind: 'run', id, feeds, rows, batch, memory }
        worker.postMessage(request, [...buffersOf(feeds), ...memory])
      })
    },
    takeBack({ rowSum, columns }) {
      const buffer = rowSum.buffer as ArrayBuffer
      // one that holds all of them is the device's own
      if (Object.values(columns).every((column) => column.buffer === buffer)) back.push(buffer)
    },
    load(fused) {
      back.length = 0 // of the graph before
      const loaded = load()
      worker.postMessage({ kind: 'load', ...modelOf(fused) } satisfies DeviceRequest)
      return loaded
    },
    async close() {
      await idle()
      worker.removeAllListeners('exit')
      await worker.terminate()
    },
  }
}
