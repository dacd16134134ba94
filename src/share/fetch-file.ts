import { createHash } from 'node:crypto'
import { constants } from 'node:fs'
import { type FileHandle, open, rename, rm, stat } from 'node:fs/promises'
import { diskError, hashFile, ignoreOn, NO_LINK } from '../cache/files.js'
import { DecantError, FormatError, UnavailableError } from '../errors.js'
import { copyHashed } from './copy-hashed.js'
import { createHashedWriter, type HashedWriter } from './hashed-writer.js'
import { readRange } from './read-range.js'
import type { RetryOptions } from './retry.js'
import type { Store } from './store.js'

/** Bytes that are gathered before they are written. */
const WRITE_BYTES = 2 ** 19

export interface FetchOptions {
  /** negative where bytes turned out wrong and are fetched again */
  onBytes?: (bytes: number) => void
  signal?: AbortSignal
  retry?: RetryOptions | undefined
}

export interface WantedFile {
  /** its name in the store */
  from: string
  bytes: number
  sha256: string
}

/** Where a file lies until it is whole: its name says which bytes it is the beginning of. */
export const partOf = (path: string, { sha256 }: { sha256: string }): string => `${path}.${sha256.slice(0, 16)}.part`

/** What a pull that was stopped may leave. */
export const isPart = (name: string): boolean => /\.[0-9a-f]{16}\.part$/.test(name)

/**
 * Fetches a file of known size and hash to `path`: from where an earlier call was stopped, hashed on the way, synced; it gets its name when
 * its hash is right. Never more than the bytes that it should have are written.
 * @throws FormatError where the store's file has another size or hash; what `readRange` throws
 */
export async function fetchFile(
  store: Store,
  wanted: WantedFile,
  path: string,
  options: FetchOptions = {},
): Promise<void> {
  const { signal } = options
  const part = partOf(path, wanted)
  const there = await store.head(wanted.from, signal)
  const place = `${store.uri}/${wanted.from}`
  if (!there) throw new FormatError(`${place}: listed in the manifest, but not there`)
  if (there.bytes !== wanted.bytes)
    throw new FormatError(`${place}: the manifest says ${wanted.bytes} bytes, found ${there.bytes}`)
  const source = { store, name: wanted.from, etag: there.etag }
  try {
    let done = await fillPart(source, wanted, part, { ...options, resume: true })
    // Its beginning was of an earlier call: it may have been damaged since, or come from a file that was replaced.
    if (done.sha256 !== wanted.sha256 && done.resumed) {
      options.onBytes?.(-wanted.bytes)
      done = await fillPart(source, wanted, part, { ...options, resume: false })
    }
    if (done.sha256 !== wanted.sha256) {
      await rm(part, { force: true })
      options.onBytes?.(-wanted.bytes)
      throw new FormatError(`${place}: damaged or altered: expected SHA-256 ${wanted.sha256}, found ${done.sha256}`)
    }
    await rename(part, path)
  } catch (error) {
    throw diskError(error, part)
  }
}

async function fillPart(
  { store, name, etag }: { store: Store; name: string; etag: string | undefined },
  { bytes }: WantedFile,
  part: string,
  { resume, onBytes, signal, retry }: FetchOptions & { resume: boolean },
): Promise<{ sha256: string; resumed: boolean }> {
  const flags = constants.O_RDWR | constants.O_CREAT | NO_LINK | (resume ? 0 : constants.O_TRUNC)
  const file = await open(part, flags)
  try {
    const { size } = await file.stat()
    const from = size <= bytes ? size : 0
    const range = { from, to: bytes, etag }
    const transfer = { reuse: true, ...(signal && { signal }), ...(retry && { retry }) }
    const hash = createHash('sha256')
    if (from > 0) await rehash(file, from, hash, signal)
    await file.truncate(from)
    let writer = createHashedWriter(file, { at: from, hash })
    const local = store.pathOf?.(name)
    if (local !== undefined) {
      onBytes?.(from)
      await copyHashed(local, writer, { from, to: bytes, signal, onBytes })
    } else {
      let pieces = readRange(store, name, range, transfer)
      try {
        const first = await pieces.next().catch((error) => {
          if (from === 0 || !(error instanceof UnavailableError)) throw error
          return undefined // a server that knows no ranges: from the beginning, then
        })
        if (!first) {
          await file.truncate(0)
          writer = createHashedWriter(file, { at: 0, hash: createHash('sha256') })
          pieces = readRange(store, name, { ...range, from: 0 }, transfer)
        }
        onBytes?.(writer.began)
        await append(writer, { first: first ?? (await pieces.next()), rest: pieces, onBytes })
      } finally {
        await pieces.return(undefined) // where the disk took no more, the connection is still open
      }
    }
    await writer.sync()
    return { sha256: writer.digest(), resumed: writer.began > 0 }
  } finally {
    await file.close()
  }
}

async function rehash(
  file: FileHandle,
  bytes: number,
  hash: { update(data: Uint8Array): unknown },
  signal: AbortSignal | undefined,
): Promise<void> {
  const piece = Buffer.allocUnsafe(WRITE_BYTES)
  for (let at = 0; at < bytes; ) {
    signal?.throwIfAborted()
    const { bytesRead } = await file.read(piece, 0, Math.min(piece.length, bytes - at), at)
    if (bytesRead === 0) throw new DecantError('a file became shorter while it was read')
    hash.update(piece.subarray(0, bytesRead))
    at += bytesRead
  }
}

/** Writes what comes behind byte `from`. */
async function append(
  writer: HashedWriter,
  {
    first,
    rest,
    onBytes,
  }: { first: IteratorResult<Uint8Array>; rest: AsyncGenerator<Uint8Array>; onBytes: FetchOptions['onBytes'] },
): Promise<void> {
  // What the network brings is small pieces: they are gathered, as many small writes are slow.
  const gathered = Buffer.allocUnsafeSlow(WRITE_BYTES)
  let filled = 0
  try {
    for (let next = first; !next.done; next = await rest.next()) {
      for (let done = 0; done < next.value.length; ) {
        const part = next.value.subarray(done, done + WRITE_BYTES - filled)
        gathered.set(part, filled)
        filled += part.length
        done += part.length
        if (filled < WRITE_BYTES) continue
        writer.write(gathered)
        filled = 0
      }
      onBytes?.(next.value.length)
    }
  } finally {
    writer.write(gathered.subarray(0, filled)) // what has come is kept, whatever happens next
  }
}

/** Whether the file at `path` is, by size and hash, the wanted one. */
export async function isWhole(
  path: string,
  { bytes, sha256 }: { bytes: number; sha256: string },
  signal?: AbortSignal,
): Promise<'whole' | 'damaged' | 'missing'> {
  const found = await stat(path).catch((error) => ignoreOn(error, 'ENOENT'))
  if (!found) return 'missing'
  if (found.size !== bytes) return 'damaged'
  const file = await open(path, 'r')
  try {
    return (await hashFile(file, signal)) === sha256 ? 'whole' : 'damaged'
  } finally {
    await file.close()
  }
}
