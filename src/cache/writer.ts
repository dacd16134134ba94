import { DecantError } from '../errors.js'
import type { IdColumn } from './ids.js'
import type { Manifest, Plan, ShardEntry, Skipped } from './manifest.js'

/** n rows of targets, as the teacher gives them. The arrays are copied before `append` returns its promise. */
export interface Rows {
  rows: number
  ids: IdColumn
  /** [n], -1 = no label */
  labels: Int32Array
  /** [n, C]. Float32Array: raw logits, encoded by the codec. Uint16Array: the bits of float16 logits less their row's `shift` (codec f16). */
  logits: Float32Array | Uint16Array
  /** [n], each row's top logit; with Uint16Array logits only */
  shift?: Float32Array
  /** rows of the same stretch of the source that were left out; kept in the journal and listed in the manifest */
  skipped?: Skipped[]
}

export interface TargetsWriter {
  /** The folder holds the finished dataset of this very plan: nothing is left to do. */
  done: boolean
  /** Shards 0..k-1 are on disk: continue with source row k·rowsPerShard. */
  finishedShards: number
  beginShard(index: number): Promise<void>
  /** Takes rows; resolves when the next can be taken. At most two record batches are held in memory. */
  append(rows: Rows): Promise<void>
  /** Flush, sync, rename, journal. After it the shard survives a crash. */
  endShard(): Promise<ShardEntry>
  /** Drops the shard in hand and its temporary file. */
  abortShard(): Promise<void>
  /** Writes the card and, last, the manifest; then removes journal and lock. */
  finish(extra: { created: string }): Promise<Manifest>
  /** Releases the lock. Without `finish`, what is on disk stays and can be resumed. */
  close(): Promise<void>
}

/** Opens `dir` for writing: a new folder is made, an unfinished one with the same plan is resumed. */
export async function createTargets(dir: string, plan: Plan): Promise<TargetsWriter> {
  throw new DecantError(`${dir}: not built yet (${plan.codec})`)
}

/** The plan of the export that `dir` holds, finished or not; undefined for a folder that holds none. For `--batch auto` on resume. */
export async function readPlan(_dir: string): Promise<Plan | undefined> {
  return undefined
}
