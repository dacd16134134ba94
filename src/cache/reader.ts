import { createHash } from 'node:crypto'
import pLimit from 'p-limit'
import { DecantError } from '../errors.js'
import { type Buckets, codecOf } from './codecs/codec.js'
import {
  allocateColumn,
  type Column,
  type Columns,
  columnBytes,
  columnsOf,
  type Stored,
  targetKind,
} from './columns.js'
import { type DatasetFiles, folderFiles } from './dataset-files.js'
import { MANIFEST } from './folder.js'
import { concatIds, type IdColumn, idAt } from './ids.js'
import { BATCH_BYTES, rowsIn } from './layout.js'
import { type Manifest, parseManifest } from './manifest.js'
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
  /** Every column behind id and label as it lies, row-major: the targets by codec, `view`, `input`, … (FORMAT.md). */
  columns: Columns
  /** [n, C] raw logits (T = 1), of a sequence [n, L, C]; decoded when it is first asked for. @throws DecantError for a bucketed codec */
  readonly logits: Float32Array
  /** n targets (of a sequence n·L), decoded when they are first asked for. @throws DecantError for a dense codec */
  readonly buckets: Buckets
  idColumn: IdColumn
  /** [n]; made at each call */
  ids(): string[]
  idAt(index: number): string
}

export interface Row {
  index: number
  id: string
  label: number | null
  /** Every column behind id and label, of this row. */
  columns: Columns
  /** [C], raw logits (T = 1); of a sequence [L, C]. @throws DecantError for a bucketed codec */
  readonly logits: Float32Array
  /** @throws DecantError for a dense codec */
  readonly buckets: Buckets
}

export interface ChunkOptions {
  /** rows per chunk, the last one aside; default: about 4 MiB on disk */
  rows?: number
  /** default 0 */
  from?: number
  /** default: the rows of the dataset */
  to?: number
  /** check each shard's SHA-256 before its first row is handed out, once as long as the dataset is open; default: as it was opened */
  verify?: boolean
  /** hand out arrays that are the reader's again once the next chunk is asked for: twice as fast or more, where a chunk is only looked at */
  reuse?: boolean
  /** false: the inputs that are stored beside the targets are left unread, and `columns.input` is not there */
  inputs?: boolean
  signal?: AbortSignal
}

/** A soft-target dataset, open for reading. Memory does not grow with its rows, `load` aside. */
export interface Targets {
  /** For messages: the folder, or the URI that it was opened by. */
  dir: string
  /** Where a remote dataset lies, without credentials; absent of a folder, whose path says nothing elsewhere. */
  uri?: string
  manifest: Manifest
  /** SHA-256 of manifest.json as it was read: the dataset's name in lineages, and what pins it. */
  manifestSha256: string
  classes: number
  names: string[] | null
  rows: number
  /** Rows [from, to) in order, the next two chunks read while one is used. Each has arrays of its own, unless they are to be reused. */
  chunks(options?: ChunkOptions): AsyncIterable<Chunk>
  /** One row, reading only its bytes. Safe to call many times at once. */
  row(index: number): Promise<Row>
  /** The first row of this id. Reads through the ids (about 20 bytes a row) until it is found; there is no index. */
  byId(id: string): Promise<Row | undefined>
  /** All rows in one chunk: memory for what lies on disk, and for the logits once they are asked for. */
  load(): Promise<Chunk>
  close(): Promise<void>
}

/** Chunks that are read while one is used: two keep the disk busy. */
const AHEAD = 2

/** The column of stored inputs. */
const INPUT = 'input'

/** Rows read at once by `row`; more only wait for the disk in another place. */
const ROWS_IN_FLIGHT = 8

/** A folder, or files that are read from elsewhere. */
export type DatasetPlace = string | DatasetFiles

export const filesOf = (place: DatasetPlace): DatasetFiles => (typeof place === 'string' ? folderFiles(place) : place)

/**
 * Opens the soft-target dataset in a folder, or that of files from elsewhere, which are closed with it. The manifest is checked now,
 * shards when they are read.
 * @param options.verify whether whatever reads a shard first checks its SHA-256, once. Default: in a folder yes; of a remote dataset no, as a row
 * would cost a shard: of that each block is checked against what came (remote-file.ts), and all of it where `chunks` is told to verify
 * @throws DecantError where there is none, or its export has not finished
 * @throws FormatError where the manifest is wrong; later, where a shard is not what the manifest says
 */
export async function openTargets(place: DatasetPlace, options: { verify?: boolean } = {}): Promise<Targets> {
  const files = filesOf(place)
  try {
    const bytes = await files.manifest()
    const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString()
    const manifest = parseManifest(text, files.path(MANIFEST))
    const { verify = files.uri === undefined } = options
    return new OpenTargets(files, manifest, {
      manifestSha256: createHash('sha256').update(bytes).digest('hex'),
      verify,
    })
  } catch (error) {
    await files.close()
    throw error
  }
}

interface Arrays {
  labels: Int32Array
  columns: Stored[]
  /** where chunks decode to, of reused arrays */
  logits?: Float32Array
}

class OpenTargets implements Targets {
  readonly dir: string
  readonly uri?: string
  readonly classes: number
  readonly names: string[] | null
  readonly rows: number
  private readonly columns: Column[]
  private readonly pool: ShardPool
  private readonly limit = pLimit(ROWS_IN_FLIGHT)
  /** Shards whose hash was looked at, or is. */
  private readonly checked = new Map<number, Promise<void>>()
  readonly manifestSha256: string
  private readonly verify: boolean
  /** starts[i]: index of shard i's first row; one more than there are shards */
  private readonly starts: Float64Array

  constructor(
    private readonly files: DatasetFiles,
    readonly manifest: Manifest,
    { manifestSha256, verify }: { manifestSha256: string; verify: boolean },
  ) {
    this.manifestSha256 = manifestSha256
    this.verify = verify
    this.dir = files.place
    if (files.uri !== undefined) this.uri = files.uri
    this.classes = manifest.classes
    this.names = manifest.names
    this.rows = manifest.rows
    this.columns = columnsOf(manifest)
    this.pool = new ShardPool(files, manifest, this.columns)
    this.starts = new Float64Array(manifest.shards.length + 1)
    manifest.shards.forEach(({ rows }, i) => {
      this.starts[i + 1] = this.starts[i]! + rows
    })
  }

  async *chunks(options: ChunkOptions = {}): AsyncGenerator<Chunk> {
    const { from = 0, to = this.rows, inputs = true, signal, verify = this.verify } = options
    const { rows = rowsIn(BATCH_BYTES, inputs ? this.manifest : { ...this.manifest, inputs: null }) } = options
    if (!isIndex(from) || !isIndex(to) || to > this.rows) throw this.outside(`rows ${from} to ${to}`)
    if (!isIndex(rows) || rows === 0) throw new DecantError(`chunks: expected at least 1 row per chunk, found ${rows}`)
    const spare = options.reuse
      ? Array.from({ length: AHEAD + 1 }, () => this.allocate(Math.min(rows, to - from), inputs))
      : []
    const ahead: Promise<Chunk>[] = []
    let first = from
    const readOn = () => {
      while (ahead.length < AHEAD && first < to) {
        const arrays = spare.shift()
        const chunk = this.read(first, Math.min(to, first + rows), { verify, until: to, signal, arrays, inputs })
        if (arrays) spare.push(arrays) // its turn comes again when those before it have been used
        chunk.catch(() => {}) // thrown where it is awaited; the consumer may have left by then
        ahead.push(chunk)
        first += rows
      }
    }
    readOn()
    while (ahead.length > 0) {
      signal?.throwIfAborted()
      const chunk = await ahead.shift()!
      readOn()
      yield chunk
    }
  }

  async row(index: number): Promise<Row> {
    if (!isIndex(index) || index >= this.rows) throw this.outside(`row ${index}`)
    return this.limit(async () => {
      return new ReadRow(index, await this.read(index, index + 1))
    })
  }

  async byId(id: string): Promise<Row | undefined> {
    const bytes = Buffer.from(id)
    for (let shard = 0; shard < this.manifest.shards.length; shard++) {
      const found = await this.pool.use(shard, async (file) => {
        if (this.verify) await this.check(shard, file)
        return file.find(bytes)
      })
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
    options: { verify?: boolean; until?: number; signal?: AbortSignal; arrays?: Arrays; inputs?: boolean } = {},
  ): Promise<Chunk> {
    const { arrays, inputs = true, verify = this.verify } = options
    const { labels, columns } = arrays ? this.shorten(arrays, to - from) : this.allocate(to - from, inputs)
    const ids: IdColumn[] = []
    for (let row = from, shard = this.shardOf(from); row < to; shard++) {
      const start = this.starts[shard]!
      const end = Math.min(to, this.starts[shard + 1]!)
      const part = {
        labels: labels.subarray(row - from, end - from),
        columns: columns.map((values, i) => {
          const { width } = this.columns[i]!
          return values.subarray((row - from) * width, (end - from) * width)
        }),
      }
      const read = await this.pool.use(shard, async (file) => {
        if (verify) await this.check(shard, file, options)
        return file.read({ from: row - start, to: end - start, ...part })
      })
      ids.push(...read)
      row = end
    }
    const named = Object.fromEntries(this.columns.map(({ name }, i) => [name, columns[i]!]))
    if (!inputs) delete named[INPUT]
    return new ReadChunk(from, labels, concatIds(ids), named, this.manifest, arrays)
  }

  /** Once a shard, however many read it at once. Who reads on up to row `until` has the next one fetched meanwhile. */
  private async check(
    shard: number,
    file: ShardFile,
    { until = 0, signal }: { until?: number; signal?: AbortSignal } = {},
  ): Promise<void> {
    const { shards } = this.manifest
    const known = this.checked.get(shard)
    if (known !== undefined) {
      await known.catch((error: Error) => {
        if (error.name !== 'AbortError' || signal?.aborted) throw error
        return this.check(shard, file, { until, signal }) // who began it was stopped
      })
      return
    }
    const checking = file.verify(shards[shard]!.sha256, signal)
    this.checked.set(shard, checking)
    checking.catch(() => this.checked.delete(shard)) // whoever reads it next is told, or finds it mended
    await checking
    if (this.starts[shard + 1]! < until) this.files.prefetch?.(shards[shard + 1]!)
  }

  private shorten({ labels, columns }: Arrays, rows: number): Arrays {
    if (labels.length === rows) return { labels, columns }
    return {
      labels: labels.subarray(0, rows),
      columns: columns.map((values, i) => values.subarray(0, rows * this.columns[i]!.width)),
    }
  }

  private allocate(rows: number, inputs: boolean): Arrays {
    // a column without room is one that is not read
    const room = ({ name }: Column) => (inputs || name !== INPUT ? rows : 0)
    try {
      return {
        labels: new Int32Array(rows),
        columns: this.columns.map((column) => allocateColumn(column, room(column))),
      }
    } catch (error) {
      const gigabytes = (rows * columnBytes(this.columns)) / 1e9
      throw new DecantError(`${this.dir}: ${rows} rows need ${gigabytes.toFixed(1)} GB at once: read them in chunks`, {
        cause: error,
      })
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

class ReadChunk implements Chunk {
  readonly rows: number
  #logits: Float32Array | undefined
  #buckets: Buckets | undefined
  readonly #manifest: Manifest
  readonly #reused: Arrays | undefined

  constructor(
    readonly first: number,
    readonly labels: Int32Array,
    readonly idColumn: IdColumn,
    readonly columns: Columns,
    manifest: Manifest,
    reused?: Arrays,
  ) {
    this.#manifest = manifest
    this.#reused = reused
    this.rows = labels.length
  }

  get logits(): Float32Array {
    if (this.#logits) return this.#logits
    this.#logits = decodeDense(this.columns, this.#manifest, this.#reused?.logits)
    // the first chunk is the largest; the arrays that later chunks are read into decode into its logits
    if (this.#reused) this.#reused.logits ??= this.#logits
    return this.#logits
  }

  get buckets(): Buckets {
    this.#buckets ??= decodeBucketed(this.columns, this.#manifest)
    return this.#buckets
  }

  // Properties, so that they can be taken out of the chunk.
  readonly ids = (): string[] => Array.from({ length: this.rows }, (_, i) => this.idAt(i))
  readonly idAt = (index: number): string => idAt(this.idColumn, index)
}

class ReadRow implements Row {
  readonly id: string
  readonly label: number | null
  readonly columns: Columns
  readonly #chunk: Chunk

  constructor(
    readonly index: number,
    chunk: Chunk,
  ) {
    this.#chunk = chunk
    const label = chunk.labels[0]!
    this.id = chunk.idAt(0)
    this.label = label < 0 ? null : label
    this.columns = chunk.columns
  }

  get logits(): Float32Array {
    return this.#chunk.logits
  }

  get buckets(): Buckets {
    return this.#chunk.buckets
  }
}

function decodeDense(columns: Columns, manifest: Manifest, into?: Float32Array): Float32Array {
  const codec = codecOf(manifest.codec)
  if (codec.kind !== 'dense')
    throw new DecantError(
      `codec ${manifest.codec} keeps some classes and the mass of the others, not the logits of all`,
    )
  return codec.decode(columns, targetKind(manifest), into)
}

function decodeBucketed(columns: Columns, manifest: Manifest): Buckets {
  const codec = codecOf(manifest.codec)
  if (codec.kind !== 'bucketed')
    throw new DecantError(`codec ${manifest.codec} keeps the logits of all classes, and no buckets`)
  return codec.decode(columns, targetKind(manifest))
}

const isIndex = (value: number) => Number.isSafeInteger(value) && value >= 0
