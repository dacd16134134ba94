import { availableParallelism } from 'node:os'
import type { Worker } from 'node:worker_threads'
import { DecantError, FormatError, MismatchError, UnavailableError } from '../errors.js'
import { startThread } from '../thread.js'
import { fetchFile, isWhole, type WantedFile } from './fetch-file.js'
import { fileContent } from './file-content.js'
import type { Store, Transfer } from './store.js'
import type { OpenStoreOptions, Place } from './uri.js'

// One processor hashes about as fast as a disk writes, so for large datasets the transfer of whole files (receive, hash, write) is done on
// threads: each has a store of its own and files of its own, and nothing but counts goes between them.

/** Moves whole files, or looks at them. */
export interface Carrier {
  /** As `fetchFile`. */
  fetch(wanted: WantedFile, path: string, transfer: Transfer): Promise<void>
  /** Writes the file at `path` to the store under `name`, checked on the way. */
  write(name: string, path: string, wanted: { bytes: number; sha256: string }, transfer: Transfer): Promise<void>
  /** As `isWhole`. */
  check(path: string, wanted: { bytes: number; sha256: string }, signal: AbortSignal): ReturnType<typeof isWhole>
  close(): Promise<void>
}

/** Below this, starting threads takes longer than they save. */
const WORTH_BYTES = 256 * 2 ** 20
const MAX_THREADS = 4

export type Job =
  | { kind: 'fetch'; wanted: WantedFile; path: string }
  | { kind: 'write'; name: string; path: string; wanted: { bytes: number; sha256: string } }
  | { kind: 'check'; path: string; wanted: { bytes: number; sha256: string } }

export type ToThread = { id: number; job: Job } | { id: number; abort: true }
export type FromThread = { id: number } & (
  | { bytes: number }
  | { done: unknown }
  | { failed: { name: string; message: string; stack: string | undefined } }
)

export function openCarrier(
  store: Store,
  place: Place,
  { jobs, bytes, ...options }: OpenStoreOptions & { jobs: number; bytes: number },
): Carrier {
  const threads = Math.min(jobs, availableParallelism(), MAX_THREADS)
  // The SDKs of the others hold state (commits, parts), and functions do not go to threads.
  const simple = (place.kind === 'folder' || place.kind === 'http') && !options.retry && !options.env
  return simple && threads > 1 && bytes >= WORTH_BYTES
    ? openThreads(threads, { place, idleMs: options.idleMs })
    : carryHere(store, options)
}

function carryHere(store: Store, { retry }: OpenStoreOptions): Carrier {
  return {
    fetch: (wanted, path, transfer) => fetchFile(store, wanted, path, { ...transfer, retry }),
    write: (name, path, wanted, transfer) => store.write(name, fileContent(path, wanted), transfer),
    check: isWhole,
    close: async () => {},
  }
}

interface Waiting {
  resolve(value: unknown): void
  reject(error: unknown): void
  onBytes: ((bytes: number) => void) | undefined
}

interface Thread {
  worker: Worker
  waiting: Map<number, Waiting>
}

function openThreads(count: number, data: { place: Place; idleMs: number | undefined }): Carrier {
  const threads = Array.from({ length: count }, () => startOne(data))
  let next = 0

  const run = async (job: Job, { signal, onBytes }: Transfer): Promise<unknown> => {
    const { worker, waiting } = threads.reduce((least, one) => (one.waiting.size < least.waiting.size ? one : least))
    const id = next++
    const abort = () => worker.postMessage({ id, abort: true } satisfies ToThread)
    signal?.throwIfAborted()
    signal?.addEventListener('abort', abort)
    try {
      return await new Promise((resolve, reject) => {
        waiting.set(id, { resolve, reject, onBytes })
        worker.postMessage({ id, job } satisfies ToThread)
      })
    } catch (error) {
      signal?.throwIfAborted()
      throw error
    } finally {
      waiting.delete(id)
      signal?.removeEventListener('abort', abort)
    }
  }

  return {
    fetch: async (wanted, path, transfer) => {
      const { from, bytes, sha256 } = wanted
      await run({ kind: 'fetch', wanted: { from, bytes, sha256 }, path }, transfer)
    },
    write: async (name, path, { bytes, sha256 }, transfer) => {
      await run({ kind: 'write', name, path, wanted: { bytes, sha256 } }, transfer)
    },
    check: (path, { bytes, sha256 }, signal) =>
      run({ kind: 'check', path, wanted: { bytes, sha256 } }, { signal }) as ReturnType<typeof isWhole>,
    close: async () => {
      await Promise.all(threads.map(({ worker }) => worker.terminate()))
    },
  }
}

function startOne(data: { place: Place; idleMs: number | undefined }): Thread {
  const worker = startThread('./carrier-thread', import.meta.url, data)
  const waiting = new Map<number, Waiting>()
  worker.on('message', (message: FromThread) => {
    const one = waiting.get(message.id)
    if ('bytes' in message) one?.onBytes?.(message.bytes)
    else if ('done' in message) one?.resolve(message.done)
    else one?.reject(revive(message.failed))
  })
  worker.on('error', (error) => {
    for (const one of waiting.values()) one.reject(error)
  })
  return { worker, waiting }
}

/** Errors lose their class on the way between threads. */
function revive({ name, message, stack }: { name: string; message: string; stack: string | undefined }): Error {
  const error =
    name === 'FormatError'
      ? new FormatError(message)
      : name === 'MismatchError'
        ? new MismatchError(message, [])
        : name === 'UnavailableError'
          ? new UnavailableError(message)
          : /^(Decant|Passing|Refused)Error$/.test(name)
            ? new DecantError(message)
            : new Error(message)
  if (stack !== undefined) error.stack = stack
  return error
}
