import { expect, test } from 'vitest'
import type { Device } from '../../src/teacher/device.js'
import type { FusedModel } from '../../src/teacher/load-teacher.js'
import { sampleLogits, sampleRows } from '../../src/teacher/sample-rows.js'
import { sourceOf } from '../helpers/sources.js'

/** A row's input is its number. */
const source = () =>
  sourceOf(
    { kind: 'features', dtype: 'float32', shape: [1] },
    Float32Array.from({ length: 5000 }, (_, row) => row),
  )
const raw: FusedModel = { model: '', sessionOptions: {}, inputs: [{ name: 'features', dtype: 'float32', shape: [1] }] }

test('rows of all of the source are drawn, ascending, the same each time', async () => {
  const opened = source()
  const first = await opened.read([0, 1])
  const { inputs } = await sampleRows(opened, first, { from: 0, to: 5000 })
  expect(inputs.length).toBeGreaterThan(240) // 256 draws of 5000, some of them the same
  expect([...inputs]).toEqual([...inputs].toSorted((a, b) => a - b))
  for (const part of [0, 1, 2, 3, 4])
    expect(inputs.filter((row) => Math.floor(row / 1000) === part).length).toBeGreaterThan(25)
  expect((await sampleRows(opened, first, { from: 0, to: 5000 })).inputs).toEqual(inputs)
})

test('what cannot be read is left out; where nothing can, there are the first rows', async () => {
  const opened = source()
  const first = await opened.read([0, 1])
  const { read } = opened
  const refusing = (unreadable: (row: number) => boolean) => ({
    ...opened,
    read: async (rows: ArrayLike<number>) => {
      if (Array.from(rows).some(unreadable)) throw new Error('unreadable')
      return read(rows)
    },
  })
  const whole = await sampleRows(opened, first, { from: 0, to: 5000 })
  const some = await sampleRows(
    refusing((row) => row % 3 === 0),
    first,
    { from: 0, to: 5000 },
  )
  expect([...some.inputs]).toEqual([...whole.inputs].filter((row) => row % 3 !== 0))
  expect(
    await sampleRows(
      refusing(() => true),
      first,
      { from: 0, to: 5000 },
    ),
  ).toBe(first)
})

test('of many classes fewer rows are run, as far apart as they can be where that is asked for', async () => {
  const classes = 2 ** 18 // four rows are 2^20 values
  const ran: number[][] = []
  const device = {
    run: async ({ features }: Record<string, Float32Array>, rows: number) => {
      ran.push([...features!])
      return { rows, rowSum: new Float32Array(rows), columns: { logits: { length: rows * classes } } }
    },
  } as unknown as Device
  const batch = await source().read(Array.from({ length: 100 }, (_, i) => i))
  await sampleLogits(device, batch, { raw })
  await sampleLogits(device, batch, { raw, spread: true })
  expect(ran).toEqual([[0], [0, 1, 2, 3], [0], [0, 25, 50, 75]])
})
