import { constants } from 'node:buffer'
import { type Fidelity, hashManifest, type Lineage, lineageOf, type Targets } from '../cache/index.js'
import { DecantError, FormatError, InterruptedError } from '../errors.js'
import { affine, type Preprocess } from '../source/preprocess.js'
import type { Source } from '../source/source.js'
import { openInputs } from './row-inputs.js'
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
  /** What the codec lost, as it was measured when the targets were written. */
  fidelity?: Fidelity
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
  lineage: Lineage
}

/**
 * Loads targets and the images that they are of, once, joined row by row ({@link openInputs}).
 * @throws MismatchError where the source isn't the one that was exported; FormatError where ids, labels or views do not fit; InterruptedError
 */
export async function loadDataset(options: {
  targets: Targets
  /** Without it, the inputs that are stored in the targets. */
  source?: Source | undefined
  /** Into SharedArrayBuffers, for workers. */
  shared?: boolean
  signal?: AbortSignal
}): Promise<Dataset> {
  const { targets, source, shared = false, signal } = options
  const { manifest, classes, names, rows } = targets
  if (rows === 0) throw new DecantError(`${targets.dir}: no rows to train on`)
  const inputs = openInputs({ targets, source, signal })
  const { shape } = inputs
  const rowBytes = shape.reduce((product, n) => product * n, 1)
  if (rows * Math.max(rowBytes, classes * 4) > constants.MAX_LENGTH) {
    throw new DecantError(
      `${targets.dir}: ${rows} rows of ${shape.join('x')} pixels and ${classes} logits do not fit into memory: at most ${constants.MAX_LENGTH} bytes each`,
    )
  }
  const allocate = (bytes: number) => (shared ? new SharedArrayBuffer(bytes) : new ArrayBuffer(bytes))
  const pixels = new Uint8Array(allocate(rows * rowBytes))
  const stored = emptyTargets({ codec: manifest.codec, classes, rows, shared })
  const labels = new Int32Array(allocate(rows * 4))
  const hashes = new Uint32Array(allocate(rows * 4))

  try {
    for await (const chunk of targets.chunks({ signal, verify: true })) {
      storeChunk(stored, chunk)
      labels.set(chunk.labels, chunk.first)
      await inputs.fill(chunk, pixels.subarray(chunk.first * rowBytes, (chunk.first + chunk.rows) * rowBytes))
      for (let i = 0; i < chunk.rows; i++) {
        const row = chunk.first + i
        const id = chunk.idAt(i)
        const label = labels[row]!
        if (label < -1 || label >= classes) {
          throw new FormatError(
            `${targets.dir}: row ${row} ('${id}'): label ${label}, expected 0..${classes - 1} or none`,
          )
        }
        hashes[row] = hashId(id)
      }
    }
  } catch (error) {
    throw signal?.aborted ? new InterruptedError(`stopped while ${targets.dir} was loaded; nothing was written`) : error
  } finally {
    await inputs.close()
  }
  const preprocess: Preprocess = { version: 1, ...manifest.preprocess }
  const sha256 = await hashManifest(targets.dir)
  return {
    rows,
    classes,
    names,
    shape,
    pixels,
    targets: stored,
    ...(manifest.fidelity && { fidelity: manifest.fidelity }),
    labels,
    hashes,
    ...affine(preprocess, shape[2]),
    preprocess,
    manifest: sha256,
    lineage: lineageOf(manifest, sha256),
    teacher: manifest.teacher.sha256,
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
