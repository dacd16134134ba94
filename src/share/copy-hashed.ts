import type { Hash } from 'node:crypto'
import { readSync } from 'node:fs'
import { copyFile, type FileHandle, open, stat } from 'node:fs/promises'
import { setImmediate as turn } from 'node:timers/promises'
import { diskError } from '../cache/files.js'
import { FormatError } from '../errors.js'

/** Read, hashed and written at once: large enough for the disk, small enough for the processor's cache. */
const PIECE = 2 ** 19
/** Read without letting go of the thread: some milliseconds. */
const STRETCH = 8

interface CopyOptions {
  from: number
  to: number
  hash: Hash
  signal?: AbortSignal | undefined
  onBytes?: ((bytes: number) => void) | undefined
}

/** Copies the bytes [from, to) of the file at `path` to the same place in `into`, at `target`, and hashes the very bytes that are written. */
export async function copyHashed(
  path: string,
  { file: into, path: target }: { file: FileHandle; path: string },
  options: CopyOptions,
): Promise<void> {
  try {
    const { mode, size } = await stat(path)
    // The system copies faster than a program can; it copies the mode too, and a file that cannot be written could not be continued.
    if (options.from > 0 || size !== options.to || (mode & 0o200) === 0) await copyPieces(path, into, options)
    else {
      await copyFile(path, target)
      await hashWritten(into, options)
    }
  } catch (error) {
    throw diskError(error, path)
  }
}

async function hashWritten(file: FileHandle, { to, hash, signal, onBytes }: CopyOptions): Promise<void> {
  const { size } = await file.stat()
  if (size !== to) throw new FormatError(`a copy has ${size} bytes, expected ${to}: the file changed while it was read`)
  const piece = Buffer.allocUnsafeSlow(PIECE)
  for (let at = 0; at < to; ) {
    const from = at
    for (let i = 0; i < STRETCH && at < to; i++) {
      const read = readSync(file.fd, piece, 0, Math.min(PIECE, to - at), at)
      if (read === 0) throw new FormatError(`a copy ends at byte ${at}, expected ${to}`)
      hash.update(piece.subarray(0, read))
      at += read
    }
    onBytes?.(at - from)
    await turn()
    signal?.throwIfAborted()
  }
}

/** Two pieces of memory: while one is written, the other is read and hashed. */
async function copyPieces(
  path: string,
  into: FileHandle,
  { from, to, hash, signal, onBytes }: CopyOptions,
): Promise<void> {
  const file = await open(path, 'r')
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
