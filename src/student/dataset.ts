import { constants } from 'node:buffer'
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { idAt, type Targets } from '../cache/index.js'
import { DecantError, FormatError, InterruptedError, MismatchError } from '../errors.js'
import { affine, type Preprocess } from '../source/preprocess.js'
import type { Source } from '../source/source.js'
import { emptyTargets, type StoredTargets, storeChunk } from './targets.js'

/** What students train on, in memory: n images and what the teacher said of each. Plain data, so that workers share it. */
export interface Dataset {
  rows: number
  classes: number
  names: string[] | null
  shape: [height: number, width: number, channels: number]
  /** uint8 [n, H, W, C] */
  pixels: Uint8Array
  /** What the teacher said, by row, as compact as it lies in the cache. */
  targets: StoredTargets
  /** int32 [n], -1 = no label */
  labels: Int32Array
  /** uint32 [n], a hash of the row's id: which rows are held out is decided by it alone */
  hashes: Uint32Array
  /** The student's input is x·multiply + add per channel: (x·scale - mean)/std. */
  multiply: Float32Array
  add: Float32Array
  preprocess: Preprocess
  /** sha256 of manifest.json and of the teacher's file */
  manifest: string
  teacher: string
}

/**
 * Loads targets and the images that they are of, once, joined row by row: the k-th target belongs to the k-th row of the source
 * that the export did not skip, and its id says so.
 * @throws MismatchError where the source isn't the one that was exported; FormatError where ids or labels do not fit; InterruptedError
 */
export async function loadDataset(options: {
  targets: Targets
  source: Source
  /** Into SharedArrayBuffers, for workers. */
  shared?: boolean
  signal?: AbortSignal
}): Promise<Dataset> {
  const { targets, source, shared = false, signal } = options
  const { manifest, classes, names, rows } = targets
  if (source.fingerprint !== manifest.source.fingerprint) {
    throw new MismatchError(`${source.uri} is not the source that ${targets.dir} was exported from:`, [
      `fingerprint: ${manifest.source.fingerprint} (${manifest.source.uri}), found ${source.fingerprint}`,
      `rows: ${manifest.source.rows}, found ${source.rows}`,
    ])
  }
  if (rows === 0) throw new DecantError(`${targets.dir}: no rows to train on`)
  const { input } = source
  if (input.kind !== 'image')
    throw new DecantError(`${source.uri}: students learn from images so far, the source gives ${input.kind}`)
  const bytes = rows * input.shape.reduce((product, n) => product * n, 1)
  if (Math.max(bytes, rows * classes * 4) > constants.MAX_LENGTH) {
    throw new DecantError(
      `${targets.dir}: ${rows} rows of ${input.shape.join('x')} pixels and ${classes} logits do not fit into memory: at most ${constants.MAX_LENGTH} bytes each`,
    )
  }
  const allocate = (bytes: number) => (shared ? new SharedArrayBuffer(bytes) : new ArrayBuffer(bytes))
  const pixels = new Uint8Array(allocate(bytes))
  const stored = emptyTargets({ codec: manifest.codec, classes, rows, shared })
  const labels = new Int32Array(allocate(rows * 4))
  const hashes = new Uint32Array(allocate(rows * 4))

  const images = imagesOf(source, { skip: manifest.source.skipped.length > 0, signal })
  const rowBytes = bytes / rows
  try {
    for await (const chunk of targets.chunks({ signal, verify: true })) {
      storeChunk(stored, chunk)
      labels.set(chunk.labels, chunk.first)
      for (let i = 0; i < chunk.rows; i++) {
        const row = chunk.first + i
        const image = await images.next(row)
        const id = chunk.idAt(i)
        if (image.id !== id) {
          throw new FormatError(`${targets.dir}: row ${row} has the id '${id}', the source's row has '${image.id}'`)
        }
        const label = labels[row]!
        if (label < -1 || label >= classes) {
          throw new FormatError(
            `${targets.dir}: row ${row} ('${id}'): label ${label}, expected 0..${classes - 1} or none`,
          )
        }
        pixels.set(image.pixels, row * rowBytes)
        hashes[row] = hashId(id)
      }
    }
  } catch (error) {
    throw signal?.aborted ? new InterruptedError(`stopped while ${targets.dir} was loaded; nothing was written`) : error
  } finally {
    await images.close()
  }
  const preprocess: Preprocess = { version: 1, ...manifest.preprocess }
  return {
    rows,
    classes,
    names,
    shape: input.shape,
    pixels,
    targets: stored,
    labels,
    hashes,
    ...affine(preprocess, input.shape[2]),
    preprocess,
    manifest: createHash('sha256')
      .update(await readFile(join(targets.dir, 'manifest.json')))
      .digest('hex'),
    teacher: manifest.teacher.sha256,
  }
}

/** The source's readable rows one by one. */
function imagesOf(source: Source, { skip, signal }: { skip: boolean; signal?: AbortSignal }) {
  const size = 256
  const batches = source.batches({ size, signal, onError: skip ? 'skip' : 'fail' })[Symbol.asyncIterator]()
  const rowBytes = source.input.shape.reduce((product, n) => product * n, 1)
  let [batch, at] = [undefined as Awaited<ReturnType<typeof batches.next>>['value'], 0]
  return {
    close: () => batches.return?.(),
    async next(row: number): Promise<{ id: string; pixels: Uint8Array }> {
      while (!batch || at === batch.rows) {
        const { value, done } = await batches.next()
        if (done) throw new FormatError(`${source.uri}: ends before row ${row} of the targets`)
        batch = value
        at = 0
      }
      const i = at++
      return { id: idAt(batch.ids, i), pixels: (batch.inputs as Uint8Array).subarray(i * rowBytes, (i + 1) * rowBytes) }
    },
  }
}

/** FNV-1a over UTF-8, finished as MurmurHash3 does, because FNV's high bits hardly depend on the last characters. */
export function hashId(id: string): number {
  let h = 0x811c9dc5
  for (const byte of Buffer.from(id)) h = Math.imul(h ^ byte, 0x01000193)
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}

/** Splits the rows by the hash of their id: the same share is held out for every student, seed and machine. */
export function holdOut(dataset: Dataset, share: number): { train: Uint32Array; held: Uint32Array } {
  const rows = Uint32Array.from({ length: dataset.rows }, (_, i) => i)
  const isHeld = (row: number) => dataset.hashes[row]! < share * 2 ** 32
  return { train: rows.filter((row) => !isHeld(row)), held: rows.filter(isHeld) }
}
