/** The peer of scripts/bench/export: the fused teacher in a thread of its own, `session.run` over ready batches and nothing else. */
import { parentPort, workerData } from 'node:worker_threads'
import { InferenceSession, Tensor } from 'onnxruntime-node'

const { model, options, shape, batch, rows } = workerData as {
  model: Uint8Array
  options: InferenceSession.SessionOptions
  shape: number[]
  batch: number
  rows: number
}
const session = await InferenceSession.create(model, options)
const width = shape.reduce((a, b) => a * b, 1)
const ready = Array.from(
  { length: 8 },
  (_, i) => new Tensor('uint8', new Uint8Array(batch * width).fill(i), [batch, ...shape]),
)
await session.run({ pixels: ready[0]! })
const started = performance.now()
let done = 0
for (let i = 0; done < rows; i++, done += batch) await session.run({ pixels: ready[i % ready.length]! })
parentPort!.postMessage({ rowsPerSecond: (done / (performance.now() - started)) * 1000 })
