import { expect, test } from 'vitest'
import { bytesPerRow, chooseRows, openTargets } from '../../src/cache/index.js'
import { temporaryFolder } from '../helpers/folder.js'
import { makePlan, writeTargets } from './datasets.js'

const MIB = 2 ** 20

test.each([
  ['f32', 10, 128 * MIB],
  ['f16', 1000, 128 * MIB],
  ['f32', 100, 2 * MIB],
  ['f32', 1_000_000, 128 * MIB],
] as const)(
  '%s, %i classes, shards of %i bytes: batches of at most 4 MiB, shards of whole batches near their size',
  (codec, classes, shardBytes) => {
    const { rowsPerBatch, rowsPerShard } = chooseRows({ codec, classes, shardBytes })
    const row = bytesPerRow({ codec, classes })
    expect(rowsPerBatch * row).toBeLessThanOrEqual(4 * MIB)
    expect(rowsPerShard % rowsPerBatch).toBe(0)
    expect(Math.abs(rowsPerShard * row - shardBytes)).toBeLessThanOrEqual((rowsPerBatch * row) / 2 + 1)
  },
)

test('a row larger than a shard is a shard', () => {
  expect(chooseRows({ codec: 'f32', classes: 1_000_000, shardBytes: 1000 })).toEqual({
    rowsPerBatch: 1,
    rowsPerShard: 1,
  })
})

test('unless told, a chunk is about 4 MiB, however small the batches are', async () => {
  const dir = temporaryFolder()
  await writeTargets(dir, makePlan({ rows: 100, rowsPerBatch: 1 }))
  const targets = await openTargets(dir)
  const sizes: number[] = []
  for await (const { rows } of targets.chunks()) sizes.push(rows)
  expect(sizes).toEqual([100])
  await targets.close()
})
