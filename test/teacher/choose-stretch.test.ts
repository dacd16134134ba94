import fc from 'fast-check'
import { expect, it } from 'vitest'
import { chooseStretch } from '../../src/teacher/choose-stretch.js'

const size = fc.record({
  batch: fc.integer({ min: 1, max: 2048 }),
  rowsPerShard: fc.integer({ min: 1, max: 1e7 }),
  bytes: fc.oneof(fc.integer({ min: 1, max: 1e6 }), fc.constant(Number.POSITIVE_INFINITY)),
  seconds: fc.double({ min: 0, max: 100, noNaN: true }),
  rows: fc.integer({ min: 1, max: 1e9 }),
})

it('is whole batches and a whole part of a shard, whose rows depend neither on the sessions nor on their speed', () => {
  fc.assert(
    fc.property(size, fc.integer({ min: 1, max: 256 }), (options, sessions) => {
      const { stretch, rowsPerShard } = chooseStretch({ ...options, sessions })
      expect([stretch % options.batch, rowsPerShard % stretch]).toEqual([0, 0])
      expect(rowsPerShard).toBe(chooseStretch({ ...options, seconds: 0, sessions: 1 }).rowsPerShard)
    }),
  )
})

it('goes round the sessions several times where the source is small', () => {
  const demo = { batch: 64, rowsPerShard: 3e6, bytes: 830, seconds: 1e-6, rows: 12_000 }
  const stretches = [1, 2, 16, 256].map((sessions) => chooseStretch({ ...demo, sessions }).stretch)
  expect(stretches).toEqual([2048, 1024, 128, 64])
})

it('takes a slow teacher a twentieth of a second, and at least a batch', () => {
  const many = { batch: 64, rowsPerShard: 3e6, bytes: 830, rows: 1e6, sessions: 2 }
  const stretches = [1e-6, 1e-4, 3e-4, 1].map((seconds) => chooseStretch({ ...many, seconds }).stretch)
  expect(stretches).toEqual([2048, 256, 128, 64])
})
