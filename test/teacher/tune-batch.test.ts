import { describe, expect, it } from 'vitest'
import { tuneBatch } from '../../src/teacher/tune-batch.js'

/** A device that takes `fixed + perRow * rows` milliseconds a call, on a clock of its own. */
function device({
  fixed,
  perRow,
  memory = Number.POSITIVE_INFINITY,
}: {
  fixed: number
  perRow: number
  memory?: number
}) {
  let clock = 0
  return {
    now: () => clock,
    async run(rows: number) {
      if (rows > memory) throw new Error('out of memory')
      clock += fixed + perRow * rows
    },
  }
}

describe('finding the batch size', () => {
  it('takes the smallest size within 3 % of the best rate', async () => {
    // rate = n / (2 + n): 64 rows reach 97 % of 1 row/ms, the best that is tried is 2048's 99.9 %
    const { batch, timings } = await tuneBatch({ ...device({ fixed: 2, perRow: 1 }), most: 4096 })
    const best = Math.max(...timings.map((timing) => timing.rowsPerSecond))
    const chosen = timings.find((timing) => timing.batch === batch)!
    expect(chosen.rowsPerSecond).toBeGreaterThanOrEqual(best * 0.97)
    expect(timings.filter((timing) => timing.batch < batch).every((timing) => timing.rowsPerSecond < best * 0.97)).toBe(
      true,
    )
  })

  it('takes one row where more rows gain nothing', async () => {
    expect((await tuneBatch({ ...device({ fixed: 0, perRow: 5 }), most: 4096 })).batch).toBe(1)
  })

  it('never tries more than there is', async () => {
    const { timings } = await tuneBatch({ ...device({ fixed: 50, perRow: 0.1 }), most: 100 })
    expect(Math.max(...timings.map((timing) => timing.batch))).toBeLessThanOrEqual(100)
  })

  it('stops before a size that memory does not hold', async () => {
    expect((await tuneBatch({ ...device({ fixed: 50, perRow: 0.1, memory: 40 }), most: 4096 })).batch).toBe(32)
  })

  it('stops at once when it is told to, whatever is measured by then', async () => {
    const controller = new AbortController()
    const sizes: number[] = []
    const run = async (rows: number) => {
      sizes.push(rows)
      if (sizes.length === 20) controller.abort()
      await new Promise((done) => setTimeout(done, 1))
    }
    const tuning = tuneBatch({ run, most: 4096, signal: controller.signal })
    await expect(tuning).rejects.toThrow('stopped while the batch size was measured: nothing is written yet')
    expect(sizes).toHaveLength(20)
  })

  it('fails where not even one row runs', async () => {
    await expect(tuneBatch({ ...device({ fixed: 1, perRow: 1, memory: 0 }), most: 4096 })).rejects.toThrow(
      'out of memory',
    )
  })
})
