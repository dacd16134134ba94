import pLimit from 'p-limit'
import { DecantError } from '../errors.js'

/** How many files are on their way at once, where nothing is said. */
export const JOBS = 4
/** More connections than this are unkind to servers, and faster to none. */
export const MAX_JOBS = 64

/** How far a push or a pull is. Bytes count what is known to be right at the end of the way, whether it was sent or there already. */
export interface TransferProgress {
  bytes: number
  totalBytes: number
  files: number
  totalFiles: number
}

/**
 * Runs `work` on each item, `jobs` at once. After the first failure nothing new begins and what runs is told to stop; when all have
 * ended, that failure is thrown.
 */
export async function forEach<T>(
  items: T[],
  { jobs = JOBS, signal }: { jobs?: number | undefined; signal?: AbortSignal | undefined },
  work: (item: T, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  if (!Number.isInteger(jobs) || jobs < 1 || jobs > MAX_JOBS)
    throw new DecantError(`jobs: expected 1 to ${MAX_JOBS}, found ${jobs}`)
  const controller = new AbortController()
  const stop = () => controller.abort(signal!.reason)
  signal?.throwIfAborted()
  signal?.addEventListener('abort', stop)
  let failed = false
  let failure: unknown
  const limit = pLimit(jobs)
  try {
    await limit.map(items, async (item) => {
      if (controller.signal.aborted) return
      try {
        await work(item, controller.signal)
      } catch (error) {
        if (!failed) failure = error
        failed = true
        controller.abort()
      }
    })
  } finally {
    signal?.removeEventListener('abort', stop)
  }
  signal?.throwIfAborted()
  if (failed) throw failure
}

/** Counts bytes and files, and tells at most ten times a second. */
export function meter(
  total: { totalBytes: number; totalFiles: number },
  onProgress: ((progress: TransferProgress) => void) | undefined,
): { bytes(count: number): void; file(): void; done(): TransferProgress } {
  const state = { bytes: 0, files: 0, ...total }
  let told = 0
  const tell = (always: boolean) => {
    const now = performance.now()
    if (!always && now - told < 100) return
    told = now
    onProgress?.({ ...state })
  }
  return {
    bytes(count) {
      state.bytes += count
      tell(false)
    },
    file() {
      state.files++
      tell(true)
    },
    done: () => state,
  }
}
