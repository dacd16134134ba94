import { isUtf8 } from 'node:buffer'
import { open, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { FormatError } from '../errors.js'
import { halfValues } from './codecs/half.js'
import { type Column, columnsOf, type Stored } from './columns.js'
import { diskError, hashFile, ignoreOn } from './files.js'
import { DATA, MANIFEST } from './folder.js'
import { idAt } from './ids.js'
import type { ShardEntry } from './manifest.js'
import { type Chunk, openTargets, type Targets } from './reader.js'

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
}

/**
 * Reads a whole dataset and checks all that FORMAT.md asks for: the manifest against its own hash, each shard's size, SHA-256, schema
 * and counts, labels in range, values finite, ids in UTF-8; and that `data/` holds no shard beyond those listed.
 * @throws DecantError where there is no dataset; what is wrong with one that is there is in the result
 */
export async function verifyTargets(dir: string, options: VerifyOptions = {}): Promise<Verification> {
  const found: Verification = { shards: 0, rows: 0, bytes: 0, problems: [], unchecked: [] }
  const targets = await openTargets(dir).catch((error) => {
    found.problems.push(asProblem(error))
    return undefined
  })
  if (!targets) return found
  const { shards, sha256 } = targets.manifest
  if (sha256 === undefined)
    found.unchecked.push(`${join(dir, MANIFEST)}: it has no sha256 of its own: a change that still makes sense passes`)
  found.problems.push(...(await findStrangers(dir, shards)))
  try {
    for (const shard of shards) {
      options.signal?.throwIfAborted()
      const problem = await checkShard(targets, { shard, first: found.rows, signal: options.signal })
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

/** Shards that the manifest does not list: whoever reads `data/*.arrow` would take them for rows of it. */
async function findStrangers(dir: string, shards: ShardEntry[]): Promise<string[]> {
  const names = (await readdir(join(dir, DATA)).catch((error) => ignoreOn(error, 'ENOENT', 'ENOTDIR'))) ?? []
  const listed = new Set(shards.map(({ file }) => file))
  const strangers = names.map((name) => `${DATA}/${name}`).filter((name) => /\.arrow$/.test(name) && !listed.has(name))
  return strangers.map((name) => `${join(dir, name)}: not listed in the manifest`)
}

/** @returns what is wrong with the shard, whose first row is row `first` of the dataset */
async function checkShard(
  targets: Targets,
  { shard, first, signal }: { shard: ShardEntry; first: number; signal: AbortSignal | undefined },
): Promise<string | undefined> {
  const path = join(targets.dir, shard.file)
  const kinds = columnsOf(targets.manifest).filter(({ name }) => name !== 'input') // a source's numbers may be anything
  try {
    await checkHash(path, shard, signal)
    for await (const chunk of targets.chunks({
      from: first,
      to: first + shard.rows,
      reuse: true,
      ...(signal && { signal }),
    }))
      checkChunk(path, chunk, kinds)
    return undefined
  } catch (error) {
    signal?.throwIfAborted()
    return asProblem(error)
  }
}

async function checkHash(path: string, { bytes, sha256 }: ShardEntry, signal?: AbortSignal): Promise<void> {
  const file = await open(path, 'r').catch((error) => {
    if (!['ENOENT', 'ENOTDIR'].includes(error.code)) throw diskError(error, path)
  })
  if (!file) throw new FormatError(`${path}: listed in the manifest, but not there`)
  try {
    const { size } = await file.stat()
    if (size !== bytes) throw new FormatError(`${path}: expected ${bytes} bytes, found ${size}`)
    const found = await hashFile(file, signal)
    if (found !== sha256)
      throw new FormatError(`${path}: damaged or altered: expected SHA-256 ${sha256}, found ${found}`)
  } finally {
    await file.close()
  }
}

/** What the reader leaves to its caller: finite numbers in whatever the codec keeps, ids that are text. */
function checkChunk(path: string, { rows, labels, columns, idColumn }: Chunk, kinds: Column[]): void {
  for (const { name, type, width } of kinds) {
    if (type !== 'float32' && type !== 'float16') continue
    const values = columns[name]!
    if (name === 'label_logit') checkLabelLogits(path, { labels, values: values as Uint16Array, idColumn })
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

/** Of a top-k codec: NaN exactly where a row has no label. */
function checkLabelLogits(
  path: string,
  { labels, values, idColumn }: { labels: Int32Array; values: Uint16Array; idColumn: Chunk['idColumn'] },
): void {
  const at = labels.findIndex((label, row) => label < 0 !== Number.isNaN(halfValues[values[row]!]!))
  const infinite = values.findIndex((half) => (half & 0x7fff) === 0x7c00)
  if (at < 0 && infinite < 0) return
  const row = at < 0 ? infinite : at
  throw new FormatError(
    `${path}: row '${idAt(idColumn, row)}': label_logit ${halfValues[values[row]!]}, expected ${labels[row]! < 0 ? 'NaN where there is no label' : 'a finite number for the label'}`,
  )
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
