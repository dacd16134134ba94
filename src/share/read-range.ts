import { DecantError, FormatError } from '../errors.js'
import { pauses, type RetryOptions } from './retry.js'
import { type ReadOptions, RefusedError, type Store, type StoredFile, type Transfer } from './store.js'

/** How often in a row a connection may break with next to nothing read. */
const BREAKS = 6
/** What counts as progress: a server that hands out a byte a connection would go on for ever. */
const PROGRESS_BYTES = 64 * 2 ** 10

/**
 * The bytes [from, to) of a file in pieces, all of them: where the connection breaks it goes on from there.
 * @throws what `store.read` throws; DecantError where the connection keeps breaking
 */
export async function* readRange(
  store: Store,
  name: string,
  { from, to, etag }: { from: number; to: number; etag?: string | undefined },
  { retry = {}, ...transfer }: ReadOptions & { retry?: RetryOptions } = {},
): AsyncGenerator<Uint8Array> {
  const options = { ...retry, ...(transfer.signal && { signal: transfer.signal }) }
  let pause = pauses(options)
  let since = 0
  for (let at = from, breaks = 0; at < to; ) {
    for await (const piece of store.read(name, { from: at, to, ...(etag !== undefined && { etag }) }, transfer)) {
      at += piece.length
      since += piece.length
      yield piece
    }
    if (at >= to) return
    if (since >= PROGRESS_BYTES) {
      breaks = 0
      pause = pauses(options)
    }
    since = 0
    if (++breaks >= BREAKS)
      throw new DecantError(
        `${store.uri}/${name}: the connection broke ${breaks} times, at last at byte ${at} of ${to}`,
      )
    await pause()
  }
}

/**
 * A whole small file (a manifest, a card), or undefined where there is none.
 * @throws FormatError where it is longer than `most` bytes
 */
export async function readSmall(
  store: Store,
  name: string,
  { most, ...transfer }: Transfer & { most: number; retry?: RetryOptions },
): Promise<{ bytes: Buffer; file: StoredFile } | undefined> {
  const file = await store.head(name, transfer.signal)
  if (!file) return undefined
  if (file.bytes > most) throw new FormatError(`${store.uri}/${name}: ${file.bytes} bytes, expected at most ${most}`)
  const pieces: Uint8Array[] = []
  for await (const piece of readRange(store, name, { from: 0, to: file.bytes, etag: file.etag }, transfer))
    pieces.push(piece)
  return { bytes: Buffer.concat(pieces), file }
}

/**
 * As `readSmall`, of a file that may be missing: where names may not be listed, S3 (and what stands before it) answers 403 for one that is
 * not there.
 */
export async function readBeside(...args: Parameters<typeof readSmall>): Promise<Buffer | undefined> {
  try {
    return (await readSmall(...args))?.bytes
  } catch (error) {
    if (error instanceof RefusedError && error.status === 403) return undefined
    throw error
  }
}
