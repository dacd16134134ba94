import { describe, expect, it } from 'vitest'
import { DecantError } from '../../src/errors.js'
import { isPassingStatus, PassingError, parseRetryAfter, retry } from '../../src/share/retry.js'

function clock() {
  const waits: number[] = []
  return { waits, options: { seed: 1, sleep: async (ms: number) => void waits.push(ms) } }
}

describe('retry', () => {
  it('repeats what may pass, waiting twice as long each time, with jitter', async () => {
    const { waits, options } = clock()
    const result = await retry(async (attempt) => {
      if (attempt < 5) throw new PassingError('busy')
      return attempt
    }, options)
    expect(result).toBe(5)
    expect(waits).toHaveLength(4)
    waits.forEach((ms, i) => {
      expect(ms).toBeGreaterThanOrEqual(250 * 2 ** i)
      expect(ms).toBeLessThanOrEqual(500 * 2 ** i)
    })
  })

  it('gives up with an error that says how often it tried', async () => {
    const { waits, options } = clock()
    const failing = retry(() => Promise.reject(Object.assign(new Error('gone'), { code: 'ECONNRESET' })), options)
    await expect(failing).rejects.toThrow(new DecantError('gone (tried 6 times)'))
    expect(waits).toHaveLength(5)
  })

  it('throws at once what will not pass', async () => {
    const { waits, options } = clock()
    await expect(retry(() => Promise.reject(new DecantError('no')), options)).rejects.toThrow('no')
    expect(waits).toEqual([])
  })

  it('waits as long as the server asks, up to a minute', async () => {
    const { waits, options } = clock()
    const asked = [7, 86_400]
    await retry(async (attempt) => {
      const retryAfter = asked[attempt - 1]
      if (retryAfter !== undefined) throw new PassingError('busy', { retryAfter })
    }, options)
    expect(waits).toEqual([7000, 60_000])
  })

  it('stops when it is told to', async () => {
    const controller = new AbortController()
    const work = retry(
      async () => {
        controller.abort()
        throw new PassingError('busy')
      },
      { signal: controller.signal },
    )
    await expect(work).rejects.toThrow(/abort/)
  })
})

it('knows which answers of a server may pass', () => {
  const passing = [200, 304, 400, 401, 403, 404, 408, 412, 429, 500, 501, 502, 503, 504, 505].filter(isPassingStatus)
  expect(passing).toEqual([408, 429, 500, 502, 503, 504])
})

it('reads Retry-After in seconds and as a date', () => {
  const now = Date.UTC(2026, 0, 1)
  const values = [undefined, '5', 'Thu, 01 Jan 2026 00:00:30 GMT', 'Wed, 31 Dec 2025 00:00:00 GMT', 'soon']
  expect(values.map((value) => parseRetryAfter(value, now))).toEqual([undefined, 5, 30, 0, undefined])
})
