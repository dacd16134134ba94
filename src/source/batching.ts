import type { BatchOptions } from './source.js'

/**
 * Yields `make(item)` for each item, in order, with at most `depth` results under way or ready beyond the one the consumer holds.
 * When the consumer stops early or one fails, `stopped` is aborted and what is under way is awaited before the generator ends, so that files can be closed.
 */
export async function* ahead<T, R>(
  items: Iterable<T>,
  depth: number,
  make: (item: T, stopped: AbortSignal) => Promise<R>,
): AsyncGenerator<R, void, undefined> {
  const pending: Promise<R>[] = []
  const stop = new AbortController()
  try {
    for (const item of items) {
      const result = make(item, stop.signal)
      result.catch(() => {}) // seen when its turn comes; until then it is no unhandled rejection
      pending.push(result)
      if (pending.length > depth) yield await pending.shift()!
    }
    while (pending.length > 0) yield await pending.shift()!
  } finally {
    stop.abort()
    await Promise.allSettled(pending)
  }
}

/** The first rows of the batches of `size` that cover [from, to). */
export function* batchStarts(range: { from: number; to: number; size: number }): Generator<number, void, undefined> {
  for (let first = range.from; first < range.to; first += range.size) yield first
}

/** The range that `batches` covers, its defaults filled in. @throws RangeError */
export function checkRange(
  { from = 0, to, size }: BatchOptions,
  rows: number,
): { from: number; to: number; size: number } {
  const end = to ?? rows
  if (!(Number.isInteger(from) && Number.isInteger(end) && 0 <= from && from <= end && end <= rows))
    throw new RangeError(`batches: rows ${from}..${end} asked for, the source has 0..${rows}`)
  if (!(Number.isInteger(size) && size >= 1))
    throw new RangeError(`batches: size is ${size}, expected a positive integer`)
  return { from, to: end, size }
}

/** @throws RangeError where an index is not a row */
export function checkRows(indices: ArrayLike<number>, rows: number): void {
  for (let i = 0; i < indices.length; i++)
    if (!(Number.isInteger(indices[i]) && indices[i]! >= 0 && indices[i]! < rows))
      throw new RangeError(`read: row ${indices[i]} asked for, the source has 0..${rows - 1}`)
}
