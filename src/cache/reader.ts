import { DecantError } from '../errors.js'
import type { IdColumn } from './ids.js'
import type { Manifest } from './manifest.js'

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
  /** rows per chunk; default: about 4 MiB of logits */
  rows?: number
  from?: number
  to?: number
  /** check each shard's SHA-256 before its first row is handed out */
  verify?: boolean
  signal?: AbortSignal
}

export interface Targets {
  dir: string
  manifest: Manifest
  classes: number
  names: string[] | null
  rows: number
  chunks(options?: ChunkOptions): AsyncIterable<Chunk>
  row(index: number): Promise<Row>
  byId(id: string): Promise<Row | undefined>
  load(): Promise<Chunk>
  close(): Promise<void>
}

export async function openTargets(dir: string): Promise<Targets> {
  throw new DecantError(`${dir}: not built yet`)
}
