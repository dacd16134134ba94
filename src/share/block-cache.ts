import { constants } from 'node:fs'
import { type FileHandle, mkdir, open, readdir, rm, stat, statfs, utimes } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { NO_LINK } from '../cache/files.js'
import { DecantError } from '../errors.js'

/** Files are kept in blocks of this size: what one row costs at least, and what is hashed when it is read. */
export const BLOCK_BYTES = 128 * 2 ** 10

export interface CacheOptions {
  /** Default: $DECANT_CACHE_DIR, else decant in $XDG_CACHE_HOME or ~/.cache. */
  dir?: string
  /** What it may hold. Default: $DECANT_CACHE_GB, else 10 GB, or half of what is free where that is less. */
  bytes?: number
}

/**
 * Blocks of remote files on this machine's disk, under a limit; the entries that were not used for longest go first.
 * An entry is two files named by a hash: `<key>.data`, sparse, the blocks at their places; `<key>.index`, a line `<block> <sha256>` for each
 * that is there, only ever appended to. Nothing is locked: whoever reads a block compares its hash, so what a kill, another process or the disk
 * made of it is no worse than a block that is not there.
 */
export interface BlockCache {
  /** @param key hexadecimal digits */
  open(key: string): Promise<CacheEntry>
}

export interface CacheEntry {
  /** SHA-256 by block, of those that are there. */
  blocks(): Promise<Map<number, string>>
  /** The bytes at a position; false where some are not there (any more). */
  read(into: Uint8Array, position: number): Promise<boolean>
  /** Blocks from `first` on, whole ones, the file's last one aside. */
  write(bytes: Uint8Array, first: number, hashes: string[]): Promise<void>
  /** Keeps the entry on disk while `work` runs. */
  use<T>(work: () => Promise<T>): Promise<T>
  /** Forgets all of it. */
  discard(): Promise<void>
  close(): Promise<void>
}

interface Files {
  data: FileHandle
  index: FileHandle
}

const DEFAULT_BYTES = 10e9
const LINE = /^(\d{1,10}) ([0-9a-f]{64})$/gm
const NAME = /^([0-9a-f]{64})\.(data|index)$/

export function openBlockCache({ dir: root = cacheFolder(), bytes }: CacheOptions = {}): BlockCache {
  const dir = join(root, 'blocks')
  const entries = new Map<string, Entry>()
  let limit: Promise<number> | undefined
  let unchecked = Number.POSITIVE_INFINITY // bytes written since the limit was looked at; at first anything may lie there
  let trimming = Promise.resolve()

  const guarded = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work()
    } catch (error) {
      throw cacheError(error, dir)
    }
  }

  /** Makes room before `more` bytes are written, so that the limit holds at any moment. */
  const makeRoom = async (more: number): Promise<void> => {
    limit ??= limitOf(dir, bytes)
    const most = await limit
    // Looking at all entries for each block would be slow: a part of the limit is given out between two looks.
    const share = Math.min(most / 8, 2 ** 28)
    if (unchecked + more <= share) {
      unchecked += more
      return
    }
    unchecked = more
    trimming = trimming.then(() => trim(dir, { most: most - share - more, entries }))
    await trimming
  }

  class Entry implements CacheEntry {
    private files: Promise<Files> | undefined
    private users = 0

    constructor(private readonly key: string) {}

    blocks = () =>
      guarded(async () => {
        const { index } = await this.opened()
        const { size } = await index.stat()
        const text = Buffer.alloc(size)
        const { bytesRead } = await index.read(text, 0, size, 0)
        const found = new Map<number, string>()
        for (const [, block, sha256] of text.toString('latin1', 0, bytesRead).matchAll(LINE))
          found.set(Number(block), sha256!)
        return found
      })

    read = (into: Uint8Array, position: number) =>
      guarded(async () => {
        const { data } = await this.opened()
        for (let done = 0; done < into.length; ) {
          const { bytesRead } = await data.read(into, done, into.length - done, position + done)
          if (bytesRead === 0) return false
          done += bytesRead
        }
        return true
      })

    write = (bytes: Uint8Array, first: number, hashes: string[]) =>
      guarded(async () => {
        await makeRoom(bytes.length)
        const { data, index } = await this.opened()
        for (let done = 0; done < bytes.length; ) {
          const position = first * BLOCK_BYTES + done
          done += (await data.write(bytes, done, bytes.length - done, position)).bytesWritten
        }
        // A line break in front: whatever a kill left of the last line ends there.
        await index.appendFile(hashes.map((hash, i) => `\n${first + i} ${hash}`).join(''))
      })

    async use<T>(work: () => Promise<T>): Promise<T> {
      this.users++
      try {
        return await work()
      } finally {
        this.users--
      }
    }

    async discard(): Promise<void> {
      await this.shut()
      await remove(dir, this.key)
    }

    async close(): Promise<void> {
      if (entries.get(this.key) === this) entries.delete(this.key)
      await this.shut()
    }

    get busy(): boolean {
      return this.users > 0
    }

    private opened(): Promise<Files> {
      this.files ??= openFiles(dir, this.key)
      this.files.catch(() => {
        this.files = undefined
      })
      return this.files
    }

    private async shut(): Promise<void> {
      const files = this.files
      this.files = undefined
      const open = await files?.catch(() => undefined)
      await open?.data.close()
      await open?.index.close()
    }
  }

  return {
    async open(key) {
      await guarded(async () => {
        await mkdir(dir, { recursive: true, mode: 0o700 }) // what is private there is private here
        await makeRoom(0) // the limit may have been another
      })
      const entry = new Entry(key)
      entries.set(key, entry)
      return entry
    },
  }
}

async function openFiles(dir: string, key: string): Promise<Files> {
  const path = join(dir, key)
  const flags = constants.O_RDWR | constants.O_CREAT | NO_LINK
  const data = await open(`${path}.data`, flags, 0o600)
  try {
    const index = await open(`${path}.index`, flags | constants.O_APPEND, 0o600)
    const now = new Date()
    await utimes(`${path}.index`, now, now).catch(() => {}) // used now; another process may have removed it
    return { data, index }
  } catch (error) {
    await data.close()
    throw error
  }
}

/** Removes entries, the least recently used first, until at most `most` bytes are left; those that are being read stay. */
async function trim(
  dir: string,
  { most, entries }: { most: number; entries: Map<string, { busy: boolean; discard(): Promise<void> }> },
): Promise<void> {
  const names = await readdir(dir).catch(() => [])
  const keys = new Set(names.flatMap((name) => NAME.exec(name)?.[1] ?? []))
  const found: { key: string; bytes: number; used: number }[] = []
  for (const key of keys) {
    const [data, index] = await Promise.all(
      ['data', 'index'].map((kind) => stat(join(dir, `${key}.${kind}`)).catch(() => undefined)),
    )
    const bytes = [data, index].reduce((sum, file) => sum + (file ? (file.blocks ?? file.size / 512) * 512 : 0), 0)
    found.push({ key, bytes, used: index?.mtimeMs ?? 0 })
  }
  let total = found.reduce((sum, { bytes }) => sum + bytes, 0)
  for (const { key, bytes } of found.sort((a, b) => a.used - b.used)) {
    if (total <= most) return
    const entry = entries.get(key)
    if (entry?.busy) continue
    await (entry ? entry.discard() : remove(dir, key))
    total -= bytes
  }
}

async function remove(dir: string, key: string): Promise<void> {
  for (const kind of ['index', 'data']) await rm(join(dir, `${key}.${kind}`), { force: true }).catch(() => {}) // Windows: open elsewhere
}

async function limitOf(dir: string, given: number | undefined): Promise<number> {
  if (given !== undefined) return given
  const text = process.env.DECANT_CACHE_GB
  if (text !== undefined && text !== '') {
    if (!(Number(text) > 0)) throw new DecantError(`DECANT_CACHE_GB: expected a number of gigabytes, found '${text}'`)
    return Number(text) * 1e9
  }
  const { bavail, bsize } = await statfs(dir)
  return Math.min(DEFAULT_BYTES, (bavail * bsize) / 2)
}

/** Where remote datasets are cached on this machine, whether it is there yet or not. */
export function cacheFolder(): string {
  const { DECANT_CACHE_DIR: own, XDG_CACHE_HOME: shared } = process.env
  return own || join(shared || join(homedir(), '.cache'), 'decant')
}

function cacheError(error: unknown, dir: string): unknown {
  const { code, syscall, message } = error as NodeJS.ErrnoException
  if (code === undefined || syscall === undefined) return error
  const what = code === 'ENOSPC' || code === 'EDQUOT' ? 'the disk is full' : message
  return new DecantError(
    `${dir}: the cache of remote datasets: ${what}; DECANT_CACHE_DIR names another folder for it, DECANT_CACHE_GB how much it may hold`,
    { cause: error },
  )
}
