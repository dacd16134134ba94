import { InterruptedError } from '../errors.js'

/** One measured batch size. */
export interface BatchTiming {
  batch: number
  /** Rows a second, the best of the runs. */
  rowsPerSecond: number
}

export interface BatchTuning {
  batch: number
  timings: BatchTiming[]
}

export interface TuneOptions {
  /** Runs `batch` rows once. May throw when memory runs out: larger sizes are not tried then. */
  run(batch: number): Promise<unknown>
  /** The largest size tried. */
  most: number
  /** Aborting makes the search throw InterruptedError after the call in hand. */
  signal?: AbortSignal | undefined
  /** Milliseconds; passed in so that the search can be tested. */
  now?: () => number
}

/** A size is timed for this long, at least twice: shorter and the clock and the scheduler are what is measured. */
const LEAST_MS = 200
/** A single call longer than this makes progress and interruption coarse; larger batches are not tried. */
const LONGEST_CALL_MS = 2_000
/** So many sizes without a gain end the search: one may have been measured while the machine was busy. */
const PATIENCE = 3
/** The smallest batch within this share of the best rate is taken: it needs the least memory. */
const GOOD_ENOUGH = 0.97

/**
 * Finds the batch size by measuring 1, 4, 16, 32, 64, … rows a call: doubles while it gains, then takes the smallest size
 * whose rate is within 3 % of the best.
 */
export async function tuneBatch({
  run,
  most,
  signal,
  now = () => performance.now(),
}: TuneOptions): Promise<BatchTuning> {
  const timings: BatchTiming[] = []
  const runOnce = async (size: number) => {
    await run(size)
    if (signal?.aborted) throw new InterruptedError('stopped while the batch size was measured: nothing is written yet')
  }
  let best = 0
  let worse = 0
  const sizes = [1, 4, 16, 32, 64, 128, 256, 512, 1024, 2048].filter((size) => size < most)
  for (const size of [...sizes, ...(most <= 2048 ? [most] : [])]) {
    let fastest = Number.POSITIVE_INFINITY
    try {
      await runOnce(size) // the first call of a shape allocates
      const started = now()
      for (let calls = 0; calls < 2 || now() - started < LEAST_MS; calls++) {
        const before = now()
        await runOnce(size)
        fastest = Math.min(fastest, now() - before)
        if (now() - started > LONGEST_CALL_MS) break
      }
    } catch (error) {
      if (timings.length === 0 || error instanceof InterruptedError) throw error
      break
    }
    const rowsPerSecond = (size / Math.max(fastest, 1e-3)) * 1000
    timings.push({ batch: size, rowsPerSecond })
    worse = rowsPerSecond > best * 1.02 ? 0 : worse + 1
    best = Math.max(best, rowsPerSecond)
    if (worse >= PATIENCE || fastest > LONGEST_CALL_MS) break
  }
  const chosen = timings.find((timing) => timing.rowsPerSecond >= best * GOOD_ENOUGH)!
  return { batch: chosen.batch, timings }
}
