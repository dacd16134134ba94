import type { Hash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { type FileHandle, stat } from 'node:fs/promises'
import { pipeline } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { DecantError, FormatError } from '../errors.js'
import { openInput } from '../input-file.js'
import { shortened } from './file-rows.js'

/** An IDX file: two zero bytes, the type (8 = unsigned byte), the rank, the dimensions as uint32 big-endian, then the data row-major. */
export interface IdxFile {
  path: string
  gz: boolean
  dims: number[]
  /** Bytes before the data. */
  offset: number
}

const BLOCK = 1 << 18

/** What a file begins with: gzip (1f 8b), IDX of bytes (00 00 08), or neither. @throws DecantError if it cannot be read */
export async function sniff(path: string): Promise<'gz' | 'idx' | 'other'> {
  const file = await openInput(path).catch((error) => {
    throw unreadable(path, error)
  })
  try {
    const head = Buffer.alloc(4)
    const { bytesRead } = await file.read(head, 0, 4, 0)
    if (bytesRead >= 2 && head[0] === 0x1f && head[1] === 0x8b) return 'gz'
    return bytesRead >= 2 && head[0] === 0 && head[1] === 0 ? 'idx' : 'other'
  } finally {
    await file.close()
  }
}

/**
 * Reads an IDX file of bytes from end to end in blocks and checks all of it: magic, type, rank, sizes, gzip's CRC and length, nothing missing, nothing behind.
 * `onHeader` sees the dimensions before the data and may throw; `onData` gets each block of data with its place; `hash` gets every decompressed byte.
 * @throws FormatError naming the file and what was found; DecantError if it cannot be read
 */
export async function scanIdx(
  path: string,
  options: {
    rank: number
    hash?: Hash
    onHeader?: (dims: number[]) => void
    onData?: (block: Uint8Array, at: number) => void
  },
): Promise<IdxFile> {
  const kind = await sniff(path)
  if (kind === 'other')
    throw new FormatError(`${path}: not an IDX file: it begins neither with gzip's magic number nor with 00 00 08`)
  const stream = new ByteStream(path, kind === 'gz')
  try {
    const { dims, header } = await readHeader(stream, path, options.rank)
    options.hash?.update(header)
    options.onHeader?.(dims)
    const expected = dims.reduce((a, b) => a * b, 1)
    let found = 0
    for (let block = await stream.next(); block; block = await stream.next()) {
      if (found + block.length > expected) throw surplus(path, dims, expected)
      options.hash?.update(block)
      options.onData?.(block, found)
      found += block.length
    }
    if (found < expected) throw missing(path, dims, { expected, found })
    return { path, gz: kind === 'gz', dims, offset: header.length }
  } finally {
    await stream.close()
  }
}

/** A gz file's data from the start, in order; at the end it can be checked that nothing follows. */
export async function streamData(file: IdxFile): Promise<{
  fill(target: Uint8Array): Promise<void>
  skip(bytes: number): Promise<void>
  end(): Promise<void>
  close(): Promise<void>
}> {
  const { path, dims } = file
  const expected = dims.reduce((a, b) => a * b, 1)
  const stream = new ByteStream(path, file.gz)
  let found = 0
  const take = async (bytes: number, target?: Uint8Array) => {
    const got = await stream.take(bytes, target)
    found += got
    if (got < bytes) throw missing(path, dims, { expected, found })
  }
  const header = await readHeader(stream, path, dims.length)
  if (header.dims.join() !== dims.join())
    throw new FormatError(`${path}: changed while it was in use: now ${header.dims.join('×')}, was ${dims.join('×')}`)
  return {
    fill: (target) => take(target.length, target),
    skip: (bytes) => take(bytes),
    async end() {
      if (await stream.next()) throw surplus(path, dims, expected) // and reaching the end checks gzip's CRC and length
    },
    close: () => stream.close(),
  }
}

/** Reads `target.length` bytes of an uncompressed file at `position`. @throws FormatError if it ends before */
export async function readAt(
  handle: FileHandle,
  target: Uint8Array,
  { path, position }: { path: string; position: number },
): Promise<void> {
  for (let done = 0; done < target.length; ) {
    const { bytesRead } = await handle.read(target, done, target.length - done, position + done)
    if (bytesRead === 0) throw shortened(path, position + done)
    done += bytesRead
  }
}

async function readHeader(stream: ByteStream, path: string, rank: number): Promise<{ dims: number[]; header: Buffer }> {
  const header = Buffer.alloc(4 + 4 * rank)
  const got = await stream.take(header.length, header)
  const hex = header.toString('hex', 0, Math.min(4, got)).replace(/..(?=.)/g, '$& ')
  if (got >= 4 && (header[0] !== 0 || header[1] !== 0))
    throw new FormatError(`${path}: not an IDX file: it begins with ${hex}, expected 00 00 08 0${rank}`)
  if (got >= 4 && header[2] !== 8)
    throw new FormatError(`${path}: IDX type ${hex.slice(6, 8)}, expected 08 (unsigned bytes)`)
  if (got >= 4 && header[3] !== rank)
    throw new FormatError(`${path}: IDX file of ${header[3]} dimensions, expected ${rank}`)
  if (got < header.length)
    throw new FormatError(`${path}: truncated: the IDX header has ${got} bytes, expected ${header.length}`)
  const dims = Array.from({ length: rank }, (_, i) => header.readUInt32BE(4 + 4 * i))
  if (dims.includes(0)) throw new FormatError(`${path}: empty: its dimensions are ${dims.join('×')}`)
  if (dims.reduce((a, b) => a * b, 1) > Number.MAX_SAFE_INTEGER)
    throw new FormatError(`${path}: impossible dimensions ${dims.join('×')}`)
  return { dims, header }
}

/** Decompressed bytes of a file, pulled. One block is held at a time. */
class ByteStream {
  private readonly blocks: AsyncGenerator<Buffer, void, undefined>
  private rest: Buffer = Buffer.alloc(0)

  constructor(path: string, gz: boolean) {
    this.blocks = gz ? gunzip(path) : read(path)
  }

  async next(): Promise<Buffer | undefined> {
    const { rest } = this
    this.rest = Buffer.alloc(0)
    return rest.length > 0 ? rest : ((await this.blocks.next()).value ?? undefined)
  }

  /** Moves up to `bytes` into `target` (or nowhere) and returns how many there were. */
  async take(bytes: number, target?: Uint8Array): Promise<number> {
    let done = 0
    while (done < bytes) {
      const block = await this.next()
      if (!block) break
      const used = Math.min(block.length, bytes - done)
      target?.set(used === block.length ? block : block.subarray(0, used), done)
      if (used < block.length) this.rest = block.subarray(used)
      done += used
    }
    return done
  }

  async close(): Promise<void> {
    await this.blocks.return()
  }
}

async function* read(path: string): AsyncGenerator<Buffer, void, undefined> {
  try {
    yield* createReadStream(path, { highWaterMark: BLOCK })
  } catch (error) {
    throw unreadable(path, error as NodeJS.ErrnoException)
  }
}

async function* gunzip(path: string): AsyncGenerator<Buffer, void, undefined> {
  const unzip = createGunzip({ chunkSize: BLOCK })
  pipeline(createReadStream(path, { highWaterMark: BLOCK }), unzip, () => {}) // destroys both on error; the error reaches the loop below
  try {
    yield* unzip
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (!code?.startsWith('Z_')) throw unreadable(path, error as NodeJS.ErrnoException)
    throw new FormatError(`${path}: damaged gzip file: ${code === 'Z_BUF_ERROR' ? 'truncated' : message}`)
  }
  // zlib stops silently at zeros behind the last member.
  const { size } = await stat(path)
  if (unzip.bytesWritten < size)
    throw new FormatError(`${path}: ${size - unzip.bytesWritten} bytes behind the end of the gzip data`)
}

const missing = (path: string, dims: number[], { expected, found }: { expected: number; found: number }) =>
  new FormatError(`${path}: truncated: ${dims.join('×')} are ${expected} bytes of data, found ${found}`)
const surplus = (path: string, dims: number[], expected: number) =>
  new FormatError(`${path}: bytes behind the end: ${dims.join('×')} are ${expected} bytes of data, found more`)
const unreadable = (path: string, error: NodeJS.ErrnoException) =>
  error instanceof DecantError ? error : new DecantError(`${path}: cannot be read: ${error.code ?? error.message}`)
