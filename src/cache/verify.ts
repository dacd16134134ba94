import { isUtf8 } from 'node:buffer'
import { createHash } from 'node:crypto'
import { FormatError } from '../errors.js'
import { halfValues } from './codecs/half.js'
import { type Column, columnsOf, type Stored } from './columns.js'
import type { DatasetFiles } from './dataset-files.js'
import { MANIFEST } from './folder.js'
import { idAt } from './ids.js'
import type { Manifest, ShardEntry } from './manifest.js'
import { nextTokens } from './next-tokens.js'
import { type Chunk, type DatasetPlace, filesOf, openTargets, type Targets } from './reader.js'
import { checkHash } from './shard-file.js'
import { checkSignature } from './signature.js'

/** What `verifyTargets` found. The dataset is sound where `problems` is empty. */
export interface Verification {
  shards: number
  rows: number
  bytes: number
  /** A line each, the file in front. At most one a shard: after a wrong hash its rows say nothing. */
  problems: string[]
  /** What could not be checked, and why. */
  unchecked: string[]
}

export interface VerifyOptions {
  /** After each shard. */
  onProgress?: (done: { shards: number; rows: number; bytes: number; totalRows: number; problem?: string }) => void
  signal?: AbortSignal
  /** A public Ed25519 key, PEM: the manifest must be signed by it. */
  key?: string | Uint8Array
}

/**
 * Reads a whole dataset and checks all that FORMAT.md asks for: the manifest against its own hash, each shard's size, SHA-256, schema
 * and counts, labels in range, values finite, ids in UTF-8; and that `data/` holds no shard beyond those listed.
 * @throws DecantError where there is no dataset; what is wrong with one that is there is in the result
 */
export async function verifyTargets(place: DatasetPlace, options: VerifyOptions = {}): Promise<Verification> {
  const found: Verification = { shards: 0, rows: 0, bytes: 0, problems: [], unchecked: [] }
  const files = filesOf(place)
  const targets = await openTargets(files, { verify: false }).catch((error) => {
    found.problems.push(asProblem(error))
    return undefined
  })
  if (!targets) return found
  const { shards, sha256 } = targets.manifest
  if (sha256 === undefined)
    found.unchecked.push(`${files.path(MANIFEST)}: it has no sha256 of its own: a change that still makes sense passes`)
  try {
    if (options.key !== undefined) found.problems.push(...(await findForgery(files, targets, options.key)))
    const strangers = await findStrangers(files, shards)
    if (!strangers) found.unchecked.push(`${files.place}: whether it holds shards that the manifest does not list`)
    else found.problems.push(...strangers)
    for (const shard of shards) {
      options.signal?.throwIfAborted()
      const problem = await checkShard(targets, { files, shard, first: found.rows, signal: options.signal })
      if (problem !== undefined) found.problems.push(problem)
      found.shards++
      found.rows += shard.rows
      found.bytes += shard.bytes
      const { shards, rows, bytes } = found
      options.onProgress?.({ shards, rows, bytes, totalRows: targets.rows, ...(problem !== undefined && { problem }) })
    }
  } finally {
    await targets.close()
  }
  return found
}

/** What is wrong with the signature of the very manifest that was read. */
async function findForgery(
  files: DatasetFiles,
  { manifestSha256 }: Targets,
  key: string | Uint8Array,
): Promise<string[]> {
  const path = files.path(MANIFEST)
  const bytes = await files.manifest()
  if (createHash('sha256').update(bytes).digest('hex') !== manifestSha256) return [`${path}: changed while it was read`]
  try {
    checkSignature(bytes, await files.signature(), { key, path })
    return []
  } catch (error) {
    return [asProblem(error)]
  }
}

/** Shards that the manifest does not list: whoever reads `data/*.arrow` would take them for rows of it. */
async function findStrangers(files: DatasetFiles, shards: ShardEntry[]): Promise<string[] | undefined> {
  const names = await files.list()
  const listed = new Set(shards.map(({ file }) => file))
  const strangers = names?.filter((name) => /\.arrow$/.test(name) && !listed.has(name))
  return strangers?.map((name) => `${files.path(name)}: not listed in the manifest`)
}

/** @returns what is wrong with the shard, whose first row is row `first` of the dataset */
async function checkShard(
  targets: Targets,
  options: { files: DatasetFiles; shard: ShardEntry; first: number; signal: AbortSignal | undefined },
): Promise<string | undefined> {
  const { files, shard, first, signal } = options
  const path = files.path(shard.file)
  const kinds = columnsOf(targets.manifest).filter(({ name }) => name !== 'input') // a source's numbers may be anything
  try {
    await checkFile(path, options)
    for await (const chunk of targets.chunks({
      from: first,
      to: first + shard.rows,
      reuse: true,
      ...(signal && { signal }),
    }))
      checkChunk(path, chunk, { kinds, manifest: targets.manifest })
    return undefined
  } catch (error) {
    signal?.throwIfAborted()
    return asProblem(error)
  }
}

async function checkFile(
  path: string,
  { files, shard, signal }: { files: DatasetFiles; shard: ShardEntry; signal: AbortSignal | undefined },
): Promise<void> {
  const file = await files.open(shard)
  try {
    if (file.size !== shard.bytes) throw new FormatError(`${path}: expected ${shard.bytes} bytes, found ${file.size}`)
    await checkHash(path, file, { sha256: shard.sha256, signal })
  } finally {
    await file.close()
  }
}

/** What the reader leaves to its caller: finite numbers in whatever the codec keeps, ids that are text. */
function checkChunk(path: string, chunk: Chunk, { kinds, manifest }: { kinds: Column[]; manifest: Manifest }): void {
  const { rows, columns, idColumn } = chunk
  for (const { name, type, width } of kinds) {
    if (name === 'count') checkCounts(path, chunk, manifest)
    if (type !== 'float32' && type !== 'float16') continue
    const values = columns[name]!
    if (name === 'label_logit') checkLabelLogits(path, chunk, manifest)
    const at = name === 'label_logit' ? -1 : firstNonFinite(values)
    if (at >= 0)
      throw new FormatError(
        `${path}: row '${idAt(idColumn, Math.floor(at / width))}': ${name} holds NaN or infinity, expected finite numbers`,
      )
  }
  if (rows === 0) return
  const { offsets, bytes } = idColumn
  // A character that two ids share would pass as text.
  const torn = offsets.findIndex((offset) => offset < bytes.length && (bytes[offset]! & 0xc0) === 0x80)
  if (torn >= 0 || !isUtf8(bytes)) throw new FormatError(`${path}: an id that is not UTF-8`)
}

/** Of codec sampled: each target's draws are all there. */
function checkCounts(path: string, { rows, columns, idColumn }: Chunk, { positions = 1, codec }: Manifest): void {
  const count = columns.count as Uint8Array
  const draws = count.length / (rows * positions)
  for (let target = 0; target < rows * positions; target++) {
    const drawn = count.subarray(target * draws, (target + 1) * draws).reduce((sum, n) => sum + n, 0)
    if (drawn === draws) continue
    const position = positions === 1 ? '' : ` position ${target % positions}:`
    throw new FormatError(
      `${path}: row '${idAt(idColumn, Math.floor(target / positions))}':${position} count sums to ${drawn}, expected the ${draws} draws of ${codec}`,
    )
  }
}

/** Of a codec that keeps some classes: NaN exactly where a target has no label; finite elsewhere. */
function checkLabelLogits(path: string, chunk: Chunk, manifest: Manifest): void {
  const { positions = 1 } = manifest
  const values = chunk.columns.label_logit as Uint16Array
  const isLabelled = labelledIn(chunk, manifest)
  for (let at = 0; at < values.length; at++) {
    const value = halfValues[values[at]!]!
    const expected = isLabelled(at)
    if (Number.isFinite(value) ? expected !== false : Number.isNaN(value) && expected !== true) continue
    const position = positions === 1 ? '' : ` position ${at % positions}:`
    throw new FormatError(
      `${path}: row '${idAt(chunk.idColumn, Math.floor(at / positions))}':${position} label_logit ${value}, expected ${expected === false ? 'NaN where there is no label' : 'a finite number for the label'}`,
    )
  }
}

/** Whether a target has a label; undefined where only the tokens say, and they are not in the dataset. */
function labelledIn({ labels, columns }: Chunk, manifest: Manifest): (target: number) => boolean | undefined {
  const { classes, positions = 1, inputs } = manifest
  if (positions === 1) return (row) => labels[row]! >= 0
  if (inputs && columns.input!.length === columns.label_logit!.length) {
    const next = nextTokens(columns.input!, { positions, classes })
    return (at) => next[at]! >= 0
  }
  return (at) => ((at % positions) + 1 < columns.length![Math.floor(at / positions)]! ? undefined : false)
}

/** The index of the first value that is not finite, -1 where all are; float16 is given as its bits (exponent 31: NaN or infinity). */
function firstNonFinite(values: Stored): number {
  if (values instanceof Uint16Array) {
    for (let i = 0; i < values.length; i++) if ((values[i]! & 0x7c00) === 0x7c00) return i
    return -1
  }
  let sum = 0 // x·0 is NaN for NaN and ±∞: one pass without a branch, and a second one only to find it
  for (let i = 0; i < values.length; i++) sum += values[i]! * 0
  return Number.isNaN(sum) ? (values as Float32Array).findIndex((value) => !Number.isFinite(value)) : -1
}

function asProblem(error: unknown): string {
  if (error instanceof FormatError) return error.message
  throw error // what the disk refuses says nothing about the dataset
}
