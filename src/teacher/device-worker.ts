/** The thread of one device. `session.run` of onnxruntime-node blocks the thread that calls it, so each device has its own. */
import { parentPort, workerData } from 'node:worker_threads'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { codecs } from '../cache/index.js'
import type { DeviceInit, DeviceReply, DeviceRequest } from './device.js'
import { openOnWebgpu } from './open-session.js'
import { createRowRunner, type TeacherOutput } from './run-rows.js'

const port = parentPort!
/** What goes wrong in a run is thrown, and memory that runs out is dealt with: the runtime need not print it too. */
const quiet = { logSeverityLevel: 4 } as const
const { provider, model, options, shape, encode } = workerData as DeviceInit
const reply = (message: DeviceReply, transfer: ArrayBuffer[] = []) => port.postMessage(message, transfer)

/** The runtime's own buffers are handed on as they are. A Float16Array (Node 24) and a Uint16Array hold the same bits. */
function words(tensor: Tensor): Float32Array | Uint16Array {
  const data = tensor.data as Float32Array
  return tensor.type === 'float16' ? new Uint16Array(data.buffer, data.byteOffset, data.length) : data
}

/** The runtime's words in one line. */
const reasonOf = (error: unknown) =>
  String((error as Error)?.message ?? error)
    .trim()
    .replace(/\s+/g, ' ')

async function start() {
  const session =
    provider === 'webgpu'
      ? await openOnWebgpu(model, options, shape)
      : typeof model === 'string'
        ? await InferenceSession.create(model, options)
        : await InferenceSession.create(model, options)
  const runner = createRowRunner(
    async (pixels, rows): Promise<TeacherOutput> => {
      const output = await session.run({ pixels: new Tensor('uint8', pixels, [rows, ...shape]) }, quiet)
      const rowSum = output.row_sum!.data as Float32Array
      const logits = words(output.logits!)
      if (!encode) return { rows, logits, rowSum, shift: output.shift?.data as Float32Array | undefined }
      const [halves, shift] = codecs.f16.encode(logits as Float32Array, logits.length / rows)
      return { rows, logits: halves as Uint16Array, rowSum, shift: shift as Float32Array }
    },
    (limit) => reply({ kind: 'halved', limit }),
  )
  port.on('message', (request: DeviceRequest) => {
    runner.run(request.pixels, request.rows).then(
      (output) => {
        const buffers = [output.logits, output.rowSum, ...(output.shift ? [output.shift] : [])].map(
          (x) => x.buffer as ArrayBuffer,
        )
        reply({ kind: 'output', id: request.id, output }, [...new Set(buffers)])
      },
      (error: unknown) => reply({ kind: 'failed', id: request.id, reason: reasonOf(error) }),
    )
  })
  reply({ kind: 'ready' })
}

start().catch((error: unknown) => reply({ kind: 'refused', reason: reasonOf(error) }))
