import { hash } from 'node:crypto'
import { setImmediate as turn } from 'node:timers/promises'
import type { LimitFunction } from 'p-limit'
import type { InputFile } from '../cache/index.js'
import { DecantError, MismatchError } from '../errors.js'
import { BLOCK_BYTES, type CacheEntry } from './block-cache.js'
import { readRange } from './read-range.js'
import type { RetryOptions } from './retry.js'
import type { Store } from './store.js'

/** One request asks for at most so many: enough for the way there and back not to matter; held in memory. */
const REQUEST_BLOCKS = 64
/** Reads that are so near each other become one request. */
const GAP_BLOCKS = 2
/** Compared with their hashes at once. */
const STEP_BLOCKS = 32
/** How often blocks are fetched that are gone again when they are looked at. */
const ATTEMPTS = 4

export interface RemoteFileOptions {
  store: Store
  /** `etag`: what its bytes are held to. Where the file changes, reading it is an error. */
  file: { name: string; bytes: number; etag?: string | undefined }
  entry: CacheEntry
  /** of requests that are under way at once */
  limit: LimitFunction
  signal: AbortSignal
  retry?: RetryOptions | undefined
}

/** A file of a store, read through the cache, in few requests. */
export class RemoteFile implements InputFile {
  readonly size: number
  /** Blocks that the cache should have. */
  private readonly present: Set<number>
  /** Blocks whose bytes have been handed out: they may not change any more. */
  private readonly used = new Set<number>()
  private readonly arriving = new Map<number, Promise<void>>()
  /** What is asked for in this turn of the event loop, looked at together at its end. */
  private asked: { blocks: Set<number>; sent: Promise<void> } | undefined

  static async open(options: RemoteFileOptions): Promise<RemoteFile> {
    return new RemoteFile(options, await options.entry.blocks())
  }

  /** @param hashes of the blocks in the cache. From here on only what this process downloads itself changes them. */
  private constructor(
    private readonly options: RemoteFileOptions,
    private readonly hashes: Map<number, string>,
  ) {
    this.size = options.file.bytes
    this.present = new Set(hashes.keys())
  }

  async read(into: Uint8Array, position: number): Promise<void> {
    if (position + into.length > this.size) throw new Error(`the file ends at byte ${this.size}`)
    if (into.length === 0) return
    const { from, to } = blocksOf(position, position + into.length)
    await this.options.entry.use(async () => {
      for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
        await this.fetch(from, to)
        if (await this.copy(into, { position, from, to })) return
      }
      throw new DecantError(
        `${this.path}: what is written to the cache does not stay there; DECANT_CACHE_DIR names another folder for it`,
      )
    })
  }

  expect(from: number, to: number): void {
    const blocks = blocksOf(from, Math.min(to, this.size))
    this.fetch(blocks.from, blocks.to).catch(() => {}) // who reads them will hear of it
  }

  fetchAll(): Promise<void> {
    return this.fetch(0, Math.ceil(this.size / BLOCK_BYTES))
  }

  /** Sees to it that blocks [from, to) are in the cache. */
  private async fetch(from: number, to: number): Promise<void> {
    const missing = (block: number) => !this.present.has(block) && !this.arriving.has(block)
    for (let block = from; block < to; block++) {
      if (!missing(block)) continue
      this.asked ??= { blocks: new Set(), sent: turn().then(() => this.send()) }
      this.asked.blocks.add(block)
    }
    await this.asked?.sent
    const awaited = new Set<Promise<void> | undefined>()
    for (let block = from; block < to; block++) awaited.add(this.arriving.get(block))
    await Promise.all(awaited)
  }

  /** Forgets what is cached of it: it is not what it should be. */
  discard(): Promise<void> {
    this.present.clear()
    return this.options.entry.discard()
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.arriving.values())
    await this.options.entry.close()
  }

  private get path(): string {
    return `${this.options.store.uri}/${this.options.file.name}`
  }

  /** Copies bytes out of the cache if every block is what it was; else forgets the others: they must be fetched again. */
  private async copy(
    into: Uint8Array,
    { position, from, to }: { position: number; from: number; to: number },
  ): Promise<boolean> {
    for (let first = from; first < to; first += STEP_BLOCKS) {
      const start = first * BLOCK_BYTES
      const end = Math.min(Math.min(to, first + STEP_BLOCKS) * BLOCK_BYTES, this.size)
      const whole = start >= position && end <= position + into.length
      const bytes = whole ? into.subarray(start - position, end - position) : new Uint8Array(end - start)
      const there = await this.options.entry.read(bytes, start)
      let sound = true
      hashBlocks(bytes).forEach((found, i) => {
        if (there && found === this.hashes.get(first + i)) this.used.add(first + i)
        else {
          this.present.delete(first + i)
          sound = false
        }
      })
      if (!sound) return false
      if (whole) continue
      const [a, b] = [Math.max(start, position), Math.min(end, position + into.length)]
      into.set(bytes.subarray(a - start, b - start), a - position)
    }
    return true
  }

  private send(): void {
    const { blocks } = this.asked!
    this.asked = undefined
    for (const run of joinRuns(blocks)) this.request(run)
  }

  private request({ from, to }: { from: number; to: number }): void {
    const { entry, limit } = this.options
    const arrival = limit(() => entry.use(() => this.download(from, to)))
    const settle = () => {
      for (let block = from; block < to; block++) if (this.arriving.get(block) === arrival) this.arriving.delete(block)
    }
    for (let block = from; block < to; block++) this.arriving.set(block, arrival)
    arrival.then(settle, settle) // thrown to those who wait for a block of it
  }

  private async download(from: number, to: number): Promise<void> {
    const { store, file, entry, signal, retry } = this.options
    const range = { from: from * BLOCK_BYTES, to: Math.min(to * BLOCK_BYTES, this.size), etag: file.etag }
    const bytes = Buffer.allocUnsafeSlow(range.to - range.from)
    let at = 0
    for await (const piece of readRange(store, file.name, range, { signal, ...(retry && { retry }) })) {
      if (at + piece.length > bytes.length) throw new DecantError(`${this.path}: more bytes came than were asked for`)
      bytes.set(piece, at)
      at += piece.length
    }
    const hashes = hashBlocks(bytes)
    hashes.forEach((found, i) => {
      if (this.used.has(from + i) && found !== this.hashes.get(from + i))
        throw new MismatchError(`${this.path}: the file changed while it was read; run the same command again`, [])
    })
    await entry.write(bytes, from, hashes)
    hashes.forEach((found, i) => {
      this.hashes.set(from + i, found)
      this.present.add(from + i)
    })
  }
}

function hashBlocks(bytes: Uint8Array): string[] {
  const hashes: string[] = []
  for (let at = 0; at < bytes.length; at += BLOCK_BYTES)
    hashes.push(hash('sha256', bytes.subarray(at, at + BLOCK_BYTES), 'hex'))
  return hashes
}

const blocksOf = (from: number, to: number) => ({
  from: Math.floor(from / BLOCK_BYTES),
  to: Math.ceil(to / BLOCK_BYTES),
})

/** Runs [from, to) that hold the blocks, with small gaps between them, none longer than a request. */
function joinRuns(blocks: Set<number>): { from: number; to: number }[] {
  const runs: { from: number; to: number }[] = []
  for (const block of [...blocks].sort((a, b) => a - b)) {
    const run = runs.at(-1)
    if (run && block - run.to <= GAP_BLOCKS && block + 1 - run.from <= REQUEST_BLOCKS) run.to = block + 1
    else runs.push({ from: block, to: block + 1 })
  }
  return runs
}
