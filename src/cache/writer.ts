import { join } from 'node:path'
import { DecantError } from '../errors.js'
import { writeCard } from './card.js'
import { checkPlan } from './check-plan.js'
import { type Columns, viewsOf } from './columns.js'
import { diskError, type OpenFile, openFile, replaceFile } from './files.js'
import {
  checkSamePlan,
  claimFolder,
  clearFolder,
  hasTraces,
  MANIFEST,
  readManifest,
  removeMade,
  removeTraces,
  resumeFolder,
} from './folder.js'
import type { IdColumn } from './ids.js'
import { appendJournal, type JournalLine, shardName } from './journal.js'
import { takeLock } from './lock.js'
import {
  type Fidelity,
  formatManifest,
  MAX_MANIFEST_BYTES,
  MAX_SKIPPED,
  type Manifest,
  type Plan,
  parseManifest,
  plannedSamples,
  planOf,
  type ShardEntry,
  type Skipped,
} from './manifest.js'
import { ShardWriter } from './shard-writer.js'
import { storedColumns } from './stored-columns.js'

/** n rows of targets, as the teacher gives them. They are copied: the arrays are the caller's again once `append` resolves. */
export interface Rows {
  rows: number
  ids: IdColumn
  /** [n], -1 = no label */
  labels: Int32Array
  /** [n, C] raw logits (of a sequence [n, L, C]), which the codec encodes here. Without them `columns` holds its columns too. */
  logits?: Float32Array | undefined
  /** The columns behind id and label by name, as they will lie on disk (FORMAT.md): float16 as its bits, [n, width] each. */
  columns?: Columns | undefined
  /** rows of the same stretch of the source that were left out; kept in the journal and listed in the manifest */
  skipped?: Skipped[]
}

export interface TargetsWriter {
  /** The folder holds the finished dataset of this very plan: nothing is left to do. */
  readonly done: boolean
  /** Shards 0..k-1 are on disk: continue with source row k·rowsPerShard. */
  readonly finishedShards: number
  beginShard(index: number): Promise<void>
  /** Takes rows; resolves when the next can be taken. At most two record batches are held in memory. */
  append(rows: Rows): Promise<void>
  /** Flush, sync, rename, journal. After it the shard survives a crash. */
  endShard(): Promise<ShardEntry>
  /** Drops the shard in hand and its temporary file; `beginShard` may start it again. */
  abortShard(): Promise<void>
  /** Writes the card and, last, the manifest; then removes journal and lock. */
  finish(extra: { created: string; fidelity?: Fidelity | undefined }): Promise<Manifest>
  /** Drops a shard in hand and releases the lock. Where no shard is finished, all that was written goes, the folder too if it was made. */
  withdraw(): Promise<void>
  /** Drops a shard in hand and releases the lock. Without `finish`, what is on disk stays and can be resumed. */
  close(): Promise<void>
}

/**
 * Opens `dir` for writing: a new folder is made, an unfinished one with the same plan is resumed, a finished one is `done`.
 * A failed `append` or `endShard` has dropped its shard; the shards before stand.
 * @throws MismatchError where the folder holds another plan's export; its `differences` name the keys
 * @throws DecantError where the folder holds something else, another export is writing to it, or the disk refuses
 */
export async function createTargets(dir: string, plan: Plan, hooks: { open?: OpenFile } = {}): Promise<TargetsWriter> {
  const checked = checkPlan(plan)
  const made = await claimFolder(dir)
  let release = async () => {}
  try {
    const finished = await readFinished(dir, checked)
    if (finished && !(await hasTraces(dir))) return new Writer(dir, checked, { finished })
    release = await takeLock(dir)
    // Again: the export that held the lock may have just finished.
    const manifest = await readFinished(dir, checked)
    if (manifest) {
      await removeTraces(dir, manifest)
      await release()
      return new Writer(dir, checked, { finished: manifest })
    }
    const open = hooks.open ?? openFile
    const { plan, lines } = await resumeFolder(dir, checked, open)
    return new Writer(dir, plan, { open, release, lines, made })
  } catch (error) {
    await release()
    await removeMade(dir, made)
    throw diskError(error, dir)
  }
}

async function readFinished(dir: string, plan: Plan): Promise<Manifest | undefined> {
  const manifest = await readManifest(dir)
  if (manifest) checkSamePlan(dir, planOf(manifest), plan)
  return manifest
}

/** What the manifest, indented, has around the texts of a row that was left out; and of a shard, all of it. */
const SKIPPED_BYTES = 80
const SHARD_BYTES = 220

class Writer implements TargetsWriter {
  readonly done: boolean
  private readonly lines: JournalLine[]
  private readonly open: OpenFile
  private readonly release: () => Promise<void>
  private readonly finished: Manifest | undefined
  private readonly made: string | undefined
  private shard: ShardWriter | undefined
  private skipped: Skipped[] = []
  private seen = 0
  /** Rows that the finished shards left out, and what the manifest will take, about and at most. */
  private listed = { rows: 0, bytes: 0 }

  constructor(
    private readonly dir: string,
    private readonly plan: Plan,
    state: {
      finished?: Manifest
      open?: OpenFile
      release?: () => Promise<void>
      lines?: JournalLine[]
      /** what claimFolder made */
      made?: string | undefined
    },
  ) {
    this.finished = state.finished
    this.done = state.finished !== undefined
    this.open = state.open ?? openFile
    this.release = state.release ?? (async () => {})
    this.lines = state.lines ?? []
    this.made = state.made
    const shards = Math.ceil(plannedSamples(plan) / plan.rowsPerShard)
    this.listed.bytes = Buffer.byteLength(JSON.stringify(plan, null, 2)) + shards * SHARD_BYTES
    for (const line of this.lines) this.list(line.skipped)
  }

  /** Counts rows that are left out. @throws DecantError: more than a manifest can list, which would be found only at the end */
  private list(skipped: Skipped[]): void {
    this.listed.rows += skipped.length
    for (const { id, reason } of skipped)
      this.listed.bytes += SKIPPED_BYTES + Buffer.byteLength(id) + Buffer.byteLength(reason)
    const { rows, bytes } = this.listed
    if (rows > MAX_SKIPPED || bytes > MAX_MANIFEST_BYTES)
      throw new DecantError(
        `${this.dir}: the manifest cannot list more: ${rows} rows left out, at most ${MAX_SKIPPED}; about ${bytes} bytes, at most ${MAX_MANIFEST_BYTES}${rows > 0 ? '; are they unreadable for one reason?' : ': choose larger shards'}`,
      )
  }

  private unlist(skipped: Skipped[]): void {
    this.listed.rows -= skipped.length
    for (const { id, reason } of skipped)
      this.listed.bytes -= SKIPPED_BYTES + Buffer.byteLength(id) + Buffer.byteLength(reason)
  }

  get finishedShards(): number {
    return this.finished?.shards.length ?? this.lines.length
  }

  async beginShard(index: number): Promise<void> {
    if (this.shard || this.done || index !== this.finishedShards)
      throw new Error(`beginShard(${index}): expected shard ${this.finishedShards}, after the one before has ended`)
    this.shard = await ShardWriter.open({ dir: this.dir, name: shardName(index), plan: this.plan, open: this.open })
    this.skipped = []
    this.seen = 0
  }

  async append(rows: Rows): Promise<void> {
    const shard = this.inHand()
    await this.orAbort(async () => {
      await shard.append(rows, storedColumns(rows, this.plan))
      const skipped = rows.skipped ?? []
      for (const row of skipped) this.skipped.push(row)
      this.list(skipped)
      this.seen += rows.rows + (this.plan.derived ? 0 : skipped.length * viewsOf(this.plan))
    })
  }

  async endShard(): Promise<ShardEntry> {
    const shard = this.inHand()
    const { rowsPerShard } = this.plan
    const first = this.lines.length * rowsPerShard
    const expected = Math.min(rowsPerShard, plannedSamples(this.plan) - first) * viewsOf(this.plan)
    return this.orAbort(async () => {
      if (this.seen !== expected)
        throw new DecantError(
          `${join(this.dir, shard.name)}: expected ${expected} rows of the source, skipped ones included, found ${this.seen}`,
        )
      const line: JournalLine = { shard: await shard.end(), skipped: this.skipped }
      await appendJournal(this.dir, line, this.open)
      this.lines.push(line)
      this.shard = undefined
      return line.shard
    })
  }

  async abortShard(): Promise<void> {
    if (this.shard) this.unlist(this.skipped)
    await this.shard?.abort()
    this.shard = undefined
  }

  async finish({ created, fidelity }: { created: string; fidelity?: Fidelity | undefined }): Promise<Manifest> {
    if (this.finished) return this.finished
    const { source, views = 1, ...described } = this.plan
    const shards = this.lines.map((line) => line.shard)
    const manifest: Manifest = {
      format: 'decant',
      version: 1,
      kind: 'logits',
      ...described,
      rows: shards.reduce((sum, { rows }) => sum + rows, 0),
      views,
      source: { ...source, skipped: this.lines.flatMap((line) => line.skipped) },
      created,
      ...(fidelity && { fidelity }),
      shards,
    }
    const text = formatManifest(manifest)
    const bytes = Buffer.byteLength(text)
    if (bytes > MAX_MANIFEST_BYTES)
      throw new DecantError(
        `${join(this.dir, MANIFEST)}: it would have ${bytes} bytes, at most ${MAX_MANIFEST_BYTES} are read`,
      )
    const written = parseManifest(text, join(this.dir, MANIFEST)) // never write what the reader refuses: missing shards among it
    await writeCard(this.dir, text, { open: this.open, verify: false }) // hashed as they were written, or by the resume
    await replaceFile(join(this.dir, MANIFEST), text, this.open)
    await this.onDisk(() => removeTraces(this.dir, manifest))
    await this.release()
    return written
  }

  async withdraw(): Promise<void> {
    await this.abortShard()
    const nothing = !this.done && this.lines.length === 0
    if (nothing) await this.onDisk(() => clearFolder(this.dir))
    await this.release()
    if (nothing) await removeMade(this.dir, this.made)
  }

  async close(): Promise<void> {
    await this.abortShard()
    await this.release()
  }

  private async onDisk(work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      throw diskError(error, this.dir)
    }
  }

  private inHand(): ShardWriter {
    if (!this.shard)
      throw new Error('no shard in hand: call beginShard first; a failed append or endShard has dropped it')
    return this.shard
  }

  private async orAbort<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      await this.abortShard()
      throw error
    }
  }
}
