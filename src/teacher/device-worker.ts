/** The thread of one device. `session.run` of onnxruntime-node blocks the thread that calls it, so each device has its own. */
import { parentPort, workerData } from 'node:worker_threads'
import { type InferenceSession, Tensor } from 'onnxruntime-node'
// not from its index: all of the cache takes ten times as long to load, and there is a thread a session
import { codecOf } from '../cache/codecs/codec.js'
import { uniformsOf } from '../cache/codecs/uniforms.js'
import { nextTokens } from '../cache/next-tokens.js'
import { FormatError } from '../errors.js'
import { type FileRows, readFileRows } from '../source/file-rows.js'
import type { DeviceModel, DeviceReply, DeviceRequest, RunRequest } from './device.js'
import { arrays, openSession } from './open-session.js'
import { OutputMemory, toOutput } from './output-memory.js'
import {
  buffersOf,
  copyOutput,
  createRowRunner,
  type FeedSpec,
  type Feeds,
  isArray,
  repeatRows,
  sliceOutput,
  type TeacherOutput,
  type Words,
  words,
} from './run-rows.js'
import type { TargetOf } from './target.js'

const port = parentPort!
/** What goes wrong in a run is thrown, and memory that runs out is dealt with: the runtime need not print it too. */
const quiet = { logSeverityLevel: 4 } as const
const reply = (message: DeviceReply, transfer: ArrayBuffer[] = []) => port.postMessage(message, transfer)

/** The runtime's words in one line. */
const reasonOf = (error: unknown) =>
  String((error as Error)?.message ?? error)
    .trim()
    .replace(/\s+/g, ' ')

interface Loaded {
  session: InferenceSession
  run(request: RunRequest): Promise<TeacherOutput>
}

async function load(model: DeviceModel): Promise<Loaded> {
  const { inputs, encode, fixedBatch } = model
  const session = await openSession(model)
  const read = createFileReader()
  const arrayOf = (feeds: Feeds, rows: number, { name, dtype, shape: [positions, width] }: FeedSpec) => {
    if (name === 'uniforms')
      return uniformsOf(unsigned(feeds.keys as Int32Array), { positions: positions!, width: width! })
    const given = feeds[name]!
    return isArray(given)
      ? given
      : new arrays[dtype](read(given, rows), 0, (rows * given.bytes) / arrays[dtype].BYTES_PER_ELEMENT)
  }
  const feed = (feeds: Feeds, rows: number, call: number) =>
    Object.fromEntries(
      inputs.map((input) => {
        const array = repeatRows(arrayOf(feeds, rows, input), rows, call)
        return [input.name, new Tensor(input.dtype, array, [call, ...input.shape]) as Tensor]
      }),
    )
  const memory = new OutputMemory()
  const runner = createRowRunner(
    async (feeds, rows, into): Promise<TeacherOutput> => {
      const call = fixedBatch ?? rows
      const fed = feed(feeds, rows, call)
      if (into && call === rows) {
        await session.run(fed, memory.tensors(into), quiet)
        return into
      }
      const tensors = await session.run(fed, quiet)
      if (!encode) memory.learn(tensors, call)
      const outputs = Object.entries(tensors).map(([name, tensor]) => [name, words(tensor)])
      const all = toOutput(Object.fromEntries(outputs), call)
      const output = call === rows ? all : sliceOutput(all, { at: 0, size: rows })
      if (into) return copyOutput(output, into)
      if (!encode) return output
      const tokens = (fed.tokens?.data as Int32Array | undefined)?.subarray(0, (fed.tokens!.size / call) * rows)
      return { ...output, columns: encodeColumns(output.columns, { ...feeds, ...(tokens && { tokens }) }, encode) }
    },
    (limit) => reply({ kind: 'halved', limit }),
    fixedBatch,
  )
  return {
    session,
    run({ feeds, rows, batch, memory: back }) {
      memory.give(back)
      return runner.run(feeds, rows, { batch, into: memory.take(rows) })
    },
  }
}

/** The next graph's session is opened after the last one's has gone: a device may not hold both. */
async function replace(last: Loaded, model: DeviceModel): Promise<Loaded> {
  await last.session.release()
  return load(model)
}

function serve(loaded: Promise<Loaded>): Promise<Loaded> {
  loaded.then(
    () => reply({ kind: 'ready' }),
    (error: unknown) => reply({ kind: 'refused', reason: reasonOf(error) }),
  )
  return loaded
}

let current = serve(load(workerData as DeviceModel))

port.on('message', (request: DeviceRequest) => {
  if (request.kind === 'load') {
    current = serve(current.then((last) => replace(last, request)))
    return
  }
  current = current.then(async (loaded) => {
    await run(loaded, request) // before the next: both read into the same memory
    return loaded
  })
})

async function run(loaded: Loaded, request: RunRequest): Promise<void> {
  const { id, feeds } = request
  try {
    const output = await loaded.run(request)
    const moved = [output.rowSum, ...Object.values(output.columns)].map(({ buffer }) => buffer as ArrayBuffer)
    reply({ kind: 'output', id, output, feeds }, [...new Set([...moved, ...buffersOf(feeds)])])
  } catch (error) {
    reply({ kind: error instanceof FormatError ? 'unreadable' : 'failed', id, reason: reasonOf(error) })
  }
}

/** Reads rows into the same memory each time: what a batch reads is still in the processor's cache when the session runs it. */
function createFileReader() {
  let memory = new ArrayBuffer(0)
  return (rows: FileRows, count: number): ArrayBuffer => {
    const bytes = count * rows.bytes
    if (memory.byteLength < bytes) memory = new ArrayBuffer(bytes)
    readFileRows(rows, new Uint8Array(memory, 0, bytes))
    return memory
  }
}

/** What the graph does elsewhere. */
const encodeColumns = (
  { logits, ...others }: Record<string, Words>,
  { label, keys, tokens }: Feeds,
  { codec, classes, positions, positionLabels }: TargetOf,
) => ({
  ...others,
  ...codecOf(codec).encode({
    logits: logits as Float32Array,
    classes,
    positions,
    labels: positions
      ? positionLabels && nextTokens(tokens as Int32Array, { positions, classes })
      : (label as Int32Array),
    keys: keys && unsigned(keys as Int32Array),
  }),
})

const unsigned = ({ buffer, byteOffset, length }: Int32Array) => new Uint32Array(buffer, byteOffset, length)
