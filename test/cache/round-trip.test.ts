import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { tableFromIPC } from 'apache-arrow'
import { describe, expect, test } from 'vitest'
import { createTargets, openTargets } from '../../src/cache/index.js'
import { temporaryFolder } from '../helpers/folder.js'
import { exportRows, idOf, labelOf, logitsOf, makePlan, makeRows, writeTargets } from './datasets.js'

const ROWS = 100
const every = <T>(value: (row: number) => T) => Array.from({ length: ROWS }, (_, row) => value(row))

describe.each(['f32', 'f16'] as const)('a dataset of codec %s', (codec) => {
  const open = async () => {
    const dir = temporaryFolder()
    await writeTargets(dir, makePlan({ codec, rows: ROWS, names: ['a', 'b', 'c'] }))
    return openTargets(dir)
  }

  test('gives back ids, labels and logits, all at once', async () => {
    const targets = await open()
    const all = await targets.load()
    expect(targets).toMatchObject({ classes: 3, names: ['a', 'b', 'c'], rows: ROWS })
    expect(all.ids()).toEqual(every(idOf))
    expect([...all.labels]).toEqual(every((row) => labelOf(row, 3)))
    const expected = every((row) => logitsOf(row, 3)).flat()
    // float16 has 11 significant bits: of a gap below 32, the error is below 2^-7.
    expected.forEach(
      (z, i) => void expect(Math.abs(all.logits[i]! - z)).toBeLessThanOrEqual(codec === 'f32' ? 0 : 2 ** -7),
    )
    await targets.close()
  })

  test.each([1, 9, 16, 40, 1000])('gives the same in chunks of %i rows, checking hashes', async (rows) => {
    const targets = await open()
    const all = await targets.load()
    let next = 0
    for await (const chunk of targets.chunks({ rows, verify: true })) {
      expect(chunk.first).toBe(next)
      expect(chunk.rows).toBe(Math.min(rows, ROWS - next))
      expect(chunk.logits).toEqual(all.logits.slice(next * 3, (next + chunk.rows) * 3))
      expect(chunk.labels).toEqual(all.labels.slice(next, next + chunk.rows))
      expect(chunk.ids()).toEqual(every(idOf).slice(next, next + chunk.rows))
      next += chunk.rows
    }
    expect(next).toBe(ROWS)
    await targets.close()
  })

  test('gives the same where arrays are reused, and they are', async () => {
    const targets = await open()
    const all = await targets.load()
    const seen = new Set<ArrayBufferLike>()
    for await (const chunk of targets.chunks({ rows: 9, reuse: true, verify: true })) {
      expect(chunk.logits).toEqual(all.logits.slice(chunk.first * 3, (chunk.first + chunk.rows) * 3))
      expect(chunk.labels).toEqual(all.labels.slice(chunk.first, chunk.first + chunk.rows))
      seen.add(chunk.labels.buffer)
    }
    expect(seen.size).toBe(3)
    await targets.close()
  })

  test('gives a part of itself', async () => {
    const targets = await open()
    const ids: string[] = []
    for await (const chunk of targets.chunks({ from: 14, to: 83, rows: 10 })) ids.push(...chunk.ids())
    expect(ids).toEqual(every(idOf).slice(14, 83))
    await targets.close()
  })

  test('gives any row by index and by id, many at once', async () => {
    const targets = await open()
    const all = await targets.load()
    const rows = await Promise.all(every((row) => targets.row(row)))
    rows.forEach((row, index) => {
      const label = labelOf(index, 3)
      expect(row).toMatchObject({ index, id: idOf(index), label: label < 0 ? null : label })
      expect(row.logits).toEqual(all.logits.slice(index * 3, index * 3 + 3))
    })
    for (const index of [0, 15, 16, 39, 40, 99]) expect(await targets.byId(idOf(index))).toEqual(rows[index])
    expect(await targets.byId('row/100')).toBeUndefined()
    expect(await targets.byId('')).toBeUndefined()
    await targets.close()
  })

  test('is Arrow files that another reader reads', async () => {
    const targets = await open()
    const table = tableFromIPC(await readFile(join(targets.dir, 'data/00001.arrow')))
    expect(table.numRows).toBe(40)
    expect(table.batches.map((batch) => batch.numRows)).toEqual([16, 16, 8])
    expect(table.schema.metadata.get('decant.codec')).toBe(codec)
    const row = table.get(4)!
    expect(row.id).toBe(idOf(44))
    expect(row.label).toBeNull()
    const shift = codec === 'f16' ? row.shift : 0
    const { logits } = await targets.row(44)
    expect([...row.logits].map((z: number) => Math.fround(z + shift))).toEqual([...logits])
    await targets.close()
  })
})

test('rows outside a dataset, and a closed dataset, are errors that say so', async () => {
  const dir = temporaryFolder()
  await writeTargets(dir, makePlan())
  const targets = await openTargets(dir)
  await expect(targets.row(100)).rejects.toThrow('row 100: this dataset has 100 rows')
  await expect(targets.row(-1)).rejects.toThrow('row -1')
  await expect(targets.chunks({ from: 0, to: 101 })[Symbol.asyncIterator]().next()).rejects.toThrow('rows 0 to 101')
  await targets.close()
  await expect(targets.row(0)).rejects.toThrow('closed')
})

test('an aborted signal ends the chunks', async () => {
  const dir = temporaryFolder()
  await writeTargets(dir, makePlan())
  const targets = await openTargets(dir)
  const stop = new AbortController()
  const read = async () => {
    for await (const _ of targets.chunks({ rows: 5, signal: stop.signal })) stop.abort()
  }
  await expect(read()).rejects.toThrow('abort')
  await targets.close()
})

test('skipped rows leave gaps in the source, not in the dataset, and are listed', async () => {
  const dir = temporaryFolder()
  const plan = makePlan({ rows: 60, rowsPerShard: 20 })
  const writer = await createTargets(dir, plan)
  for (let shard = 0; shard < 3; shard++) {
    await writer.beginShard(shard)
    // All of shard 1 is unreadable; of the others, the first row.
    const from = shard * 20 + (shard === 1 ? 20 : 1)
    const skipped = Array.from({ length: from - shard * 20 }, (_, i) => ({
      id: idOf(shard * 20 + i),
      reason: 'unreadable',
    }))
    await writer.append({ ...makeRows(plan, from, (shard + 1) * 20), skipped })
    await writer.endShard()
  }
  const manifest = await exportRows(writer, plan)
  expect(manifest.rows).toBe(38)
  expect(manifest.source.skipped).toHaveLength(22)
  expect(manifest.shards.map(({ rows }) => rows)).toEqual([19, 0, 19])
  const targets = await openTargets(dir)
  expect((await targets.load()).ids()).toEqual(
    Array.from({ length: 60 }, (_, i) => idOf(i)).filter((_, i) => i % 40 >= 1 && i % 40 < 20),
  )
  expect((await targets.row(19)).id).toBe(idOf(41))
  await targets.close()
})
