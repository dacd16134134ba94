import { createHash } from 'node:crypto'
import { readFile, realpath, stat } from 'node:fs/promises'
import { isAbsolute, join, relative, sep } from 'node:path'
import { diffJson } from '../cache/diff.js'
import { CARD, MANIFEST, PLOT, readManifestBytes, SIGNATURE } from '../cache/folder.js'
import { checkLicences } from '../cache/licences.js'
import { MAX_MANIFEST_BYTES, type Manifest, parseManifest, type ShardEntry } from '../cache/manifest.js'
import { DecantError, FormatError, InterruptedError, MismatchError, UnavailableError } from '../errors.js'
import { openCarrier } from './carrier.js'
import { bytesContent, hashOf } from './file-content.js'
import { readRange, readSmall } from './read-range.js'
import type { Store, StoredFile } from './store.js'
import { forEach, JOBS, meter, type TransferProgress } from './transfer.js'
import { formatPlace, type OpenStoreOptions, openStore, type Place, parsePlace } from './uri.js'

export interface PushOptions extends OpenStoreOptions {
  /** files on their way at once; default 4 */
  jobs?: number
  /** put the dataset in the stead of another one that lies there, or of files of the same names */
  replace?: boolean
  /** say what would be sent; write nothing */
  dryRun?: boolean
  /** of a hub's repository: a branch */
  revision?: string
  onProgress?: (progress: TransferProgress) => void
  /** Aborting stops at once, then throws InterruptedError: the same call goes on. */
  signal?: AbortSignal
}

export interface PushResult {
  /** without credentials */
  uri: string
  /** SHA-256 of the manifest: `uri#sha256=…` is this dataset and no other */
  manifest: string
  rows: number
  shards: number
  /** bytes of the dataset, the manifest among them */
  bytes: number
  /** What was sent (with `dryRun`: would be), in order; the manifest last. Empty where all was there. */
  sent: string[]
  sentBytes: number
  /** What lies there besides: not deleted, and no part of the dataset. */
  extra: string[]
  /** The SHA-256 of the manifest that lay there before, where it was another. */
  replaced?: string
}

/** What lies beside manifest and shards and is no part of the dataset: it may be missing. */
export const BESIDE = [CARD, PLOT, SIGNATURE]
/** A card is a page or two, its plot 200 lines. */
export const MAX_BESIDE_BYTES = 2 ** 20

/**
 * Copies the soft-target dataset in folder `dir` to a place: `path`, `https://…` (PUT), `s3://bucket/prefix` or `hf://datasets/org/name`.
 * What is there already, by hash, is not sent again, so the same call goes on after a kill; the manifest comes last.
 *
 * In what order, and why no reader gets a mixture: shards of all datasets have the same names. Before the first file of another dataset
 * is overwritten (only with `replace`) its manifest is deleted, and ours is written once all of ours has arrived. So at each moment there is
 * the old dataset whole, none, or the new one whole. Who had read the old manifest finds other hashes, and who reads by ranges, without
 * hashes, is safe if the manifest is still the old one after a shard was opened (its ETag held from then on).
 *
 * @throws FormatError where the local dataset is not what its manifest says; no wrong shard gets its name there
 * @throws MismatchError where another dataset lies there; DecantError where there is no licence, a file is a link that leads out of the
 * folder, or the place refuses
 */
export async function pushTargets(dir: string, uri: string, options: PushOptions = {}): Promise<PushResult> {
  const { signal } = options
  const local = await readLocal(dir)
  const place = parsePlace(uri, options)
  if (place.sha256 !== undefined && place.sha256 !== local.sha256)
    throw new MismatchError(
      `${dir}: is not the dataset that ${formatPlace(place)} names: its manifest is ${local.sha256}`,
      [],
    )
  checkLicences(local.manifest, dir)
  await checkSizes(dir, local.manifest.shards)
  const store = await openStore(place, options)
  try {
    return await pushTo({ store, place }, local, options)
  } catch (error) {
    if (!signal?.aborted) throw error
    throw new InterruptedError(`${store.uri}: stopped; what has arrived stays, run the same command again to go on`)
  }
}

interface LocalFile {
  name: string
  bytes: number
  sha256: string
  /** of a small file, which is compared byte by byte where the place gives no hash */
  content?: Buffer
}

interface Local {
  dir: string
  text: Buffer
  sha256: string
  manifest: Manifest
  /** the card, its picture and the manifest's signature, as far as they are there */
  beside: LocalFile[]
}

async function pushTo(
  { store, place }: { store: Store; place: Place },
  local: Local,
  options: PushOptions,
): Promise<PushResult> {
  const { signal, jobs = JOBS, onProgress } = options
  const { dir, manifest } = local
  const old = await readOld(store, signal)
  const same = old?.sha256 === local.sha256
  if (old && !same && !options.replace) throw differs(store, old, manifest)
  const there = await listFiles(store, signal)

  const files: LocalFile[] = [
    ...manifest.shards.map(({ file, bytes, sha256 }) => ({ name: file, bytes, sha256 })),
    ...local.beside,
  ]
  const missing = new Set<string>()
  const overwritten = new Set<string>()
  const look = { store, there, listed: old?.manifest?.shards ?? [], trusted: same && !there }
  await forEach(files, { jobs, signal }, async (file, signal) => {
    const found = await compare(file, { ...look, signal })
    if (found !== 'same') missing.add(file.name)
    if (found === 'other') overwritten.add(file.name)
  })
  const needed = files.filter(({ name }) => missing.has(name))
  const [another] = overwritten
  if (!old && another !== undefined && !options.replace)
    throw new DecantError(
      `${store.uri}: has another ${another} and no manifest; add --replace to overwrite what is there`,
    )

  const sent = [...needed.map(({ name }) => name), ...(same ? [] : [MANIFEST])]
  const total = files.reduce((sum, { bytes }) => sum + bytes, local.text.length)
  const sentBytes = needed.reduce((sum, { bytes }) => sum + bytes, same ? 0 : local.text.length)
  if (!options.dryRun && sent.length > 0) {
    const progress = meter({ totalBytes: total, totalFiles: files.length + 1 }, onProgress)
    progress.bytes(total - sentBytes)
    for (let i = needed.length; i < files.length; i++) progress.file()
    const transfer = (signal?: AbortSignal) => ({ onBytes: progress.bytes, ...(signal && { signal }) })
    const replaced = old && !same && listedAmong(old, overwritten)
    if (replaced) await store.delete(MANIFEST, signal)
    if (!same && (await hasOldSignature(look, local, signal))) await store.delete(SIGNATURE, signal)
    const carrier = openCarrier(store, place, { ...options, jobs, bytes: sentBytes })
    try {
      await forEach(needed, { jobs, signal }, async (file, signal) => {
        if (file.content) await store.write(file.name, bytesContent(file.content), transfer(signal))
        else await carrier.write(file.name, join(dir, file.name), file, transfer(signal))
        progress.file()
      })
    } finally {
      await carrier.close()
    }
    // Before the manifest is there; where a store works by commits, one makes all visible at once, and the store has checked what it was sent.
    if (!store.flush) await checkArrived(store, needed, options)
    if (!same) await store.write(MANIFEST, bytesContent(local.text), transfer(signal))
    await store.flush?.(signal)
    if (store.flush) await checkArrived(store, needed, options)
    progress.file()
  }
  const own = new Set([...files.map(({ name }) => name), MANIFEST])
  return {
    uri: store.uri,
    manifest: local.sha256,
    rows: manifest.rows,
    shards: manifest.shards.length,
    bytes: total,
    sent,
    sentBytes,
    extra: extraOf({ there, old, own }),
    ...(old && !same && { replaced: old.sha256 }),
  }
}

// the local side

async function readLocal(dir: string): Promise<Local> {
  const path = join(dir, MANIFEST)
  const text = await readManifestBytes(dir)
  if (!text) throw new DecantError(`${dir}: expected a finished soft-target dataset, found no ${MANIFEST}`)
  await refuseOutside(dir, MANIFEST)
  const beside = (await Promise.all(BESIDE.map((name) => readBeside(dir, name)))).flat()
  return { dir, text, sha256: hashOf(text), manifest: parseManifest(text.toString(), path), beside }
}

async function readBeside(dir: string, name: string): Promise<LocalFile[]> {
  const path = join(dir, name)
  const found = await stat(path).catch(() => undefined)
  if (!found?.isFile()) return []
  await refuseOutside(dir, name)
  if (found.size > MAX_BESIDE_BYTES)
    throw new DecantError(`${path}: ${found.size} bytes, expected at most ${MAX_BESIDE_BYTES}`)
  const content = await readFile(path)
  return [{ name, bytes: content.length, sha256: hashOf(content), content }]
}

async function checkSizes(dir: string, shards: ShardEntry[]): Promise<void> {
  for (const { file, bytes } of shards) {
    const path = join(dir, file)
    const found = await stat(path).catch(() => undefined)
    if (!found?.isFile()) throw new FormatError(`${path}: listed in the manifest, but not there`)
    if (found.size !== bytes) throw new FormatError(`${path}: expected ${bytes} bytes, found ${found.size}`)
    await refuseOutside(dir, file)
  }
}

/** What is published lies in the folder: who made it cannot have other files of this machine sent. */
async function refuseOutside(dir: string, name: string): Promise<void> {
  const path = join(dir, name)
  const [folder, file] = await Promise.all([realpath(dir), realpath(path)])
  const way = relative(folder, file)
  if (way.split(sep)[0] === '..' || isAbsolute(way))
    throw new DecantError(
      `${path}: leads out of the folder, to ${file}: expected a file; put a copy in the link's stead`,
    )
}

// the other side

interface Old {
  sha256: string
  bytes: Buffer
  /** absent where it cannot be read: of a newer version, or damaged */
  manifest?: Manifest
}

async function readOld(store: Store, signal: AbortSignal | undefined): Promise<Old | undefined> {
  const found = await readSmall(store, MANIFEST, { most: MAX_MANIFEST_BYTES, ...(signal && { signal }) })
  if (!found) return undefined
  const { bytes } = found
  try {
    return { sha256: hashOf(bytes), bytes, manifest: parseManifest(bytes.toString(), `${store.uri}/${MANIFEST}`) }
  } catch (error) {
    if (!(error instanceof FormatError)) throw error
    return { sha256: hashOf(bytes), bytes }
  }
}

function differs(store: Store, old: Old, now: Manifest): MismatchError {
  const differences = old.manifest
    ? diffJson({ ...old.manifest, shards: old.manifest.shards.length }, { ...now, shards: now.shards.length }).slice(
        0,
        20,
      )
    : ['its manifest cannot be read by this version of decant']
  return new MismatchError(
    `${store.uri}: holds another dataset; choose another place, or add --replace to put this one in its stead. Different:`,
    differences.map((line) => line.replace(/ in the folder, (.*) now$/, ' there, $1 here')),
  )
}

/** undefined where the place cannot list */
async function listFiles(store: Store, signal: AbortSignal | undefined): Promise<Map<string, StoredFile> | undefined> {
  try {
    return new Map((await store.list(signal)).map((file) => [file.name, file]))
  } catch (error) {
    if (error instanceof UnavailableError) return undefined
    throw error
  }
}

interface Look {
  store: Store
  there: Map<string, StoredFile> | undefined
  /** what the manifest there says of its shards */
  listed: ShardEntry[]
  /** That manifest is ours, and the place cannot list: it was written last, so the shards are there. */
  trusted: boolean
}

/** Whether a file is there, and is ours. */
async function compare(file: LocalFile, look: Look & { signal: AbortSignal }): Promise<'same' | 'other' | 'missing'> {
  const { store, there, listed, trusted, signal } = look
  if (trusted && !file.content) return 'same'
  const found = there ? there.get(file.name) : await store.head(file.name, signal)
  if (!found) return 'missing'
  if (found.bytes !== file.bytes) return 'other'
  if (found.sha256 !== undefined) return found.sha256 === file.sha256 ? 'same' : 'other'
  // A manifest that is there was written after its shards.
  const entry = listed.find((shard) => shard.file === file.name)
  if (entry) return entry.sha256 === file.sha256 ? 'same' : 'other'
  // What a push that was killed has left: S3 gives the hash of a file that is asked for by itself, not in a list; else reading it is never
  // dearer than sending it, and it is sure.
  const vouched = there && (await store.head(file.name, signal))?.sha256
  if (vouched) return vouched === file.sha256 ? 'same' : 'other'
  const hash = createHash('sha256')
  for await (const piece of readRange(store, file.name, { from: 0, to: file.bytes, etag: found.etag }, { signal }))
    hash.update(piece)
  return hash.digest('hex') === file.sha256 ? 'same' : 'other'
}

const listedAmong = ({ manifest }: Old, overwritten: Set<string>): boolean =>
  !manifest || manifest.shards.some(({ file }) => overwritten.has(file))

/** Whether a signature lies there that is of another manifest, and that none of ours overwrites. */
async function hasOldSignature({ store, there }: Look, { beside }: Local, signal: AbortSignal | undefined) {
  if (beside.some(({ name }) => name === SIGNATURE)) return false
  return there ? there.has(SIGNATURE) : (await store.head(SIGNATURE, signal)) !== undefined
}

/** A server that says it has written, and has not, is found out before the manifest. */
async function checkArrived(store: Store, sent: LocalFile[], { jobs, signal }: PushOptions): Promise<void> {
  const there = sent.length > 0 ? await listFiles(store, signal) : undefined
  await forEach(sent, { jobs, signal }, async ({ name, bytes }, signal) => {
    const found = there ? there.get(name) : await store.head(name, signal)
    if (found?.bytes !== bytes)
      throw new DecantError(
        `${store.uri}/${name}: sent ${bytes} bytes, and ${found ? `${found.bytes} are there` : 'it is not there'}`,
      )
  })
}

function extraOf({
  there,
  old,
  own,
}: {
  there: Map<string, StoredFile> | undefined
  old: Old | undefined
  own: Set<string>
}): string[] {
  const names = there ? [...there.keys()] : (old?.manifest?.shards.map(({ file }) => file) ?? [])
  return names.filter((name) => !own.has(name) && !name.startsWith('.git'))
}
