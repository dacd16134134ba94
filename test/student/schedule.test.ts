import { describe, expect, it } from 'vitest'
import { learningRateAt, type Schedule } from '../../src/student/schedule.js'

const rates = (schedule: Schedule, steps: number) =>
  Array.from({ length: steps }, (_, step) => learningRateAt(step, { schedule, base: 2, steps, perEpoch: 2 }))

describe('learningRateAt', () => {
  it('constant is the base rate at every step', () => {
    expect(rates({ kind: 'constant', warmup: 0 }, 3)).toEqual([2, 2, 2])
  })

  it('warm-up grows linearly and reaches the base rate with its last step', () => {
    expect(rates({ kind: 'constant', warmup: 4 }, 6)).toEqual([0.5, 1, 1.5, 2, 2, 2])
  })

  it('cosine begins at the base rate, is half of it in the middle and ends just above 0', () => {
    const all = rates({ kind: 'cosine', warmup: 0 }, 100)
    expect(all[0]).toBe(2)
    expect(all[50]).toBeCloseTo(1, 12)
    expect(all[99]).toBeCloseTo(1 + Math.cos(0.99 * Math.PI), 12)
    expect(all.every((rate, i) => i === 0 || rate < all[i - 1]!)).toBe(true)
  })

  it('cosine begins where warm-up ends', () => {
    const all = rates({ kind: 'cosine', warmup: 2 }, 12)
    expect(all.slice(0, 3)).toEqual([1, 2, 2])
    expect(all[7]).toBeCloseTo(1, 12)
  })

  it('step falls by the factor after each of its epochs', () => {
    const all = rates({ kind: 'step', warmup: 1, milestones: [1, 3], factor: 0.5 }, 8)
    expect(all).toEqual([2, 2, 1, 1, 1, 1, 0.5, 0.5])
  })
})
