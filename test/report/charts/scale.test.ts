import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { linear, logarithmic, shareEnds } from '../../../src/report/charts/scale.js'

const finite = fc.integer({ min: -1e9, max: 1e9 }).map((n) => n / 1000)

describe('linear', () => {
  it('has round ticks around the values', () => {
    expect(linear([0.812, 0.843], [0, 100]).ticks).toEqual([0.81, 0.82, 0.83, 0.84, 0.85])
    expect(linear([0, 1], [0, 100]).ticks).toEqual([0, 0.2, 0.4, 0.6, 0.8, 1])
    expect(linear([0, 1], [200, 0])(0.25)).toBe(150)
  })

  it('holds all values, whatever they are, equal ones and none too', () => {
    fc.assert(
      fc.property(fc.array(finite, { maxLength: 5 }), (values) => {
        const scale = linear(values, [0, 100])
        expect(scale.ticks.length).toBeGreaterThan(1)
        expect(scale.ticks.length).toBeLessThan(12)
        for (const value of values) {
          expect(scale(value)).toBeGreaterThan(-1e-6)
          expect(scale(value)).toBeLessThan(100 + 1e-6)
        }
      }),
    )
  })
})

describe('logarithmic', () => {
  it('has a tick at each power', () => {
    const scale = logarithmic([15_770, 1_236_682], [0, 300])
    expect(scale.ticks).toEqual([1e4, 1e5, 1e6, 1e7])
    expect(scale(1e5)).toBeCloseTo(100, 9)
    expect(logarithmic([1, 8], [0, 3], 2).ticks).toEqual([1, 2, 4, 8])
  })

  it('holds one value', () => {
    const scale = logarithmic([1000], [0, 100])
    expect(scale(1000)).toBe(0)
    expect(scale.ticks).toEqual([1000, 10_000])
  })
})

it('the interval of a share stays a share', () => {
  expect(shareEnds({ mean: 0.9, half: 0.2 })[1]).toBe(1)
  expect(shareEnds({ mean: 0.1, half: 0.2 })[0]).toBe(0)
  expect(shareEnds({ mean: 0.5, half: null })).toEqual([0.5, 0.5])
})
