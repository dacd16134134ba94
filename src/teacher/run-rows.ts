import type { Tensor } from 'onnxruntime-node'
import type { FileRows } from '../source/file-rows.js'

/** An input of the fused teacher: an array of [rows, ...shape]. */
export interface FeedSpec {
  name: string
  dtype: 'uint8' | 'float32' | 'int32'
  shape: readonly number[]
}

/** The fused teacher's inputs by name, each [rows, ...], row-major: arrays, or where they lie in a file. */
export type Feeds = Record<string, FedArray | FileRows>
export type FedArray = Uint8Array | Float32Array | Int32Array

export const isArray = (feed: FedArray | FileRows): feed is FedArray => ArrayBuffer.isView(feed)

/** What is moved to another thread with them. */
export const buffersOf = (feeds: Feeds): ArrayBuffer[] =>
  Object.values(feeds)
    .filter(isArray)
    .map(({ buffer }) => buffer as ArrayBuffer)

/** What a fused teacher gives, row-major; float16 as its bits. */
export type Words = Float32Array | Uint16Array | Int32Array | Uint8Array

/** The runtime's own buffers are handed on as they are. A Float16Array (Node 24) and a Uint16Array (before) hold the same bits. */
export function words({ type, data }: Pick<Tensor, 'type' | 'data'>): Words {
  const { buffer, byteOffset, length } = data as Float32Array
  return type === 'float16' ? new Uint16Array(buffer, byteOffset, length) : (data as Float32Array)
}

/** The fused teacher's outputs for `rows` rows: the codec's columns by name, and row_sum, which is finite where the row's logits are. */
export interface TeacherOutput {
  rows: number
  columns: Record<string, Words>
  /** [rows, positions] */
  rowSum: Float32Array
}

/** Runs `rows` rows at once; writes the output to `into` where it is given, and returns it. */
export type RunOnce = (feeds: Feeds, rows: number, into?: TeacherOutput) => Promise<TeacherOutput>

export interface RowRunner {
  /** Runs `rows` rows, `batch` at once where it is given. */
  run(
    feeds: Feeds,
    rows: number,
    options?: { batch?: number | undefined; into?: TeacherOutput | undefined },
  ): Promise<TeacherOutput>
  /** The most rows that are tried at once; falls by halves when memory runs out. */
  readonly limit: number
}

/** ONNX Runtime's own words for it (BFCArena, CUDA, std::bad_alloc, Dawn). */
const outOfMemory =
  /out of memory|failed to allocate memory|bad_alloc|bad allocation|CUDA_ERROR_OUT_OF_MEMORY|OutOfMemory/i

/**
 * Runs rows, and where the device's memory runs out halves the rows of one call until they fit; a single row that does not fit fails, and a call that is
 * always of `fixedBatch` rows.
 */
export function createRowRunner(runOnce: RunOnce, onHalved: (limit: number) => void, fixedBatch?: number): RowRunner {
  let limit = fixedBatch ?? Number.POSITIVE_INFINITY
  const run: RowRunner['run'] = async (feeds, rows, { batch = rows, into } = {}) => {
    if (rows <= Math.min(limit, batch)) {
      try {
        return await runOnce(feeds, rows, into)
      } catch (error) {
        if (rows === 1 || fixedBatch || !outOfMemory.test(String(error))) throw error
        limit = Math.ceil(rows / 2)
        onHalved(limit)
      }
    }
    const parts: TeacherOutput[] = []
    for (let at = 0; at < rows; ) {
      const size = Math.min(limit, batch, rows - at)
      const part = { at, size }
      parts.push(await run(slice(feeds, rows, part), size, { into: into && sliceOutput(into, part) }))
      at += size
    }
    return into ?? join(parts, rows)
  }
  return {
    run,
    get limit() {
      return limit
    },
  }
}

function slice(feeds: Feeds, rows: number, { at, size }: { at: number; size: number }): Feeds {
  return Object.fromEntries(
    Object.entries(feeds).map(([name, feed]) => {
      if (!isArray(feed)) return [name, { ...feed, position: feed.position + at * feed.bytes }]
      const width = feed.length / rows
      return [name, feed.subarray(at * width, (at + size) * width)]
    }),
  )
}

/** Some rows of an output, in the same memory. */
export function sliceOutput(
  { rows, columns, rowSum }: TeacherOutput,
  { at, size }: { at: number; size: number },
): TeacherOutput {
  const part = <T extends Words>(values: T) => {
    const width = values.length / rows
    return values.subarray(at * width, (at + size) * width) as T
  }
  const parts = Object.entries(columns).map(([name, values]) => [name, part(values)])
  return { rows: size, columns: Object.fromEntries(parts), rowSum: part(rowSum) }
}

/** Copies an output to where it is wanted. */
export function copyOutput({ columns, rowSum }: TeacherOutput, into: TeacherOutput): TeacherOutput {
  into.rowSum.set(rowSum)
  for (const [name, values] of Object.entries(columns)) into.columns[name]!.set(values)
  return into
}

/** The rows again and again, until there are `wanted`. */
export function repeatRows<T extends FedArray>(values: T, rows: number, wanted: number): T {
  if (rows === wanted) return values
  const filled = new (values.constructor as new (length: number) => T)((values.length / rows) * wanted)
  for (let at = 0; at < filled.length; at += values.length) filled.set(values.subarray(0, filled.length - at) as T, at)
  return filled
}

function join(parts: TeacherOutput[], rows: number): TeacherOutput {
  const columns = Object.keys(parts[0]!.columns).map((name) => [name, concat(parts.map((part) => part.columns[name]!))])
  return { rows, columns: Object.fromEntries(columns), rowSum: concat(parts.map((part) => part.rowSum)) }
}

function concat<T extends Words>(parts: readonly T[]): T {
  const length = parts.reduce((sum, part) => sum + part.length, 0)
  const joined = new (parts[0]!.constructor as new (length: number) => T)(length)
  let at = 0
  for (const part of parts) {
    joined.set(part, at)
    at += part.length
  }
  return joined
}
