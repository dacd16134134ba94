import { createHash } from 'node:crypto'
import pLimit from 'p-limit'
import { type DatasetFiles, MANIFEST, MAX_MANIFEST_BYTES, type ShardEntry, SIGNATURE } from '../cache/index.js'
import { DecantError, FormatError, UnavailableError } from '../errors.js'
import { type BlockCache, openBlockCache } from './block-cache.js'
import { readBeside, readSmall } from './read-range.js'
import { RemoteFile } from './remote-file.js'
import type { RetryOptions } from './retry.js'
import type { Store } from './store.js'

/** Requests of a dataset that are under way at once. */
const REQUESTS = 4

export interface RemoteOptions {
  cache?: BlockCache
  retry?: RetryOptions
  signal?: AbortSignal | undefined
}

interface OpenFile {
  file: Promise<RemoteFile>
  users: number
}

/** A dataset of a store, read by ranges through the cache. What is cached is kept apart by store, manifest, shard and ETag. */
export function remoteFiles(
  store: Store,
  { cache = openBlockCache(), retry, signal }: RemoteOptions = {},
): DatasetFiles {
  const stop = new AbortController()
  const ended = signal ? AbortSignal.any([signal, stop.signal]) : stop.signal
  const limit = pLimit(REQUESTS)
  const opened = new Map<string, OpenFile>()
  const path = (name: string) => `${store.uri}/${name}`
  let manifest: string | undefined

  async function openFile({ file: name, bytes, sha256 }: ShardEntry): Promise<RemoteFile> {
    const found = await store.head(name, ended)
    if (!found) throw new FormatError(`${path(name)}: listed in the manifest, but not there`)
    if (found.bytes !== bytes) throw new FormatError(`${path(name)}: expected ${bytes} bytes, found ${found.bytes}`)
    if (found.sha256 !== undefined && found.sha256 !== sha256)
      throw new FormatError(`${path(name)}: another file: expected SHA-256 ${sha256}, the store has ${found.sha256}`)
    const key = createHash('sha256')
      .update(JSON.stringify([store.uri, manifest, name, bytes, sha256, found.etag ?? null]))
      .digest('hex')
    const entry = await cache.open(key)
    return RemoteFile.open({ store, file: { name, bytes, etag: found.etag }, entry, limit, signal: ended, retry })
  }

  /** The same file for all who use the shard at once, so that none of its bytes is asked for twice. */
  function share(shard: ShardEntry): { file: Promise<RemoteFile>; release(): Promise<void> } {
    const entry = opened.get(shard.file) ?? { file: openFile(shard), users: 0 }
    opened.set(shard.file, entry)
    entry.users++
    return {
      file: entry.file,
      async release() {
        if (--entry.users > 0) return
        opened.delete(shard.file)
        await (await entry.file.catch(() => undefined))?.close()
      },
    }
  }

  async function fetchWhole(shard: ShardEntry): Promise<void> {
    const { file, release } = share(shard)
    try {
      await (await file).fetchAll()
    } finally {
      await release()
    }
  }

  return {
    place: store.uri,
    uri: store.uri,
    path,
    async manifest() {
      const found = await readSmall(store, MANIFEST, {
        most: MAX_MANIFEST_BYTES,
        signal: ended,
        ...(retry && { retry }),
      })
      if (!found) throw new DecantError(`${store.uri}: expected a soft-target dataset, found no ${MANIFEST}`)
      manifest = createHash('sha256').update(found.bytes).digest('hex')
      return found.bytes
    },
    signature: () => readBeside(store, SIGNATURE, { most: 1024, signal: ended, ...(retry && { retry }) }),
    async open(shard) {
      const { file, release } = share(shard)
      try {
        const remote = await file
        return {
          size: remote.size,
          expect: (from, to) => remote.expect(from, to),
          read: (into, position) => remote.read(into, position),
          close: release,
        }
      } catch (error) {
        await release()
        throw error
      }
    },
    async list() {
      try {
        return (await store.list(ended)).map(({ name }) => name).filter((name) => name.startsWith('data/'))
      } catch (error) {
        if (error instanceof UnavailableError) return undefined
        throw error
      }
    },
    prefetch(shard) {
      if (!opened.has(shard.file)) fetchWhole(shard).catch(() => {}) // who reads it will hear of it
    },
    async discard({ file }) {
      await (await opened.get(file)?.file)?.discard()
    },
    async close() {
      stop.abort()
      await Promise.allSettled([...opened.values()].map(({ file }) => file.then((remote) => remote.close())))
    },
  }
}
