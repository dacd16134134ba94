import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { tableFromIPC } from 'apache-arrow'
import { describe, expect, test } from 'vitest'
import { columnsOf, createTargets, idColumn, openTargets, type Plan, type Rows } from '../../src/cache/index.js'
import { temporaryFolder } from '../helpers/folder.js'
import { CREATED, idOf, makePlan } from './datasets.js'

const views = { count: 2, parameters: ['left', 'top', 'flip'], augment: { crop: [2, 2] }, seed: 7 }
const plan: Plan = makePlan({
  rows: 5,
  rowsPerShard: 3,
  rowsPerBatch: 4,
  codec: 'f16',
  views,
  positions: 2,
  inputs: { kind: 'tokens', shape: [2] },
})

/** Samples [from, to): rows of every kind of column, each value telling its row. */
function makeRows(from: number, to: number): Rows {
  const rows = Array.from({ length: (to - from) * 2 }, (_, i) => from * 2 + i)
  return {
    rows: rows.length,
    ids: idColumn(rows.map((row) => idOf(row >> 1))),
    labels: Int32Array.from(rows, (row) => (row >> 1) % 3),
    logits: Float32Array.from(rows.flatMap((row) => [0, row, 1, 2 * row, 0, 1])),
    columns: {
      length: Int32Array.from(rows, (row) => row % 3),
      view: Int32Array.from(rows, (row) => row % 2),
      view_params: Int32Array.from(rows.flatMap((row) => [row, -row, row % 2])),
      input: Int32Array.from(rows.flatMap((row) => [100 + row, -1])),
    },
  }
}

async function write(dir: string, change: (rows: Rows) => Rows = (rows) => rows) {
  const writer = await createTargets(dir, plan)
  try {
    for (const [shard, [from, to]] of [[0, 3] as const, [3, 5] as const].entries()) {
      await writer.beginShard(shard)
      await writer.append(change(makeRows(from, to)))
      await writer.endShard()
    }
    return await writer.finish({ created: CREATED })
  } finally {
    await writer.close()
  }
}

test('views, positions and stored inputs come back as columns, in any chunks', async () => {
  const dir = temporaryFolder()
  const manifest = await write(dir)
  expect(manifest).toMatchObject({ rows: 10, views, positions: 2, inputs: { kind: 'tokens', shape: [2] } })
  const targets = await openTargets(dir)
  const expected = makeRows(0, 5)
  const all = await targets.load()
  expect(all.columns).toMatchObject(expected.columns!)
  expect(all.columns.shift).toEqual(Float32Array.from({ length: 20 }, (_, i) => Math.max(1, (i >> 1) * (1 + (i % 2)))))
  expect(all.logits).toEqual(expected.logits)
  expect((await targets.row(7)).columns.view_params).toEqual(Int32Array.of(7, -7, 1))
  let row = 0
  for await (const chunk of targets.chunks({ rows: 3 })) {
    for (const [name, values] of Object.entries(chunk.columns)) {
      const width = values.length / chunk.rows
      expect(values).toEqual(all.columns[name]!.slice(row * width, (row + chunk.rows) * width))
    }
    row += chunk.rows
  }
  await targets.close()
})

test('another reader sees the columns in their order and types', async () => {
  const dir = temporaryFolder()
  await write(dir)
  const { schema } = tableFromIPC(await readFile(join(dir, 'data/00000.arrow')))
  expect(schema.fields.map(({ name, type }) => `${name} ${type}`)).toEqual([
    'id Utf8',
    'label Int32',
    'length Int32',
    'view Int32',
    'view_params FixedSizeList[3]<Int32>',
    'logits FixedSizeList[6]<Float16>',
    'shift FixedSizeList[2]<Float32>',
    'input FixedSizeList[2]<Int32>',
  ])
})

test('what a plan does not say has no column', () => {
  expect(columnsOf(makePlan({ codec: 'f16' })).map(({ name }) => name)).toEqual(['logits', 'shift'])
  const unparametered = { ...views, parameters: [] }
  expect(columnsOf(makePlan({ views: unparametered })).map(({ name }) => name)).toEqual(['view', 'logits'])
})

describe('refused where it is written:', () => {
  test.each([
    ['a view beyond the views', { view: new Int32Array(6).fill(2) }, "column 'view': 2, expected 0 to 1"],
    ['a negative length', { length: new Int32Array(6).fill(-1) }, "column 'length': -1, expected 0 to 2"],
    ['inputs of another type', { input: new Float32Array(12) }, "column 'input': expected int32 (Int32Array)"],
    ['parameters of another number', { view_params: new Int32Array(6) }, "column 'view_params' (6 rows of 3)"],
  ])('%s', async (_, columns, message) => {
    const broken = (rows: Rows) => ({ ...rows, columns: { ...rows.columns, ...columns } })
    await expect(write(temporaryFolder(), broken)).rejects.toThrow(message)
  })
})
