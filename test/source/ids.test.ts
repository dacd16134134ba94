import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decimalIds, idAt, joinIds, pickIds } from '../../src/source/ids.js'

const strings = (ids: { offsets: Int32Array; bytes: Uint8Array }) =>
  Array.from({ length: ids.offsets.length - 1 }, (_, i) => idAt(ids, i))

test('decimal ids are what String writes, for every row number an IDX file can have', () => {
  const row = fc.oneof(fc.nat(2 ** 32 - 1), fc.constantFrom(0, 9, 10, 99, 100, 999_999_999, 1e9, 2 ** 31, 2 ** 32 - 1))
  fc.assert(
    fc.property(fc.array(fc.tuple(row, fc.integer({ min: 1, max: 12 }))), (runs) => {
      const rows = runs.flatMap(([first, n]) => Array.from({ length: n }, (_, i) => Math.min(first + i, 2 ** 32 - 1)))
      const ids = decimalIds(rows.length, (i) => rows[i]!)
      expect(strings(ids)).toEqual(rows.map(String))
      expect(ids.bytes.length).toBe(ids.bytes.buffer.byteLength)
    }),
  )
})

test('joined names come back, all or picked in any order', () => {
  const names = fc.array(fc.string({ unit: 'grapheme' }), { minLength: 1 })
  fc.assert(
    fc.property(names, fc.array(fc.nat()), (names, picks) => {
      const ids = joinIds(names.map((name) => Buffer.from(name)))
      expect(strings(ids)).toEqual(names)
      const at = (k: number) => picks[k]! % names.length
      expect(strings(pickIds(ids, picks.length, at))).toEqual(picks.map((_, k) => names[at(k)]))
    }),
  )
})
