import { readSync } from 'node:fs'
import { setImmediate as turn } from 'node:timers/promises'
import { diskError } from '../cache/files.js'
import { FormatError } from '../errors.js'
import { openInput } from '../input-file.js'
import type { HashedWriter } from './hashed-writer.js'

/** Read, hashed and written at once: large enough for the disk, small enough for the processor's cache. */
const PIECE = 2 ** 19
/** Pieces that are copied without letting go of the thread: some milliseconds. */
const STRETCH = 8

interface CopyOptions {
  from: number
  to: number
  signal?: AbortSignal | undefined
  onBytes?: ((bytes: number) => void) | undefined
}

/** Copies the bytes [from, to) of the file at `path`. One piece of memory and no other thread: less work than a copy by the system, and a hash of it. */
export async function copyHashed(
  path: string,
  writer: HashedWriter,
  { from, to, signal, onBytes }: CopyOptions,
): Promise<void> {
  const refused = (error: unknown): never => {
    throw diskError(error, path) // what the writer's disk refuses is not of this file
  }
  const file = await openInput(path).catch(refused)
  const readAt = (piece: Buffer, at: number): number => {
    try {
      return readSync(file.fd, piece, 0, Math.min(PIECE, to - at), at)
    } catch (error) {
      return refused(error)
    }
  }
  try {
    const piece = Buffer.allocUnsafeSlow(PIECE)
    for (let at = from; at < to; ) {
      const began = at
      for (let i = 0; i < STRETCH && at < to; i++) {
        const read = readAt(piece, at)
        if (read === 0) throw new FormatError(`${path}: ends at byte ${at}, expected at least ${to}`)
        writer.write(piece.subarray(0, read))
        at += read
      }
      onBytes?.(at - began)
      await turn()
      signal?.throwIfAborted()
    }
  } finally {
    await file.close()
  }
}
