import type { Hash } from 'node:crypto'
import { type FileHandle, open } from 'node:fs/promises'
import { diskError } from '../cache/files.js'
import { FormatError } from '../errors.js'

/** Read, hashed and written at once: large enough for the disk, small enough for the processor's cache. */
const PIECE = 2 ** 19

/**
 * Copies the bytes [from, to) of the file at `path` to the same place in `into`, hashing the very bytes that are written. Two pieces of memory: while
 * one is written, the other is read and hashed.
 */
export async function copyHashed(
  path: string,
  into: FileHandle,
  {
    from,
    to,
    hash,
    signal,
    onBytes,
  }: {
    from: number
    to: number
    hash: Hash
    signal?: AbortSignal | undefined
    onBytes?: ((bytes: number) => void) | undefined
  },
): Promise<void> {
  const file = await open(path, 'r').catch((error) => {
    throw diskError(error, path)
  })
  let writing = Promise.resolve()
  try {
    const pieces = [Buffer.allocUnsafeSlow(PIECE), Buffer.allocUnsafeSlow(PIECE)] as const
    for (let at = from, turn: 0 | 1 = 0; at < to; turn = turn === 0 ? 1 : 0) {
      signal?.throwIfAborted()
      const { bytesRead } = await file.read(pieces[turn], 0, Math.min(PIECE, to - at), at)
      if (bytesRead === 0) throw new FormatError(`${path}: ends at byte ${at}, expected at least ${to}`)
      const piece = pieces[turn].subarray(0, bytesRead)
      hash.update(piece)
      await writing
      writing = writeAt(into, piece, at)
      writing.catch(() => {}) // thrown where it is awaited
      at += bytesRead
      onBytes?.(bytesRead)
    }
  } finally {
    await writing.finally(() => file.close())
  }
}

/** A single write may write less than it was given. */
export async function writeAt(file: FileHandle, piece: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < piece.length; )
    done += (await file.write(piece, done, piece.length - done, position + done)).bytesWritten
}
