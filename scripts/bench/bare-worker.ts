/**
 * The peer of scripts/bench/export: the fused teacher in a thread of its own, `session.run` over ready batches and nothing else. With `disk`,
 * what no export can do without as well, as tightly as it can be written: each batch is read from the source's file into the same memory; as many
 * bytes as the dataset has a row are hashed and written; at the end they are synced.
 */
import { createHash } from 'node:crypto'
import { closeSync, fsyncSync, openSync, readSync, writevSync } from 'node:fs'
import { parentPort, workerData } from 'node:worker_threads'
import { InferenceSession, Tensor } from 'onnxruntime-node'

const { model, options, shape, batch, rows, disk } = workerData as {
  model: Uint8Array
  options: InferenceSession.SessionOptions
  shape: number[]
  batch: number
  rows: number
  disk?: { source: string; position: number; out: string; bytesPerRow: number }
}
const session = await InferenceSession.create(model, options)
const width = shape.reduce((a, b) => a * b, 1)
const ready = Array.from(
  { length: disk ? 1 : 8 },
  (_, i) => new Tensor('uint8', new Uint8Array(batch * width).fill(i), [batch, ...shape]),
)
const { row_sum: _, ...first } = await session.run({ pixels: ready[0]! })
const bytesOf = ({ data }: Tensor) => {
  const { buffer, byteOffset, byteLength } = data as Float32Array
  return new Uint8Array(buffer, byteOffset, byteLength)
}
const columns = Object.keys(first)
const computed = columns.reduce((sum, name) => sum + bytesOf(first[name]!).length, 0)
const others = new Uint8Array(disk ? Math.max(0, Math.round(batch * disk.bytesPerRow) - computed) : 0) // ids, labels, padding

const started = performance.now()
const hash = createHash('sha256')
const [from, to] = disk ? [openSync(disk.source, 'r'), openSync(disk.out, 'w')] : []
let done = 0
for (let i = 0; done < rows; i++, done += batch) {
  const pixels = ready[i % ready.length]!
  if (from !== undefined) readSync(from, pixels.data as Uint8Array, 0, batch * width, disk!.position + done * width)
  const outputs = await session.run({ pixels })
  if (to === undefined) continue
  const written = [others, ...columns.map((name) => bytesOf(outputs[name]!))]
  for (const bytes of written) hash.update(bytes)
  writevSync(to, written)
}
if (to !== undefined) fsyncSync(to)
const seconds = (performance.now() - started) / 1000
for (const file of [from, to]) if (file !== undefined) closeSync(file)
parentPort!.postMessage({ rowsPerSecond: done / seconds })
