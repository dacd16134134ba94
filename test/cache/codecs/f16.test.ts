import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { f16 } from '../../../src/cache/codecs/f16.js'

/** All finite halves by their value, from the definition of binary16: (-1)^s · 2^(e-15) · (1 + f/1024), subnormal below. */
const halves = Array.from({ length: 0x7c00 }, (_, bits) => {
  const [e, f] = [bits >> 10, bits & 1023]
  return e === 0 ? 2 ** -14 * (f / 1024) : 2 ** (e - 15) * (1 + f / 1024)
})

/** The nearest half to a value in [-65504, 0], the even one of two, by search. */
function nearest(value: number): number {
  let [low, high] = [0, halves.length - 1]
  while (low < high) {
    const middle = (low + high + 1) >> 1
    if (halves[middle]! <= -value) low = middle
    else high = middle - 1
  }
  const next = Math.min(low + 1, halves.length - 1)
  const [below, above] = [-value - halves[low]!, halves[next]! - -value]
  const bits = below < above || (below === above && low % 2 === 0) ? low : next
  return value === 0 ? 0 : bits | 0x8000
}

const encode = (...logits: number[]) => f16.encode({ logits: Float32Array.from(logits), classes: logits.length })
const decode = (stored: ReturnType<typeof encode>, classes: number) => {
  return [...f16.decode(stored, { classes, labelled: true })]
}

describe('codec f16', () => {
  test('every half decodes to its value', () => {
    const bits = Uint16Array.from({ length: 0x10000 }, (_, i) => i)
    const values = decode({ logits: bits, shift: new Float32Array(1) }, bits.length)
    expect(values.slice(0, 0x7c00)).toEqual(halves)
    expect(values.slice(0x8000, 0xfc00)).toEqual(halves.map((value) => 0 - value))
    expect(values[0x7c00]).toBe(Number.POSITIVE_INFINITY)
    expect(values[0xfc00]).toBe(Number.NEGATIVE_INFINITY)
    expect(values[0x7e00]).toBeNaN()
  })

  test('a gap is rounded to the nearest half, ties to even', () => {
    const gap = fc.oneof(
      fc.float({ min: -65504, max: 0, noNaN: true }),
      fc.float({ min: -30, max: 0, noNaN: true }),
      fc.float({ min: -(2 ** -13), max: 0, noNaN: true }), // subnormal halves
      fc.integer({ min: 0, max: 0x7bfe }).map((i) => -(halves[i]! + halves[i + 1]!) / 2), // ties
    )
    fc.assert(
      fc.property(gap, (value) => {
        const { logits: bits, shift } = encode(0, value)
        expect(shift![0]).toBe(0)
        expect(bits![1]! & 0x7fff).toBe(nearest(value) & 0x7fff)
      }),
      { numRuns: 3000 },
    )
  })

  test('raw logits come back: the top one exactly, the others within half a unit in the last place of their gap', () => {
    const row = fc.array(fc.float({ min: -1000, max: 1000, noNaN: true }), { minLength: 1, maxLength: 8 })
    fc.assert(
      fc.property(row, (logits) => {
        const top = Math.max(...logits)
        decode(encode(...logits), logits.length).forEach((z, i) => {
          const ulp = 2 ** (Math.floor(Math.log2(Math.max(top - logits[i]!, 2 ** -14))) - 10)
          // and float32's own rounding, in subtracting the top and in adding it
          expect(Math.abs(z - logits[i]!)).toBeLessThanOrEqual(
            top === logits[i]! ? 0 : ulp / 2 + 2 ** -22 * (Math.abs(top) + Math.abs(z)),
          )
        })
      }),
    )
  })

  test('a gap wider than halves reach is cut at -65504, never infinite', () => {
    expect(decode(encode(1, -1e30), 2)).toEqual([1, -65503])
  })
})
