import { describe, expect, it } from 'vitest'
import { interval, tQuantile } from '../../src/student/interval.js'

describe('tQuantile', () => {
  // Table of Student's t, two-sided 95 %.
  it.each([
    [1, 12.7062],
    [2, 4.30265],
    [3, 3.18245],
    [4, 2.77645],
    [9, 2.26216],
    [30, 2.04227],
    [1000, 1.96234],
  ])('of %d degrees of freedom is %d', (freedom, t) => {
    expect(tQuantile(freedom)).toBeCloseTo(t, 4)
  })
})

describe('interval', () => {
  it('is the mean ± t·s/√n', () => {
    expect(interval([1, 2, 3])).toEqual({ n: 3, mean: 2, half: expect.closeTo(4.30265 / Math.sqrt(3), 4) })
  })
  it('of one value has no width to give', () => {
    expect(interval([5])).toEqual({ n: 1, mean: 5, half: null })
  })
})
