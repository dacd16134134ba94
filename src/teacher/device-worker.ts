/** The thread of one device. `session.run` of onnxruntime-node blocks the thread that calls it, so each device has its own. */
import { parentPort, workerData } from 'node:worker_threads'
import { Tensor } from 'onnxruntime-node'
import { codecOf } from '../cache/index.js'
import type { DeviceInit, DeviceReply, DeviceRequest, Encode } from './device.js'
import { openSession } from './open-session.js'
import { createRowRunner, type Feeds, type TeacherOutput, type Words } from './run-rows.js'

const port = parentPort!
/** What goes wrong in a run is thrown, and memory that runs out is dealt with: the runtime need not print it too. */
const quiet = { logSeverityLevel: 4 } as const
const { provider, model, options, inputs, encode } = workerData as DeviceInit
const reply = (message: DeviceReply, transfer: ArrayBuffer[] = []) => port.postMessage(message, transfer)

/** The runtime's own buffers are handed on as they are. A Float16Array (Node 24) and a Uint16Array hold the same bits. */
function words(tensor: Tensor): Words {
  const data = tensor.data as Float32Array
  return tensor.type === 'float16' ? new Uint16Array(data.buffer, data.byteOffset, data.length) : data
}

/** The runtime's words in one line. */
const reasonOf = (error: unknown) =>
  String((error as Error)?.message ?? error)
    .trim()
    .replace(/\s+/g, ' ')

const feed = (feeds: Feeds, rows: number) =>
  Object.fromEntries(
    inputs.map(({ name, dtype, shape }) => [name, new Tensor(dtype, feeds[name]!, [rows, ...shape]) as Tensor]),
  )

async function start() {
  const session = await openSession({ provider, model, options, inputs })
  const runner = createRowRunner(
    async (feeds, rows): Promise<TeacherOutput> => {
      const { row_sum, ...outputs } = await session.run(feed(feeds, rows), quiet)
      const columns = Object.fromEntries(Object.entries(outputs).map(([name, tensor]) => [name, words(tensor)]))
      return {
        rows,
        columns: encode ? encodeColumns(columns, encode) : columns,
        rowSum: words(row_sum!) as Float32Array,
      }
    },
    (limit) => reply({ kind: 'halved', limit }),
  )
  port.on('message', (request: DeviceRequest) => {
    runner.run(request.feeds, request.rows, request.batch).then(
      (output) => {
        const { id, feeds } = request
        const moved = [output.rowSum, ...Object.values(output.columns), ...Object.values(feeds)].map(
          ({ buffer }) => buffer,
        )
        reply({ kind: 'output', id, output, feeds }, [...new Set(moved as ArrayBuffer[])])
      },
      (error: unknown) => reply({ kind: 'failed', id: request.id, reason: reasonOf(error) }),
    )
  })
  reply({ kind: 'ready' })
}

/** What the graph does elsewhere. */
const encodeColumns = ({ logits, ...others }: Record<string, Words>, { codec, classes }: Encode) => ({
  ...others,
  ...codecOf(codec).encode(logits as Float32Array, classes),
})

start().catch((error: unknown) => reply({ kind: 'refused', reason: reasonOf(error) }))
