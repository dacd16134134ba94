import type { Bytes } from './bytes.js'

/** Large enough for the headers of many small members, small enough to be read for one of a large one. */
const WINDOW_BYTES = 2 ** 14

/** Reads that follow one another closely come out of one read. What it gives lies in a larger buffer: who keeps it copies it. */
export function readWindows(read: Bytes['read'], size: number): Bytes['read'] {
  let window: { from: number; data: Uint8Array } = { from: 0, data: new Uint8Array() }
  return async (position, length) => {
    if (length >= WINDOW_BYTES) return read(position, length)
    let { from, data } = window
    if (position < from || position + length > from + data.length) {
      from = position
      data = await read(position, Math.max(length, Math.min(WINDOW_BYTES, size - position)))
      window = { from, data }
    }
    return data.subarray(position - from, position - from + length)
  }
}
