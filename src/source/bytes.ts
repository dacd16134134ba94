import { createHash } from 'node:crypto'
import { createReadStream, type Stats } from 'node:fs'
import { type FileHandle, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import type { Readable, Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip } from 'node:zlib'
import { DecantError, FormatError } from '../errors.js'
import { openInput } from '../input-file.js'
import { makeScratch } from './scratch.js'

/** Exactly `length` bytes, in a buffer of their own. @throws FormatError where the file ends before, or has changed since it was opened */
type Read = (position: number, length: number) => Promise<Uint8Array>

/** A file that can be read at any place. No handle stays open between reads: a source may have more files than a process may open. */
export interface Bytes {
  path: string
  /** After gzip, if it is. */
  size: number
  /** SHA-256 of those bytes, hex. */
  sha256: string
  read: Read
  /** The same for many reads: the file stays open until `done`. */
  open(): Promise<{ read: Read; done(): Promise<void> }>
  close(): Promise<void>
}

/**
 * Opens a file and hashes it from end to end, in blocks. Gzip (by its magic number) is decompressed on the way into a temporary file, which `close` removes:
 * disk instead of memory, and every row in reach.
 * @throws DecantError if it cannot be read or the disk is full; FormatError: damaged gzip
 */
export async function openBytes(path: string): Promise<Bytes> {
  const gz = (await head(path, 2)).equals(Buffer.from([0x1f, 0x8b]))
  if (!gz) {
    const sha256 = await hashOf(createReadStream(path), path)
    return readable(path, { found: await stat(path), sha256, place: path })
  }
  return spill(path, [createReadStream(path), createGunzip()])
}

/** Decompresses a stream into a temporary file, hashing what comes out. `path` names it in errors; `check` may throw. */
export async function spill(
  path: string,
  [packed, unpack]: [Readable, Transform],
  check: (blocks: AsyncIterable<Buffer>) => AsyncIterable<Uint8Array> = (blocks) => blocks,
): Promise<Bytes> {
  const scratch = await makeScratch(`to decompress ${path}`)
  const { handle, place } = scratch
  try {
    const hash = createHash('sha256')
    const write = async (blocks: AsyncIterable<Buffer>) => {
      for await (const block of check(blocks)) {
        hash.update(block)
        await handle.appendFile(block)
      }
    }
    await pipeline(packed, unpack, write).catch((error: NodeJS.ErrnoException) => {
      if (error instanceof DecantError) throw error
      if (error.code?.startsWith('Z_'))
        throw new FormatError(
          `${path}: damaged compressed data: ${error.code === 'Z_BUF_ERROR' ? 'truncated' : error.message}`,
        )
      if (error.code === 'ENOSPC')
        throw new DecantError(
          `${tmpdir()}: no space left to decompress ${path}; set TMPDIR to a larger disk, or decompress the file yourself`,
        )
      throw unreadable(path, error)
    })
    const sha256 = hash.digest('hex')
    const found = await handle.stat()
    if (place === undefined) return { ...readable(path, { found, sha256, held: handle }), close: scratch.remove }
    await handle.close()
    return { ...readable(path, { found, sha256, place }), close: scratch.remove }
  } catch (error) {
    await scratch.remove()
    throw error
  }
}

/** The first bytes of a file, fewer where it is shorter. */
export async function head(path: string, length: number): Promise<Buffer> {
  const file = await openInput(path).catch((error) => {
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

/** A read of 2 GiB or more ends the process: Node 20 asserts that its length is an int32. */
const MAX_READ_BYTES = 2 ** 31 - 1

/** The bytes of a file that is opened for each read, or stays open. `found`: what it is now. */
function readable(
  path: string,
  {
    found: { size, mtimeMs },
    sha256,
    ...file
  }: { found: Stats; sha256: string } & ({ place: string; held?: undefined } | { held: FileHandle; place?: undefined }),
): Bytes {
  async function take(): Promise<FileHandle> {
    if (file.held) return file.held
    const handle = await openInput(file.place).catch((error) => {
      throw unreadable(path, error)
    })
    const now = await handle.stat()
    if (now.size === size && now.mtimeMs === mtimeMs) return handle
    await handle.close()
    throw new FormatError(`${path}: changed while it was in use`)
  }
  const leave = async (handle: FileHandle) => {
    if (handle !== file.held) await handle.close()
  }
  async function readFrom(handle: FileHandle, position: number, length: number): Promise<Uint8Array> {
    if (!(position >= 0 && length >= 0 && position + length <= size))
      throw new FormatError(`${path}: bytes ${position} to ${position + length} are asked for, the file has ${size}`)
    if (length > MAX_READ_BYTES)
      throw new FormatError(
        `${path}: ${length} bytes to read at once, at most ${MAX_READ_BYTES} can be; write the file with smaller row groups or batches`,
      )
    const target = new Uint8Array(Buffer.allocUnsafeSlow(length).buffer)
    for (let done = 0; done < length; ) {
      const { bytesRead } = await handle.read(target, done, length - done, position + done)
      if (bytesRead === 0) throw new FormatError(`${path}: became shorter while it was in use`)
      done += bytesRead
    }
    return target
  }
  return {
    path,
    size,
    sha256,
    async read(position, length) {
      const handle = await take()
      try {
        return await readFrom(handle, position, length)
      } finally {
        await leave(handle)
      }
    },
    async open() {
      const handle = await take()
      return {
        read: (position, length) => readFrom(handle, position, length),
        done: () => leave(handle),
      }
    },
    close: async () => {},
  }
}

export const unreadable = (path: string, error: NodeJS.ErrnoException) =>
  error instanceof DecantError ? error : new DecantError(`${path}: cannot be read: ${error.code ?? error.message}`)

/** What a library throws over bytes that came from others becomes a FormatError behind `what`, in one line. */
export async function understand<T>(what: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read()
  } catch (error) {
    if (error instanceof DecantError) throw error
    throw new FormatError(`${what}: ${String((error as Error)?.message ?? error).split('\n')[0]}`, { cause: error })
  }
}
