import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decodeHalves } from '../../../src/cache/codecs/decode-halves.js'

/** binary16 from its definition, in float64: (-1)^s · 2^(e-15) · (1 + f/1024), subnormal below, ∞ and NaN above. */
function realOf(half: number): number {
  const [e, f] = [(half >> 10) & 31, half & 1023]
  const size =
    e === 31 ? (f ? Number.NaN : Number.POSITIVE_INFINITY) : e ? 2 ** (e - 15) * (1 + f / 1024) : f * 2 ** -24
  return half & 0x8000 ? -size : size
}

const all = Uint16Array.from({ length: 65_536 }, (_, half) => half)

/** The sum in float64, rounded to the nearest float32. */
const expected = (halves: Uint16Array, shift: Float32Array, width: number) =>
  Float32Array.from(halves, (half, i) => realOf(half) + shift[Math.floor(i / width)]!)

/** The first value that isn't the same, the sign of zero included; -1 where all are. */
const difference = (found: Float32Array, wanted: Float32Array) =>
  found.length === wanted.length ? found.findIndex((value, i) => !Object.is(value, wanted[i])) : found.length

test.each([0, -0, 1, -17.3, 1e-7, 3e38, -(2 ** -140)])('all 65,536 halves and a shift of %d, bit by bit', (top) => {
  const shift = Float32Array.of(top)
  const values = decodeHalves({ halves: all, shift, width: all.length })
  expect(difference(values, expected(all, shift, all.length))).toBe(-1)
})

test('rows of every width, narrower than a vector and wider than a block, each with its own shift', () => {
  const width = fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 16_300, max: 16_450 }), fc.constant(40_000))
  fc.assert(
    fc.property(width, fc.integer({ min: 0, max: 50_000 }), (width, first) => {
      const rows = Math.ceil(20_000 / width)
      const halves = Uint16Array.from({ length: rows * width }, (_, i) => (first + 7 * i) % 0x7c00)
      const shift = Float32Array.from({ length: rows }, (_, row) => Math.sin(row + first) * 30)
      const into = new Float32Array(halves.length + 3).fill(5)
      const values = decodeHalves({ halves, shift, width }, into)
      expect(difference(values, expected(halves, shift, width))).toBe(-1)
      expect(values.buffer).toBe(into.buffer)
      expect([...into.subarray(halves.length)]).toEqual([5, 5, 5])
    }),
    { numRuns: 25 },
  )
})

test('no rows', () => {
  expect(decodeHalves({ halves: new Uint16Array(0), shift: new Float32Array(0), width: 3 })).toEqual(
    new Float32Array(0),
  )
})
