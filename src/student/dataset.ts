import { constants } from 'node:buffer'
import { type Fidelity, type Lineage, lineageOf, nextTokens, type Targets, viewsOf } from '../cache/index.js'
import { DecantError, FormatError, InterruptedError } from '../errors.js'
import { affine, type Preprocess } from '../source/preprocess.js'
import type { Source } from '../source/source.js'
import { allocate, type Domain, describeInput, type InputTable, inputBytes, type StudentInput } from './inputs.js'
import { openInputs } from './row-inputs.js'
import { emptyTargets, type StoredTargets, storeChunk, targetBytes } from './targets.js'
import { countTokens } from './vocabulary.js'

/** What students train on, in memory: n inputs and what the teacher said of each. Plain data, so that workers share it. */
export interface Dataset extends Domain {
  rows: number
  classes: number
  names: string[] | null
  inputs: InputTable
  /** Of tokens, where nobody says how many there are: the vocabulary is the largest id of the inputs and 1. */
  counted?: true
  /** What the teacher said, by row, as compact as it lies in the cache. */
  targets: StoredTargets
  /** What the codec lost, as it was measured when the targets were written. */
  fidelity?: Fidelity
  /** L, where the teacher has a target for each position of a sequence; else 1. Losses and metrics are then over the valid positions. */
  positions: number
  /** int32 [n]: valid positions of each row, the first ones; null where `positions` is 1 */
  lengths: Int32Array | null
  /**
   * int32 [n·L], -1 = no label. Of sequences: the token at the next position, where the classes are the tokens (there are at least as
   * many), none where they are others.
   */
  labels: Int32Array
  /** int32 [n], which sample a row is a view of: 0, 1, …, in the order of the rows */
  samples: Int32Array
  /** uint32 [n], a hash of the row's id: which rows are held out is decided by it alone */
  hashes: Uint32Array
  preprocess: Preprocess
  /** sha256 of manifest.json and of the teacher's file */
  manifest: string
  teacher: string
  lineage: Lineage
}

/**
 * Loads targets and the inputs that they are of, once, joined row by row ({@link openInputs}).
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
  const { positions = 1 } = manifest
  if (rows === 0) throw new DecantError(`${targets.dir}: no rows to train on`)
  const reader = openInputs({ targets, source, shared, signal })
  const { input } = reader
  for (const { name, bytes } of heldArrays(manifest, input))
    if (bytes > constants.MAX_LENGTH)
      throw new DecantError(
        `${targets.dir}: ${rows} rows do not fit into memory: their ${name} would be ${bytes} bytes, expected at most ${constants.MAX_LENGTH}`,
      )
  const stored = emptyTargets({ ...manifest, rows, shared })
  const labels = new Int32Array(allocate(rows * positions * 4, shared)).fill(-1)
  const lengths = positions > 1 ? new Int32Array(allocate(rows * 4, shared)) : null
  const samples = new Int32Array(allocate(rows * 4, shared))
  const hashes = new Uint32Array(allocate(rows * 4, shared))
  const sampleOf = createNumbering(manifest)

  try {
    for await (const chunk of targets.chunks({ signal, verify: true, reuse: true })) {
      storeChunk(stored, chunk)
      if (positions === 1) labels.set(chunk.labels, chunk.first)
      lengths?.set(chunk.columns.length!, chunk.first)
      for (let i = 0; i < chunk.rows; i++) {
        const row = chunk.first + i
        const id = chunk.idAt(i)
        const label = chunk.labels[i]!
        if (label < -1 || label >= classes) {
          throw new FormatError(
            `${targets.dir}: row ${row} ('${id}'): label ${label}, expected 0..${classes - 1} or none`,
          )
        }
        samples[row] = sampleOf(row, id)
        hashes[row] = hashId(id)
      }
      await reader.fill(chunk, samples.subarray(chunk.first, chunk.first + chunk.rows))
    }
  } catch (error) {
    throw signal?.aborted ? new InterruptedError(`stopped while ${targets.dir} was loaded; nothing was written`) : error
  } finally {
    await reader.close()
  }
  const inputs = reader.table()
  const preprocess: Preprocess = { version: 1, ...manifest.preprocess }
  const largest = input.kind === 'tokens' ? countTokens(inputs.values, targets.dir) : 0
  if (lengths) checkPositions(input, { positions, dir: targets.dir })
  // The classes of a language model are its tokens.
  const areTokens = lengths !== null && largest <= classes
  if (areTokens) nextTokens(inputs.values, { positions, classes, into: labels })
  const told = source?.vocabulary ?? preprocess.text?.vocabulary ?? (areTokens ? classes : undefined)
  if (input.kind === 'tokens') input.vocabulary = Math.max(largest, told ?? 0)
  return {
    rows,
    classes,
    names,
    input,
    inputs,
    ...(input.kind === 'tokens' && told === undefined && { counted: true as const }),
    normalisation: input.kind === 'image' ? affine(preprocess, input.shape[2]!) : null,
    targets: stored,
    ...(manifest.fidelity && { fidelity: manifest.fidelity }),
    positions,
    lengths,
    labels,
    samples,
    hashes,
    preprocess,
    manifest: targets.manifestSha256,
    lineage: lineageOf(targets),
    teacher: manifest.teacher.sha256,
  }
}

/** The arrays that a dataset is held in, an array a column, in bytes: targets as compact as they are stored. Those of a number a row are small beside them. */
export function heldArrays(manifest: Targets['manifest'], input: StudentInput): { name: string; bytes: number }[] {
  const { rows, positions = 1, derived } = manifest
  // a derived dataset may have lost any views of a sample
  const samples = derived ? rows : rows / viewsOf(manifest)
  return [
    { name: 'inputs', bytes: inputBytes(input, samples) },
    { name: 'labels', bytes: rows * positions * Int32Array.BYTES_PER_ELEMENT },
    ...targetBytes(manifest).map(({ name, bytes }) => ({ name: `targets' ${name}`, bytes })),
  ]
}

/** Numbers the samples; rows must come in order. A derived dataset may have lost any of its rows: ids tell its samples apart. */
function createNumbering(manifest: Targets['manifest']): (row: number, id: string) => number {
  const count = viewsOf(manifest)
  if (count === 1 || !manifest.derived) return (row) => Math.floor(row / count)
  let [last, sample] = [undefined as string | undefined, -1]
  return (_, id) => {
    if (id !== last) sample++
    last = id
    return sample
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

/** @throws FormatError where the inputs are no sequences of so many positions */
function checkPositions(input: StudentInput, { positions, dir }: { positions: number; dir: string }): void {
  if (input.kind !== 'tokens' || input.shape[0] !== positions)
    throw new FormatError(
      `${dir}: targets of ${positions} positions: expected as many tokens, found ${describeInput(input)}`,
    )
}

/**
 * Splits the rows by the hash of their id: the same share is held out for every student, seed and machine. Rows without a valid position
 * are left out.
 */
export function holdOut(dataset: Dataset, share: number): { train: Uint32Array; held: Uint32Array } {
  const rows = Uint32Array.from({ length: dataset.rows }, (_, i) => i).filter((row) => dataset.lengths?.[row] !== 0)
  const isHeld = (row: number) => dataset.hashes[row]! < share * 2 ** 32
  return { train: rows.filter((row) => !isHeld(row)), held: rows.filter(isHeld) }
}
