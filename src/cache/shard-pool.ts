import { join } from 'node:path'
import { DecantError } from '../errors.js'
import type { Column } from './columns.js'
import type { Manifest } from './manifest.js'
import { ShardFile } from './shard-file.js'

/** Open files a dataset holds: enough for readers at several places, far below any limit of the system. */
const MAX_OPEN = 16

/** The shards of a dataset, opened when they are used; the least recently used that nobody is using is closed. */
export class ShardPool {
  private readonly shards = new Map<number, { file: Promise<ShardFile>; users: number }>()
  private limit = MAX_OPEN

  constructor(
    private readonly dir: string,
    private readonly manifest: Manifest,
    private readonly columns: Column[],
  ) {}

  async use<T>(index: number, work: (shard: ShardFile) => Promise<T>): Promise<T> {
    if (this.limit === 0) throw new DecantError(`${this.dir}: this dataset has been closed`)
    const entry = this.shards.get(index) ?? { file: this.open(index), users: 0 }
    this.shards.delete(index)
    this.shards.set(index, entry) // a Map keeps the order of insertion: the last used is last
    entry.users++
    try {
      return await work(await entry.file)
    } finally {
      entry.users--
      await this.trim()
    }
  }

  async close(): Promise<void> {
    this.limit = 0 // those in use are closed by their last user
    await this.trim()
  }

  private open(index: number): Promise<ShardFile> {
    const { classes, rowsPerBatch, shards } = this.manifest
    const { file, rows, bytes } = shards[index]!
    const opened = ShardFile.open(join(this.dir, file), { classes, columns: this.columns, rowsPerBatch, rows, bytes })
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
