import { setTimeout as wait } from 'node:timers/promises'
import { DecantError } from '../errors.js'
import { random } from '../random.js'

/** A failure that may pass: worth another try. `retryAfter`: seconds that the other side asks for. */
export class PassingError extends DecantError {
  override name = 'PassingError'
  constructor(
    message: string,
    readonly options: { retryAfter?: number; cause?: unknown } = {},
  ) {
    super(message, { cause: options.cause })
  }
}

export interface RetryOptions {
  /** how often work is tried in all; default 6, which with the waits between takes about half a minute */
  attempts?: number
  signal?: AbortSignal
  /** tests wait in their own way */
  sleep?: (ms: number, signal?: AbortSignal) => Promise<void>
  /** of the waits' jitter */
  seed?: string | number
}

const ATTEMPTS = 6
const FIRST_WAIT_MS = 500
const LONGEST_WAIT_MS = 20_000
/** What a server may ask for with Retry-After. One that asks for more is asked again sooner. */
const LONGEST_RETRY_AFTER_MS = 60_000

/** Statuses of HTTP that may pass (RFC 9110, RFC 6585). 501 and 505 say that it never will. */
export const isPassingStatus = (status: number): boolean =>
  status === 408 || status === 425 || status === 429 || (status >= 500 && status !== 501 && status !== 505)

/** Codes of system calls on connections, and of resolvers, that may pass. ENOTFOUND is a host that does not exist. */
const PASSING_CODES = new Set([
  'EAI_AGAIN',
  'ECONNABORTED',
  'ECONNREFUSED',
  'ECONNRESET',
  'EHOSTUNREACH',
  'ENETDOWN',
  'ENETRESET',
  'ENETUNREACH',
  'EPIPE',
  'ERR_STREAM_PREMATURE_CLOSE',
  'ETIMEDOUT',
])

export const isPassing = (error: unknown): boolean =>
  error instanceof PassingError || PASSING_CODES.has((error as NodeJS.ErrnoException)?.code ?? '')

/**
 * Runs `work` until it succeeds, fails for good, or has failed too often. Waits grow by the factor 2, with jitter, so that many
 * clients of a server that had to refuse them do not all come back at once.
 * @throws the last failure; of one that might have passed, a DecantError that says how often it was tried
 */
export async function retry<T>(work: (attempt: number) => Promise<T>, options: RetryOptions = {}): Promise<T> {
  const { attempts = ATTEMPTS, signal } = options
  const pause = pauses(options)
  for (let attempt = 1; ; attempt++) {
    signal?.throwIfAborted()
    try {
      return await work(attempt)
    } catch (error) {
      signal?.throwIfAborted()
      if (!isPassing(error)) throw error
      if (attempt === attempts)
        throw new DecantError(`${(error as Error).message} (tried ${attempts} times)`, { cause: error })
      await pause(error)
    }
  }
}

/** Makes the function that waits after the first, second, … failure in a row. */
export function pauses({ signal, sleep = defaultSleep, seed }: RetryOptions): (error?: unknown) => Promise<void> {
  const { uniform } = random('retry', seed ?? `${process.pid} ${performance.timeOrigin} ${performance.now()}`)
  let next = FIRST_WAIT_MS
  return async (error) => {
    const asked = error instanceof PassingError ? (error.options.retryAfter ?? 0) * 1000 : 0
    const own = next * (0.5 + uniform() / 2)
    next = Math.min(next * 2, LONGEST_WAIT_MS)
    await sleep(Math.max(own, Math.min(asked, LONGEST_RETRY_AFTER_MS)), signal)
  }
}

const defaultSleep = async (ms: number, signal?: AbortSignal): Promise<void> => {
  await wait(ms, undefined, signal && { signal })
}

/** Retry-After (RFC 9110, 10.2.3) in seconds: a number, or a date. */
export function parseRetryAfter(value: string | undefined, now = Date.now()): number | undefined {
  if (value === undefined) return undefined
  if (/^\d{1,9}$/.test(value.trim())) return Number(value)
  const date = Date.parse(value)
  return Number.isNaN(date) ? undefined : Math.max(0, (date - now) / 1000)
}
