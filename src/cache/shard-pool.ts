import { DecantError, FormatError } from '../errors.js'
import type { Column } from './columns.js'
import type { DatasetFiles } from './dataset-files.js'
import type { Manifest } from './manifest.js'
import { ShardFile } from './shard-file.js'

/** Open files a dataset holds: enough for readers at several places, far below any limit of the system. */
const MAX_OPEN = 16

/** The shards of a dataset, opened when they are used; the least recently used that nobody is using is closed. */
export class ShardPool {
  private readonly shards = new Map<number, { file: Promise<ShardFile>; users: number }>()
  private limit = MAX_OPEN

  constructor(
    private readonly files: DatasetFiles,
    private readonly manifest: Manifest,
    private readonly columns: Column[],
  ) {}

  async use<T>(index: number, work: (shard: ShardFile) => Promise<T>): Promise<T> {
    if (this.limit === 0) throw new DecantError(`${this.files.place}: this dataset has been closed`)
    const entry = this.shards.get(index) ?? { file: this.open(index), users: 0 }
    this.shards.delete(index)
    this.shards.set(index, entry) // a Map keeps the order of insertion: the last used is last
    entry.users++
    try {
      return await work(await entry.file)
    } catch (error) {
      if (error instanceof FormatError) await this.files.discard?.(this.manifest.shards[index]!)
      throw error
    } finally {
      entry.users--
      await this.trim()
    }
  }

  async close(): Promise<void> {
    this.limit = 0 // those in use are closed by their last user
    await this.trim()
    await this.files.close()
  }

  private open(index: number): Promise<ShardFile> {
    const { classes, rowsPerBatch, shards } = this.manifest
    const shard = shards[index]!
    const { file, rows, bytes } = shard
    const shape = { classes, columns: this.columns, rowsPerBatch, rows, bytes }
    const opened = this.files.open(shard).then((input) => ShardFile.open(this.files.path(file), input, shape))
    opened.catch(() => this.shards.delete(index)) // thrown to the users; the next one tries again
    return opened
  }

  private async trim(): Promise<void> {
    for (const [index, { file, users }] of this.shards) {
      if (this.shards.size <= this.limit) return
      if (users > 0) continue
      this.shards.delete(index)
      await (await file).close()
    }
  }
}
