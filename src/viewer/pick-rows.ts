import { setImmediate as turn } from 'node:timers/promises'
import type { Chunk, Targets } from '../cache/index.js'
import { random } from '../random.js'

/** Consecutive rows [from, to). */
export interface Stretch {
  from: number
  to: number
}

/** What a picture of the whole may cost to read: places, each a seek or some requests, and bytes. */
export interface Reach {
  places: number
  bytes: number
}

/** So many places are enough for rows that lie sorted by class. */
export const LOCAL: Reach = { places: 512, bytes: 64 * 2 ** 20 }
/** A block of some columns a place, over the network. */
export const REMOTE: Reach = { places: 48, bytes: 16 * 2 ** 20 }

/** Stretches read at once. */
const AHEAD = 8

/**
 * At most `most` rows, evenly over the dataset: it is divided into equal parts, and of each a stretch is taken from a random place. The
 * same rows for the same dataset. All rows, as one stretch, where they are no more than that.
 */
export function pickRows(rows: number, most: number, places = LOCAL.places): Stretch[] {
  if (rows <= most) return rows > 0 ? [{ from: 0, to: rows }] : []
  const count = Math.min(places, most)
  const each = Math.floor(most / count)
  const { uniform } = random('view', rows, most)
  return Array.from({ length: count }, (_, i) => {
    const [low, high] = [Math.floor((i * rows) / count), Math.floor(((i + 1) * rows) / count)]
    const from = low + Math.floor(uniform() * (high - low - each + 1))
    return { from, to: from + each }
  })
}

/** Reads stretches in their order; between chunks other requests have their turn. */
export async function* readStretches(
  targets: Targets,
  stretches: Stretch[],
  signal: AbortSignal,
): AsyncGenerator<Chunk> {
  if (stretches.length === 1) {
    for await (const chunk of targets.chunks({ ...stretches[0]!, reuse: true, inputs: false, signal })) {
      yield chunk
      await turn()
      signal.throwIfAborted()
    }
    return
  }
  const ahead: Promise<Chunk[]>[] = []
  for (let next = 0; next < stretches.length || ahead.length > 0; ) {
    while (ahead.length < AHEAD && next < stretches.length) {
      const read = readAll(targets, stretches[next++]!, signal)
      read.catch(() => {}) // thrown where it is awaited
      ahead.push(read)
    }
    yield* await ahead.shift()!
    await turn()
    signal.throwIfAborted()
  }
}

async function readAll(targets: Targets, stretch: Stretch, signal: AbortSignal): Promise<Chunk[]> {
  const chunks: Chunk[] = []
  for await (const chunk of targets.chunks({ ...stretch, inputs: false, signal })) chunks.push(chunk)
  return chunks
}
