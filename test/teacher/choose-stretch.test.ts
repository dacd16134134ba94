import fc from 'fast-check'
import { expect, it } from 'vitest'
import { chooseStretch } from '../../src/teacher/choose-stretch.js'

const size = fc.record({
  batch: fc.integer({ min: 1, max: 2048 }),
  rowsPerShard: fc.integer({ min: 1, max: 1e7 }),
  bytes: fc.oneof(fc.integer({ min: 1, max: 1e6 }), fc.constant(Number.POSITIVE_INFINITY)),
  rows: fc.integer({ min: 1, max: 1e9 }),
})

it('is whole batches and a whole part of a shard, whose rows do not depend on the sessions', () => {
  fc.assert(
    fc.property(size, fc.integer({ min: 1, max: 256 }), (options, sessions) => {
      const { stretch, rowsPerShard } = chooseStretch({ ...options, sessions })
      expect([stretch % options.batch, rowsPerShard % stretch]).toEqual([0, 0])
      expect(rowsPerShard).toBe(chooseStretch({ ...options, sessions: 1 }).rowsPerShard)
    }),
  )
})

it('goes round the sessions several times where the source is small', () => {
  const demo = { batch: 64, rowsPerShard: 3e6, bytes: 830, rows: 12_000 }
  const stretches = [1, 2, 16, 256].map((sessions) => chooseStretch({ ...demo, sessions }).stretch)
  expect(stretches).toEqual([2048, 1024, 128, 64])
})
