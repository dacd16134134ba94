import { createHash } from 'node:crypto'
import { rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Schema } from 'apache-arrow/schema'
import { arrowSchema, type Block, encodeBatch, encodeHead, encodeTail } from './arrow.js'
import { Batch } from './batch.js'
import { type Column, columnsOf, type Stored, viewsOf } from './columns.js'
import { diskError, type OpenFile, type OutputFile, syncFolder, temporaryOf, writeFully } from './files.js'
import type { Plan, ShardEntry } from './manifest.js'
import type { Rows } from './writer.js'

/** Writes one shard: temporary name, hash while writing, sync, rename, sync of the folder. */
export class ShardWriter {
  private readonly hash = createHash('sha256')
  private readonly schema: Schema
  private readonly columns: Column[]
  private readonly blocks: Block[] = []
  private bytes = 0
  private rows = 0
  /** The write under way. Its failure is kept here and thrown to whoever comes next, so none is ever unhandled. */
  private writing: Promise<unknown> = Promise.resolve()
  private failure: unknown
  private spare: Batch | undefined

  private constructor(
    private readonly dir: string,
    readonly name: string,
    private readonly plan: Plan,
    private readonly temporary: string,
    private readonly file: OutputFile,
    private filling: Batch,
  ) {
    this.schema = arrowSchema(plan)
    this.columns = columnsOf(plan)
  }

  static async open(options: { dir: string; name: string; plan: Plan; open: OpenFile }): Promise<ShardWriter> {
    const { dir, name, plan, open } = options
    const path = join(dir, name)
    const temporary = temporaryOf(path)
    const file = await open(temporary, 'w').catch((error) => {
      throw diskError(error, path)
    })
    const capacity = Math.min(plan.rowsPerBatch, plan.rowsPerShard * viewsOf(plan))
    const writer = new ShardWriter(dir, name, plan, temporary, file, new Batch(capacity, columnsOf(plan), plan.classes))
    writer.write(encodeHead(writer.schema))
    return writer
  }

  /** Copies the rows in; waits only where both batches are full, that is, for the disk. */
  async append(rows: Rows, stored: Stored[]): Promise<void> {
    for (let from = 0; from < rows.rows; ) {
      const to = Math.min(rows.rows, from + this.filling.capacity - this.filling.rows)
      this.filling.add(rows, stored, from, to)
      this.rows += to - from
      from = to
      if (this.filling.rows === this.filling.capacity) await this.flush()
    }
  }

  /** Completes the file and gives it its name. The caller records it in the journal. */
  async end(): Promise<ShardEntry> {
    if (this.filling.rows > 0) await this.flush()
    await this.settle()
    this.write(encodeTail(this.schema, this.blocks))
    await this.settle()
    const path = join(this.dir, this.name)
    try {
      await this.file.sync()
      await this.file.close()
      await rename(this.temporary, path)
      await syncFolder(dirname(path))
    } catch (error) {
      throw diskError(error, path)
    }
    return { file: this.name, rows: this.rows, bytes: this.bytes, sha256: this.hash.digest('hex') }
  }

  /** Removes the temporary file; safe after any failure. */
  async abort(): Promise<void> {
    await this.writing
    await this.file.close().catch(() => {}) // it may be closed already
    await rm(this.temporary, { force: true })
  }

  private async flush(): Promise<void> {
    await this.settle()
    const full = this.filling
    const { bytes, block } = encodeBatch(full.columns(), full.rows, this.bytes)
    this.blocks.push(block)
    this.write(bytes)
    this.filling = this.spare ?? new Batch(full.capacity, this.columns, this.plan.classes)
    this.filling.clear()
    this.spare = full
  }

  /** Starts a write; one at a time, as each has its place. Hashing runs while the disk works. */
  private write(buffers: Uint8Array[]): void {
    this.writing = writeFully(this.file, buffers).catch((error) => {
      this.failure = diskError(error, join(this.dir, this.name))
    })
    for (const buffer of buffers) {
      this.hash.update(buffer)
      this.bytes += buffer.byteLength
    }
  }

  private async settle(): Promise<void> {
    await this.writing
    if (this.failure !== undefined) throw this.failure
  }
}
