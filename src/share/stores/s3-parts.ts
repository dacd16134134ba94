import { createHash } from 'node:crypto'
import type {
  CompletedPart,
  MultipartUpload,
  Part,
  S3Client,
  ListMultipartUploadsCommandOutput as UploadsPage,
} from '@aws-sdk/client-s3'
import { FormatError } from '../../errors.js'
import type { RetryOptions } from '../retry.js'
import type { Content, Transfer } from '../store.js'
import { attempt, S3Error, type Sdk } from './s3-client.js'

/** Where a file goes, and by what. */
export interface Bucket {
  sdk: Sdk
  client: S3Client
  target: { Bucket: string; Key: string }
  /** for messages */
  place: string
  retry: RetryOptions
}

/** S3 takes parts from 5 MiB on, 10,000 of them. Parts are held in memory while they are sent. */
const PART_BYTES = 8 * 2 ** 20
const MAX_PARTS = 10_000
/** Of one file; files are sent several at once, too. */
const PARTS_IN_FLIGHT = 3
/** An upload that was left this long ago costs its owner storage and will not be gone on with. */
const STALE_MS = 7 * 24 * 3600 * 1000

const partBytes = (bytes: number) => Math.max(PART_BYTES, 2 ** 20 * Math.ceil(bytes / MAX_PARTS / 2 ** 20))

/**
 * Sends a file in parts. What an upload that was killed has left is looked for under the same key, and each part of it whose hash is right
 * is not sent again; other unfinished uploads of this key that are older than a week are ended.
 *
 * An upload that fails stays, so that the next can go on; a bucket's rule AbortIncompleteMultipartUpload removes those that nobody goes on with.
 * @returns whether an upload was gone on with
 */
export async function uploadParts(
  bucket: Bucket,
  content: Content,
  { signal, onBytes, fresh = false }: Transfer & { fresh?: boolean },
): Promise<{ resumed: boolean }> {
  const { sdk, client, target, place, retry } = bucket
  const send = <T>(work: (options: { abortSignal?: AbortSignal }) => Promise<T>) =>
    attempt(place, () => work(signal ? { abortSignal: signal } : {}), retry)
  const { bytes, sha256 } = content
  const size = partBytes(bytes)

  const left = fresh ? undefined : await findUpload(bucket)
  const upload = left?.upload.UploadId ?? (await create())
  const parts = left?.parts ?? new Map<number, Part>()
  const done: CompletedPart[] = []
  const hash = createHash('sha256')
  const sending = new Set<Promise<void>>()
  let failure: { error: unknown } | undefined

  async function create(): Promise<string> {
    const command = { ...target, Metadata: { sha256 }, ChecksumAlgorithm: 'SHA256' as const }
    const made = await send((options) => client.send(new sdk.CreateMultipartUploadCommand(command), options))
    return made.UploadId!
  }

  async function sendPart(number: number, body: Buffer, digest: string): Promise<void> {
    const command = { ...target, UploadId: upload, PartNumber: number, Body: body, ChecksumSHA256: digest }
    const { ETag } = await send((options) => client.send(new sdk.UploadPartCommand(command), options))
    done.push({ PartNumber: number, ETag, ChecksumSHA256: digest })
    onBytes?.(body.length)
  }

  for (let number = 1; (number - 1) * size < bytes && !failure; number++) {
    signal?.throwIfAborted()
    const from = (number - 1) * size
    const body = await readPart(content, from, Math.min(bytes, from + size))
    hash.update(body)
    const digest = createHash('sha256').update(body).digest('base64')
    const known = parts.get(number)
    if (known && isSame(known, body, digest)) {
      done.push({ PartNumber: number, ETag: known.ETag, ChecksumSHA256: digest })
      onBytes?.(body.length)
      continue
    }
    const one = sendPart(number, body, digest)
      .catch((error) => {
        failure ??= { error }
      })
      .finally(() => sending.delete(one))
    sending.add(one)
    if (sending.size >= PARTS_IN_FLIGHT) await Promise.race(sending) // what has been read is in memory
  }
  await Promise.all(sending)
  if (failure) throw failure.error
  const found = hash.digest('hex')
  if (found !== sha256) {
    await abortUpload(bucket, upload)
    throw new FormatError(`${place}: expected SHA-256 ${sha256}, found ${found}`)
  }
  done.sort((a, b) => a.PartNumber! - b.PartNumber!)
  const command = { ...target, UploadId: upload, MultipartUpload: { Parts: done } }
  await send((options) => client.send(new sdk.CompleteMultipartUploadCommand(command), options)).catch(
    async (error) => {
      // The answer to the first try may have been lost: what was completed is no upload any more.
      if (!(error instanceof S3Error && error.code === 'NoSuchUpload')) throw error
      const there = await send((options) => client.send(new sdk.HeadObjectCommand(target), options))
      if (there.ContentLength !== bytes || there.Metadata?.sha256 !== sha256) throw error
    },
  )
  return { resumed: left !== undefined }
}

async function readPart(content: Content, from: number, to: number): Promise<Buffer> {
  const body = Buffer.allocUnsafeSlow(to - from)
  let at = 0
  for await (const piece of content.read(from, to)) {
    body.set(piece, at)
    at += piece.length
  }
  return body.subarray(0, at)
}

/** By SHA-256 where the server keeps one for each part, else by the MD5 that an ETag is where nothing is encrypted. */
function isSame({ Size, ChecksumSHA256, ETag }: Part, body: Buffer, digest: string): boolean {
  if (Size !== body.length) return false
  if (ChecksumSHA256) return ChecksumSHA256 === digest
  return ETag?.replaceAll('"', '') === createHash('md5').update(body).digest('hex')
}

/** The newest upload of this key that has not ended, with its parts. */
async function findUpload(bucket: Bucket): Promise<{ upload: MultipartUpload; parts: Map<number, Part> } | undefined> {
  const [newest, ...others] = (await listUploads(bucket)).sort((a, b) => startOf(b) - startOf(a))
  for (const other of others) if (Date.now() - startOf(other) > STALE_MS) await abortUpload(bucket, other.UploadId!)
  if (!newest) return undefined
  const parts = await listParts(bucket, newest.UploadId!)
  return parts && { upload: newest, parts }
}

const startOf = ({ Initiated }: MultipartUpload) => Initiated?.getTime() ?? 0

/** Credentials that may write but not list send everything. */
async function orNone<T>(work: Promise<T>): Promise<T | undefined> {
  return work.catch((error) => {
    if (error instanceof S3Error && [403, 404, 405, 501].includes(error.status ?? 0)) return undefined
    throw error
  })
}

async function listUploads({ sdk, client, target, place, retry }: Bucket): Promise<MultipartUpload[]> {
  const { Bucket, Key } = target
  const found: MultipartUpload[] = []
  let marker: Pick<UploadsPage, 'KeyMarker' | 'UploadIdMarker'> | undefined = {}
  while (marker) {
    const command: InstanceType<Sdk['ListMultipartUploadsCommand']> = new sdk.ListMultipartUploadsCommand({
      Bucket,
      Prefix: Key,
      ...marker,
    })
    const page: UploadsPage | undefined = await orNone(
      attempt(place, () => client.send(command, retry.signal && { abortSignal: retry.signal }), retry),
    )
    found.push(...(page?.Uploads ?? []).filter((upload) => upload.Key === Key && upload.UploadId))
    marker = page?.IsTruncated ? { KeyMarker: page.NextKeyMarker, UploadIdMarker: page.NextUploadIdMarker } : undefined
  }
  return found
}

/** undefined where the upload has just ended */
async function listParts(
  { sdk, client, target, place, retry }: Bucket,
  UploadId: string,
): Promise<Map<number, Part> | undefined> {
  const parts = new Map<number, Part>()
  let PartNumberMarker: string | undefined
  do {
    const command = new sdk.ListPartsCommand({ ...target, UploadId, PartNumberMarker })
    const page = await orNone(
      attempt(place, () => client.send(command, retry.signal && { abortSignal: retry.signal }), retry),
    )
    if (!page) return undefined
    for (const part of page.Parts ?? []) parts.set(part.PartNumber!, part)
    PartNumberMarker = page.IsTruncated ? page.NextPartNumberMarker : undefined
  } while (PartNumberMarker !== undefined)
  return parts
}

async function abortUpload({ sdk, client, target, place, retry }: Bucket, UploadId: string): Promise<void> {
  await orNone(attempt(place, () => client.send(new sdk.AbortMultipartUploadCommand({ ...target, UploadId })), retry))
}
