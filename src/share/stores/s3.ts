import { createHash } from 'node:crypto'
import type { S3Client } from '@aws-sdk/client-s3'
import { DecantError, FormatError, MismatchError } from '../../errors.js'
import { isPassing, type RetryOptions } from '../retry.js'
import { type Content, checkName, type Store, type StoredFile, type Transfer } from '../store.js'
import { attempt, createClient, loadSdk, S3Error, type Sdk, statusOf } from './s3-client.js'
import { type Bucket, uploadParts } from './s3-parts.js'

export interface S3StoreOptions {
  retry?: RetryOptions
  idleMs?: number
  env?: NodeJS.ProcessEnv
  /** tests: the SDK, or its absence */
  load?: () => Promise<Sdk>
}

/** Up to this a file is sent in one request. */
const MAX_SINGLE_BYTES = 16 * 2 ** 20

/**
 * A bucket of S3, or of a server that speaks its protocol (AWS_ENDPOINT_URL). `prefix` is '' or ends in '/'. Each object carries its SHA-256 as
 * metadata; the server is given it to check where it takes a file at once, and that of each part where it takes parts.
 */
export async function openS3Store(
  place: { bucket: string; prefix: string },
  { retry = {}, idleMs = 60_000, env = process.env, load }: S3StoreOptions = {},
): Promise<Store> {
  const sdk = await loadSdk(load)
  const client = await createClient(sdk, { env, idleMs })
  const uri = `s3://${place.bucket}/${place.prefix}`.replace(/\/$/, '')
  const bucket = (name: string, signal?: AbortSignal): Bucket => ({
    sdk,
    client,
    target: { Bucket: place.bucket, Key: place.prefix + checkName(name) },
    place: `${uri}/${name}`,
    retry: signal ? { ...retry, signal } : retry,
  })

  return {
    uri,
    list: (signal) => list({ sdk, client, ...place, uri, retry: signal ? { ...retry, signal } : retry }),
    head: async (name, signal) => {
      const found = await head(bucket(name, signal))
      return found && { name, ...found }
    },
    read: (name, range, transfer = {}) => read(bucket(name, transfer.signal), range, transfer),
    write: async (name, content, transfer = {}) => {
      const to = bucket(name, transfer.signal)
      if (content.bytes <= MAX_SINGLE_BYTES) return put(to, content, transfer)
      const { resumed } = await uploadParts(to, content, transfer)
      // Metadata are those of the upload's beginning: parts that were sent for another file of the same beginning cannot be told before.
      if (!resumed || (await head(to))?.sha256 === content.sha256) return
      transfer.onBytes?.(-content.bytes)
      await uploadParts(to, content, { ...transfer, fresh: true })
    },
    delete: async (name, signal) => {
      const { target, place, retry } = bucket(name, signal)
      await attempt(place, () => client.send(new sdk.DeleteObjectCommand(target), abort(signal)), retry)
    },
  }
}

export const abort = (signal: AbortSignal | undefined) => (signal ? { abortSignal: signal } : {})

interface Listing {
  sdk: Sdk
  client: S3Client
  bucket: string
  prefix: string
  uri: string
  retry: RetryOptions
}

async function list({ sdk, client, bucket, prefix, uri, retry }: Listing): Promise<StoredFile[]> {
  const files: StoredFile[] = []
  let next: string | undefined
  do {
    const page = await attempt(
      uri,
      () =>
        client.send(
          new sdk.ListObjectsV2Command({ Bucket: bucket, Prefix: prefix, ContinuationToken: next }),
          abort(retry.signal),
        ),
      retry,
    )
    for (const { Key, Size, ETag } of page.Contents ?? [])
      if (Key?.startsWith(prefix) && Key !== prefix && !Key.endsWith('/'))
        files.push({ name: Key.slice(prefix.length), bytes: Size ?? 0, ...(ETag && { etag: ETag }) })
    next = page.IsTruncated ? page.NextContinuationToken : undefined
  } while (next !== undefined)
  return files
}

async function head({ sdk, client, target, place, retry }: Bucket): Promise<Omit<StoredFile, 'name'> | undefined> {
  const command = { ...target, ChecksumMode: 'ENABLED' as const }
  const found = await attempt(
    place,
    async () => {
      try {
        return await client.send(new sdk.HeadObjectCommand(command), abort(retry.signal))
      } catch (error) {
        if (statusOf(error) === 404) return undefined // of a bucket that is not there, too: `list` tells
        throw error
      }
    },
    retry,
  )
  if (!found) return undefined
  const sha256 = found.Metadata?.sha256 ?? hexOf(found.ChecksumSHA256)
  return {
    bytes: found.ContentLength ?? 0,
    ...(found.ETag && { etag: found.ETag }),
    ...(sha256 && /^[0-9a-f]{64}$/.test(sha256) && { sha256 }),
  }
}

/** A checksum of a file that was sent in parts is one of checksums, and ends in -<parts>. */
const hexOf = (base64: string | undefined) =>
  base64 && !base64.includes('-') ? Buffer.from(base64, 'base64').toString('hex') : undefined

async function* read(
  { sdk, client, target, place, retry }: Bucket,
  { from, to, etag }: { from: number; to: number; etag?: string },
  { signal, onBytes }: Transfer,
): AsyncGenerator<Uint8Array> {
  if (from >= to) return
  const range = { Range: `bytes=${from}-${to - 1}`, ...(etag !== undefined && { IfMatch: etag }) }
  const found = await attempt(
    place,
    () => client.send(new sdk.GetObjectCommand({ ...target, ...range }), abort(signal)),
    retry,
  ).catch((error) => {
    if (!(error instanceof S3Error)) throw error
    if (error.status === 412) throw new MismatchError(`${place}: the file changed while it was read`, [])
    if (error.status === 416)
      throw new MismatchError(`${place}: the file is shorter than the ${to} bytes that were expected`, [])
    throw error
  })
  const body = found.Body as AsyncIterable<Uint8Array> & { destroy?(): void }
  let left = to - from
  try {
    if (found.ContentRange !== undefined && !found.ContentRange.startsWith(`bytes ${from}-`))
      throw new DecantError(`${place}: asked for bytes ${from}-${to - 1}, the server answers with others`)
    if (found.ContentRange === undefined && from > 0)
      throw new DecantError(`${place}: the server sends whole files only (it does not answer to Range)`)
    for await (const piece of body) {
      const part = piece.length > left ? piece.subarray(0, left) : piece
      left -= part.length
      onBytes?.(part.length)
      yield part
      if (left === 0) return
    }
  } catch (error) {
    signal?.throwIfAborted()
    if (!isBreak(error)) throw error // else the caller goes on from there
  } finally {
    body.destroy?.()
  }
}

const isBreak = (error: unknown) =>
  isPassing(error) ||
  (!(error instanceof DecantError) && /aborted|terminated|premature|timed? ?out/i.test((error as Error)?.message ?? ''))

async function put({ sdk, client, target, place, retry }: Bucket, content: Content, transfer: Transfer): Promise<void> {
  const { bytes, sha256, read } = content
  const body = await collect(read(0, bytes))
  const found = createHash('sha256').update(body).digest()
  if (found.toString('hex') !== sha256)
    throw new FormatError(`${place}: expected SHA-256 ${sha256}, found ${found.toString('hex')}`)
  const command = {
    ...target,
    Body: body,
    ContentLength: bytes,
    ChecksumSHA256: found.toString('base64'),
    Metadata: { sha256 },
  }
  await attempt(place, () => client.send(new sdk.PutObjectCommand(command), abort(transfer.signal)), retry)
  transfer.onBytes?.(bytes)
}

export async function collect(pieces: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = []
  for await (const piece of pieces) all.push(piece)
  return Buffer.concat(all)
}
