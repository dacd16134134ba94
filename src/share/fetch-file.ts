import { createHash } from 'node:crypto'
import { constants } from 'node:fs'
import { type FileHandle, open, rename, rm, stat } from 'node:fs/promises'
import { diskError, hashFile, ignoreOn } from '../cache/files.js'
import { DecantError, FormatError, UnavailableError } from '../errors.js'
import { copyHashed, writeAt } from './copy-hashed.js'
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
  const flags = constants.O_RDWR | constants.O_CREAT | (resume ? 0 : constants.O_TRUNC)
  const file = await open(part, flags)
  try {
    const { size } = await file.stat()
    let from = size <= bytes ? size : 0
    let hash = createHash('sha256')
    const transfer = { ...(signal && { signal }), ...(retry && { retry }) }
    if (from > 0) await rehash(file, from, hash, signal)
    const local = store.pathOf?.(name)
    if (local !== undefined) {
      await file.truncate(from)
      const count = report(from)
      await copyHashed(local, { file, path: part }, { from, to: bytes, hash, signal, onBytes: count })
    } else if (from < bytes) {
      let pieces = readRange(store, name, { from, to: bytes, etag }, transfer)
      try {
        const first = await pieces.next().catch((error) => {
          if (from === 0 || !(error instanceof UnavailableError)) throw error
          return undefined // a server that knows no ranges: from the beginning, then
        })
        if (!first) {
          from = 0
          hash = createHash('sha256')
          pieces = readRange(store, name, { from, to: bytes, etag }, transfer)
        }
        const rest = { first: first ?? (await pieces.next()), rest: pieces }
        await append(file, { ...rest, from, hash, onBytes: report(from) })
      } finally {
        await pieces.return(undefined) // where the disk took no more, the connection is still open
      }
    } else report(from)(0)
    await file.sync()
    return { sha256: hash.digest('hex'), resumed: from > 0 }
  } finally {
    await file.close()
  }

  function report(known: number): (bytes: number) => void {
    onBytes?.(known)
    return (bytes) => onBytes?.(bytes)
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

/** Writes what comes behind byte `from`: while one stretch is being written, the next is received and hashed. */
async function append(
  file: FileHandle,
  {
    first,
    rest,
    from,
    hash,
    onBytes,
  }: {
    first: IteratorResult<Uint8Array>
    rest: AsyncGenerator<Uint8Array>
    from: number
    hash: { update(data: Uint8Array): unknown }
    onBytes: (bytes: number) => void
  },
): Promise<void> {
  await file.truncate(from)
  // What the network brings is small pieces: gathered in two pieces of memory, one is filled and hashed while the other is written.
  const pieces = [Buffer.allocUnsafeSlow(WRITE_BYTES), Buffer.allocUnsafeSlow(WRITE_BYTES)] as const
  let [turn, filled, at]: [0 | 1, number, number] = [0, 0, from]
  let writing = Promise.resolve()
  const write = async () => {
    const piece = pieces[turn].subarray(0, filled)
    hash.update(piece)
    await writing
    writing = writeAt(file, piece, at)
    writing.catch(() => {}) // thrown where it is awaited
    at += filled
    filled = 0
    turn = turn === 0 ? 1 : 0
  }
  try {
    for (let next = first; !next.done; next = await rest.next()) {
      for (let done = 0; done < next.value.length; ) {
        const part = next.value.subarray(done, done + WRITE_BYTES - filled)
        pieces[turn].set(part, filled)
        filled += part.length
        done += part.length
        if (filled === WRITE_BYTES) await write()
      }
      onBytes(next.value.length)
    }
  } finally {
    if (filled > 0) await write() // what has come is kept, whatever happens next
    await writing
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
