import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { writeCard } from '../cache/card.js'
import { ignoreOn, replaceFile, syncFolder } from '../cache/files.js'
import { DATA, MANIFEST, SIGNATURE } from '../cache/folder.js'
import { formatManifest, MAX_MANIFEST_BYTES, parseManifest } from '../cache/manifest.js'
import { checkSignature } from '../cache/signature.js'
import { DecantError, FormatError, InterruptedError, MismatchError } from '../errors.js'
import { openCarrier } from './carrier.js'
import { partOf } from './fetch-file.js'
import { hashOf } from './file-content.js'
import { type Fetch, planShards, type Whole } from './partial.js'
import { checkSpace, openPullFolder } from './pull-folder.js'
import { pullRows } from './pull-rows.js'
import { BESIDE, MAX_BESIDE_BYTES } from './push.js'
import { readBeside, readSmall } from './read-range.js'
import type { Store } from './store.js'
import { forEach, JOBS, meter, type TransferProgress } from './transfer.js'
import { formatPlace, nameOf, type OpenStoreOptions, openStore, type Place, parsePlace } from './uri.js'

export interface PullOptions extends OpenStoreOptions {
  /** default: the last word of the URI, in the working folder */
  dir?: string
  /** these shards, counted from 0, as a dataset of their own */
  shards?: number[]
  /** rows [from, to) as a dataset of their own; whole samples, where a sample has several views */
  rows?: { from: number; to: number }
  /** of a hub's repository: a branch, tag or commit */
  revision?: string
  /** a public Ed25519 key, PEM: only a dataset whose manifest is signed by it is fetched */
  key?: string | Uint8Array
  /** files on their way at once; default 4 */
  jobs?: number
  onProgress?: (progress: TransferProgress) => void
  /** Aborting stops at once, then throws InterruptedError: the same call goes on. */
  signal?: AbortSignal
}

export interface PullResult {
  dir: string
  /** without credentials */
  uri: string
  /** SHA-256 of the manifest there */
  from: string
  /** SHA-256 of the manifest here: another one where a part was pulled */
  manifest: string
  rows: number
  shards: number
  bytes: number
  /** bytes of shards that were fetched; the others were here */
  fetchedBytes: number
  /** shards that were here, damaged, and were fetched again */
  repaired: string[]
}

/**
 * Fetches a soft-target dataset, or a part of it, into a folder: `path`, `http(s)://…`, `s3://…` or `hf://datasets/org/name`, each with
 * `#sha256=…` where the manifest must be that one. Every shard is checked by its SHA-256 before it gets its name, and the manifest comes last: the
 * folder is the exact dataset or none. The same call goes on after a kill, from the bytes that are here; of a finished folder it
 * fetches what is missing or damaged. No more than the manifest declares is ever written, and nothing outside the folder.
 *
 * A part (`shards`, `rows`) is a dataset made by `select`: its manifest names the whole one by hash.
 *
 * @throws FormatError where what is there is not what its manifest says; MismatchError where it is not the pinned one, or changed meanwhile
 * @throws DecantError where the folder holds something else, the disk has not the room, or the place refuses
 */
export async function pullTargets(uri: string, options: PullOptions = {}): Promise<PullResult> {
  const { signal } = options
  const place = parsePlace(uri, options)
  const dir = options.dir ?? nameOf(place)
  if (options.shards && options.rows) throw new DecantError('pull: expected shards or rows, found both')
  const store = await openStore(place, options)
  try {
    const whole = await readWhole(store, place, signal)
    const { key } = options
    const signature = key === undefined ? undefined : await checkedSignature(store, whole, { key, signal })
    if (options.rows) return await pullRows(store, whole, { ...options, dir, rows: options.rows })
    return await pullShards({ store, place, signature }, whole, { ...options, dir })
  } catch (error) {
    if (!signal?.aborted) throw error
    throw new InterruptedError(`${dir}: stopped; what has come stays, run the same command again to go on`)
  }
}

/** The manifest, checked, with its bytes. */
async function readWhole(store: Store, place: Place, signal?: AbortSignal): Promise<Whole & { text: Buffer }> {
  const path = `${store.uri}/${MANIFEST}`
  const found = await readSmall(store, MANIFEST, { most: MAX_MANIFEST_BYTES, ...(signal && { signal }) })
  if (!found) throw new DecantError(`${formatPlace(place)}: expected a soft-target dataset, found no ${MANIFEST} there`)
  const sha256 = hashOf(found.bytes)
  if (place.sha256 !== undefined && sha256 !== place.sha256)
    throw new MismatchError(
      `${path}: is pinned to SHA-256 ${place.sha256}, found ${sha256}: the dataset there is another`,
      [],
    )
  return { uri: store.uri, manifest: parseManifest(found.bytes.toString(), path), sha256, text: found.bytes }
}

/** The manifest's signature, which is the key's. */
async function checkedSignature(
  store: Store,
  { text }: { text: Buffer },
  { key, signal }: { key: string | Uint8Array; signal: AbortSignal | undefined },
): Promise<Uint8Array | undefined> {
  const found = await readBeside(store, SIGNATURE, { most: MAX_BESIDE_BYTES, ...(signal && { signal }) })
  checkSignature(text, found, { key, path: `${store.uri}/${MANIFEST}` })
  return found
}

async function pullShards(
  { store, place, signature }: { store: Store; place: Place; signature: Uint8Array | undefined },
  whole: Whole & { text: Buffer },
  options: PullOptions & { dir: string },
): Promise<PullResult> {
  const { dir, jobs = JOBS, signal, onProgress, shards } = options
  const { manifest, fetches } = planShards(whole, shards)
  const partial = manifest !== whole.manifest
  const text = partial ? Buffer.from(formatManifest(manifest)) : whole.text
  const folder = await openPullFolder(dir, { uri: store.uri, manifest: hashOf(text) })
  try {
    await checkSpace(dir, await missingBytes(dir, fetches), store.uri).catch(async (error) => {
      await folder.withdraw()
      throw error
    })
    const totalBytes = fetches.reduce((sum, { bytes }) => sum + bytes, 0)
    const progress = meter({ totalBytes, totalFiles: fetches.length }, onProgress)
    const repaired: string[] = []
    let fetchedBytes = 0
    const carrier = openCarrier(store, place, { ...options, jobs, bytes: totalBytes })
    await forEach(fetches, { jobs, signal }, async (file, signal) => {
      const path = join(dir, file.file)
      const state = await carrier.check(path, file, signal)
      if (state === 'whole') progress.bytes(file.bytes)
      else {
        if (state === 'damaged') {
          repaired.push(file.file)
          await checkSpace(dir, file.bytes, store.uri)
        }
        await carrier.fetch(file, path, { signal, onBytes: progress.bytes })
        fetchedBytes += file.bytes
      }
      progress.file()
    }).finally(() => carrier.close())
    await syncFolder(join(dir, DATA))
    if (!partial) await fetchBeside(store, dir, { signature, signal })
    else if (!folder.finished) await writeCard(dir, text.toString(), { verify: false }) // hashed as they came
    await folder.finish(text)
    return {
      dir,
      uri: store.uri,
      from: whole.sha256,
      manifest: hashOf(text),
      rows: manifest.rows,
      shards: fetches.length,
      bytes: totalBytes + text.length,
      fetchedBytes,
      repaired: repaired.sort(),
    }
  } finally {
    await folder.close()
  }
}

/** What is still to come, by sizes: hashes are looked at later. */
async function missingBytes(dir: string, fetches: Fetch[]): Promise<number> {
  const sizeOf = async (path: string) => (await stat(path).catch((error) => ignoreOn(error, 'ENOENT')))?.size ?? 0
  let missing = 0
  for (const fetch of fetches) {
    const path = join(dir, fetch.file)
    if ((await sizeOf(path)) === fetch.bytes) continue
    missing += Math.max(0, fetch.bytes - (await sizeOf(partOf(path, fetch))))
  }
  return missing
}

/** Card, plot and signature: no part of the dataset; those that are not there, and what is too long to be one, are left out. */
async function fetchBeside(
  store: Store,
  dir: string,
  { signature, signal }: { signature: Uint8Array | undefined; signal: AbortSignal | undefined },
): Promise<void> {
  for (const name of BESIDE) {
    if (name === SIGNATURE && signature) {
      await replaceFile(join(dir, name), signature) // the one that was checked
      continue
    }
    const found = await readBeside(store, name, { most: MAX_BESIDE_BYTES, ...(signal && { signal }) }).catch(
      (error) => {
        if (!(error instanceof FormatError)) throw error
      },
    )
    if (found) await replaceFile(join(dir, name), found)
  }
}
