import { createHash } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { mkdtemp, open, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable, Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip } from 'node:zlib'
import { DecantError, FormatError } from '../errors.js'

/** A file that can be read at any place. No handle stays open between reads: a source may have more files than a process may open. */
export interface Bytes {
  path: string
  /** After gzip, if it is. */
  size: number
  /** SHA-256 of those bytes, hex. */
  sha256: string
  /** Exactly `length` bytes. @throws FormatError where the file ends before, or has changed since it was opened */
  read(position: number, length: number): Promise<Uint8Array>
  close(): Promise<void>
}

/**
 * Opens a file and hashes it from end to end, in blocks. Gzip (by its magic number) is decompressed on the way into a temporary file, which `close` removes:
 * disk instead of memory, and every row in reach.
 * @throws DecantError if it cannot be read or the disk is full; FormatError: damaged gzip
 */
export async function openBytes(path: string): Promise<Bytes> {
  const gz = (await head(path, 2)).equals(Buffer.from([0x1f, 0x8b]))
  if (!gz) return readable(path, path, await hashOf(createReadStream(path), path))
  return spill(path, [createReadStream(path), createGunzip()])
}

/** Decompresses a stream into a temporary file, hashing what comes out. `path` names it in errors; `check` may throw. */
export async function spill(
  path: string,
  [packed, unpack]: [Readable, Transform],
  check: (blocks: AsyncIterable<Buffer>) => AsyncIterable<Uint8Array> = (blocks) => blocks,
): Promise<Bytes> {
  const folder = await mkdtemp(join(tmpdir(), 'decant-inflated-'))
  const place = join(folder, 'data')
  try {
    const hash = createHash('sha256')
    const hashing = async function* (blocks: AsyncIterable<Buffer>) {
      for await (const block of check(blocks)) {
        hash.update(block)
        yield block
      }
    }
    await pipeline(packed, unpack, hashing, createWriteStream(place)).catch((error: NodeJS.ErrnoException) => {
      if (error instanceof DecantError) throw error
      if (error.code?.startsWith('Z_'))
        throw new FormatError(
          `${path}: damaged compressed data: ${error.code === 'Z_BUF_ERROR' ? 'truncated' : error.message}`,
        )
      if (error.code === 'ENOSPC')
        throw new DecantError(
          `${folder}: no space left to decompress ${path}; set TMPDIR to a larger disk, or decompress the file yourself`,
        )
      throw unreadable(path, error)
    })
    const bytes = await readable(path, place, hash.digest('hex'))
    return { ...bytes, close: () => rm(folder, { recursive: true, force: true }) }
  } catch (error) {
    await rm(folder, { recursive: true, force: true })
    throw error
  }
}

/** The first bytes of a file, fewer where it is shorter. */
export async function head(path: string, length: number): Promise<Buffer> {
  const file = await open(path, 'r').catch((error) => {
    throw unreadable(path, error)
  })
  try {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(length), 0, length, 0)
    return buffer.subarray(0, bytesRead)
  } catch (error) {
    throw unreadable(path, error as NodeJS.ErrnoException)
  } finally {
    await file.close()
  }
}

async function hashOf(stream: Readable, path: string): Promise<string> {
  const hash = createHash('sha256')
  try {
    for await (const block of stream) hash.update(block as Buffer)
  } catch (error) {
    throw unreadable(path, error as NodeJS.ErrnoException)
  }
  return hash.digest('hex')
}

async function readable(path: string, place: string, sha256: string): Promise<Bytes> {
  const { size, mtimeMs } = await stat(place)
  return {
    path,
    size,
    sha256,
    async read(position, length) {
      if (!(position >= 0 && length >= 0 && position + length <= size))
        throw new FormatError(`${path}: bytes ${position} to ${position + length} are asked for, the file has ${size}`)
      const file = await open(place, 'r').catch((error) => {
        throw unreadable(path, error)
      })
      try {
        const found = await file.stat()
        if (found.size !== size || found.mtimeMs !== mtimeMs)
          throw new FormatError(`${path}: changed while it was in use`)
        const target = new Uint8Array(Buffer.allocUnsafeSlow(length).buffer)
        for (let done = 0; done < length; ) {
          const { bytesRead } = await file.read(target, done, length - done, position + done)
          if (bytesRead === 0) throw new FormatError(`${path}: became shorter while it was in use`)
          done += bytesRead
        }
        return target
      } finally {
        await file.close()
      }
    },
    close: async () => {},
  }
}

export const unreadable = (path: string, error: NodeJS.ErrnoException) =>
  new DecantError(`${path}: cannot be read: ${error.code ?? error.message}`)

/** What a library throws over bytes that came from others becomes a FormatError behind `what`, in one line. */
export async function understand<T>(what: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read()
  } catch (error) {
    if (error instanceof DecantError) throw error
    throw new FormatError(`${what}: ${String((error as Error)?.message ?? error).split('\n')[0]}`, { cause: error })
  }
}
