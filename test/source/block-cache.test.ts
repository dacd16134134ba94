import { expect, test } from 'vitest'
import { BlockCache } from '../../src/source/block-cache.js'
import type { Table } from '../../src/source/table.js'

/** `blocks` of 100 rows that say that they take so many bytes, and note what is read of them. */
function table(blocks: number, bytes: number) {
  const calls: string[] = []
  const made: Table = {
    path: 'a.x',
    columns: ['n'],
    starts: Array.from({ length: blocks + 1 }, (_, i) => i * 100),
    sha256: '',
    size: 0,
    blockBytes: () => bytes,
    async block(index) {
      calls.push(`block ${index}`)
      return { columns: [Array.from({ length: 100 }, (_, i) => index * 100 + i)] }
    },
    async pick(index, rows) {
      calls.push(`pick ${index}: ${rows}`)
      return { columns: [rows] }
    },
    close: async () => {},
  }
  return { calls, cache: new BlockCache([made], ['n']) }
}
const read = async ({ cache }: ReturnType<typeof table>, rows: number[], scattered = true) =>
  (
    await cache.read(
      rows.map((row) => cache.locate(row)),
      { scattered },
    )
  ).map(({ cells }) => cells[0])

test('few scattered rows of a large table are read by themselves; many, or rows in a row, by the block', async () => {
  const large = table(10, 2 ** 27)
  expect(await read(large, [777, 3, 701])).toEqual([777, 3, 701])
  expect(large.calls.sort()).toEqual(['pick 0: 3', 'pick 7: 777,701'])
  await read(
    large,
    Array.from({ length: 50 }, (_, i) => i),
  )
  await read(large, [999], false)
  expect(large.calls.slice(2)).toEqual(['block 0', 'block 9'])
})

test('of a table that can be kept each block is read once, however few rows are wanted', async () => {
  const small = table(10, 2 ** 20)
  for (const row of [777, 3, 701, 4, 777]) expect(await read(small, [row])).toEqual([row])
  expect(small.calls).toEqual(['block 7', 'block 0'])
})

test('blocks are kept by the bytes that they take, at least two', async () => {
  const four = table(4, 2 ** 26) // four are 256 MiB
  for (const row of [0, 100, 200, 300, 0]) await read(four, [row], false)
  expect(four.calls.length).toBe(4)
  const two = table(4, 2 ** 30)
  for (const row of [0, 100, 0, 200, 100]) await read(two, [row], false)
  expect(two.calls).toEqual(['block 0', 'block 1', 'block 2', 'block 1'])
})
