import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import pLimit from 'p-limit'
import { DecantError } from '../errors.js'
import { MANIFEST, readManifest } from './folder.js'
import { concatIds, type IdColumn, idAt } from './ids.js'
import { JOURNAL } from './journal.js'
import { BATCH_BYTES, rowsIn } from './layout.js'
import type { Manifest } from './manifest.js'
import type { ShardFile } from './shard-file.js'
import { ShardPool } from './shard-pool.js'

/** n consecutive rows of a dataset. */
export interface Chunk {
  /** index in the dataset of the chunk's first row */
  first: number
  /** n */
  rows: number
  /** [n], -1 = no label */
  labels: Int32Array
  /** [n, C], raw logits (T = 1) */
  logits: Float32Array
  idColumn: IdColumn
  /** [n]; made at each call */
  ids(): string[]
  idAt(index: number): string
}

export interface Row {
  index: number
  id: string
  label: number | null
  /** [C], raw logits (T = 1) */
  logits: Float32Array
}

export interface ChunkOptions {
  /** rows per chunk, the last one aside; default: about 4 MiB on disk */
  rows?: number
  /** default 0 */
  from?: number
  /** default: the rows of the dataset */
  to?: number
  /** check each shard's SHA-256 before its first row is handed out */
  verify?: boolean
  signal?: AbortSignal
}

/** A soft-target dataset, open for reading. Memory does not grow with its rows, `load` aside. */
export interface Targets {
  dir: string
  manifest: Manifest
  classes: number
  names: string[] | null
  rows: number
  /** Rows [from, to) in order, the next chunk read while one is used. Each has arrays of its own. */
  chunks(options?: ChunkOptions): AsyncIterable<Chunk>
  /** One row, reading only its bytes. Safe to call many times at once. */
  row(index: number): Promise<Row>
  /** The first row of this id. Reads through the ids (about 20 bytes a row) until it is found; there is no index. */
  byId(id: string): Promise<Row | undefined>
  /** All rows in one chunk: 4·C bytes a row of memory. */
  load(): Promise<Chunk>
  close(): Promise<void>
}

/** Rows read at once by `row`; more only wait for the disk in another place. */
const ROWS_IN_FLIGHT = 8

/**
 * Opens the soft-target dataset in folder `dir`. The manifest is checked now, shards when they are read.
 * @throws DecantError where there is none, or its export has not finished
 * @throws FormatError where the manifest is wrong; later, where a shard is not what the manifest says
 */
export async function openTargets(dir: string): Promise<Targets> {
  const manifest = await readManifest(dir)
  if (!manifest) throw await explainMissing(dir)
  return new OpenTargets(dir, manifest)
}

async function explainMissing(dir: string): Promise<DecantError> {
  const has = (name: string) => stat(join(dir, name)).then(Boolean, () => false)
  if (await has(JOURNAL))
    return new DecantError(`${dir}: this export has not finished; run the same decant export again to continue it`)
  return new DecantError(
    `${dir}: expected a soft-target dataset, found ${(await has('.')) ? `a folder without ${MANIFEST}` : 'no such folder'}`,
  )
}

class OpenTargets implements Targets {
  readonly classes: number
  readonly names: string[] | null
  readonly rows: number
  private readonly pool: ShardPool
  private readonly limit = pLimit(ROWS_IN_FLIGHT)
  /** starts[i]: index of shard i's first row; one more than there are shards */
  private readonly starts: Float64Array

  constructor(
    readonly dir: string,
    readonly manifest: Manifest,
  ) {
    this.classes = manifest.classes
    this.names = manifest.names
    this.rows = manifest.rows
    this.pool = new ShardPool(dir, manifest)
    this.starts = new Float64Array(manifest.shards.length + 1)
    manifest.shards.forEach(({ rows }, i) => {
      this.starts[i + 1] = this.starts[i]! + rows
    })
  }

  async *chunks(options: ChunkOptions = {}): AsyncGenerator<Chunk> {
    const { from = 0, to = this.rows, signal } = options
    const { rows = rowsIn(BATCH_BYTES, this.manifest) } = options
    if (!isIndex(from) || !isIndex(to) || to > this.rows) throw this.outside(`rows ${from} to ${to}`)
    if (!isIndex(rows) || rows === 0) throw new DecantError(`chunks: expected at least 1 row per chunk, found ${rows}`)
    const verified = options.verify ? new Set<number>() : undefined
    const read = (first: number) => {
      const chunk = this.read(first, Math.min(to, first + rows), { verified, signal })
      chunk.catch(() => {}) // thrown where it is awaited; the consumer may have left by then
      return chunk
    }
    let next = from < to ? read(from) : undefined
    for (let first = from; next; ) {
      signal?.throwIfAborted()
      const chunk = await next
      first += rows
      next = first < to ? read(first) : undefined
      yield chunk
    }
  }

  async row(index: number): Promise<Row> {
    if (!isIndex(index) || index >= this.rows) throw this.outside(`row ${index}`)
    return this.limit(async () => {
      const { labels, logits, idAt } = await this.read(index, index + 1)
      return { index, id: idAt(0), label: labels[0]! < 0 ? null : labels[0]!, logits }
    })
  }

  async byId(id: string): Promise<Row | undefined> {
    const bytes = Buffer.from(id)
    for (let shard = 0; shard < this.manifest.shards.length; shard++) {
      const found = await this.pool.use(shard, (file) => file.find(bytes))
      if (found !== undefined) return this.row(this.starts[shard]! + found)
    }
    return undefined
  }

  async load(): Promise<Chunk> {
    return this.read(0, this.rows)
  }

  close(): Promise<void> {
    return this.pool.close()
  }

  private async read(
    from: number,
    to: number,
    options: { verified?: Set<number>; signal?: AbortSignal } = {},
  ): Promise<Chunk> {
    const { labels, logits } = this.allocate(to - from)
    const ids: IdColumn[] = []
    for (let row = from, shard = this.shardOf(from); row < to; shard++) {
      const start = this.starts[shard]!
      const end = Math.min(to, this.starts[shard + 1]!)
      const part = {
        labels: labels.subarray(row - from, end - from),
        logits: logits.subarray((row - from) * this.classes, (end - from) * this.classes),
      }
      const read = await this.pool.use(shard, async (file) => {
        await this.verify(shard, file, options)
        return file.read({ from: row - start, to: end - start, ...part })
      })
      ids.push(...read)
      row = end
    }
    return makeChunk({ first: from, labels, logits, idColumn: concatIds(ids) })
  }

  private async verify(
    shard: number,
    file: ShardFile,
    options: { verified?: Set<number>; signal?: AbortSignal },
  ): Promise<void> {
    if (!options.verified || options.verified.has(shard)) return
    await file.verify(this.manifest.shards[shard]!.sha256, options.signal)
    options.verified.add(shard)
  }

  private allocate(rows: number): { labels: Int32Array; logits: Float32Array } {
    try {
      return { labels: new Int32Array(rows), logits: new Float32Array(rows * this.classes) }
    } catch (error) {
      const gigabytes = (rows * this.classes * 4) / 1e9
      throw new DecantError(
        `${this.dir}: ${rows} rows of ${this.classes} classes need ${gigabytes.toFixed(1)} GB at once: read them in chunks`,
        { cause: error },
      )
    }
  }

  /** The shard that holds a row: the last that starts at or before it (shards without rows are passed over). */
  private shardOf(row: number): number {
    let [low, high] = [0, this.manifest.shards.length]
    while (low + 1 < high) {
      const middle = (low + high) >> 1
      if (this.starts[middle]! <= row) low = middle
      else high = middle
    }
    return low
  }

  private outside(what: string): DecantError {
    return new DecantError(`${this.dir}: ${what}: this dataset has ${this.rows} rows, counted from 0`)
  }
}

function makeChunk(parts: Pick<Chunk, 'first' | 'labels' | 'logits' | 'idColumn'>): Chunk {
  const rows = parts.labels.length
  return {
    ...parts,
    rows,
    ids: () => Array.from({ length: rows }, (_, i) => idAt(parts.idColumn, i)),
    idAt: (index) => idAt(parts.idColumn, index),
  }
}

const isIndex = (value: number) => Number.isSafeInteger(value) && value >= 0
