import { expect, test } from 'vitest'
import type { Chunk, ChunkOptions, Targets } from '../../src/cache/index.js'
import { createClasses } from '../../src/viewer/classes.js'
import { summarize } from '../../src/viewer/overview.js'
import { pickRows } from '../../src/viewer/pick-rows.js'
import { findSamples } from '../../src/viewer/samples.js'
import { makePlan } from '../cache/datasets.js'

// A dataset of a million rows that counts what is read of it. Row i is of class i mod 1000 / 10, and the teacher is wrong on one in 10⁴.

const ROWS = 1_000_000
const CLASSES = 100
const classOf = (row: number) => Math.floor((row % 1000) / 10)

function millionRows() {
  const read = { rows: 0 }
  const plan = makePlan({ rows: ROWS, classes: CLASSES })
  const targets = {
    dir: 'million',
    manifest: {
      ...plan,
      rows: ROWS,
      views: 1,
      shards: [{ file: '', rows: ROWS, bytes: ROWS, sha256: '' }],
    },
    classes: CLASSES,
    names: null,
    rows: ROWS,
    async *chunks({ from = 0, to = ROWS, rows = 10_000 }: ChunkOptions = {}) {
      for (let first = from; first < to; first += rows) yield chunkOf(first, Math.min(rows, to - first))
    },
  }
  const chunkOf = (first: number, rows: number): Chunk => {
    read.rows += rows
    const logits = new Float32Array(rows * CLASSES)
    for (let i = 0; i < rows; i++) {
      const wrong = (first + i) % 10_000 === 9_999
      logits[i * CLASSES + ((classOf(first + i) + Number(wrong)) % CLASSES)] = 9
    }
    const labels = Int32Array.from({ length: rows }, (_, i) => classOf(first + i))
    return { first, rows, labels, logits, columns: {}, idAt: (i: number) => String(first + i) } as unknown as Chunk
  }
  return { targets: targets as unknown as Targets, read }
}

const signal = new AbortController().signal

test('without a filter what is on the screen is read, and nothing else', async () => {
  const { targets, read } = millionRows()
  const { samples, next } = await findSamples(
    { targets, inputs: null, student: null, toText: null },
    { from: 700_000, limit: 40 },
    signal,
  )
  expect(samples.map(({ row }) => row)).toEqual(Array.from({ length: 40 }, (_, i) => 700_000 + i))
  expect(next).toBe(700_040)
  expect(read.rows).toBe(40)
})

test('a filter looks at no more than 50,000 rows for an answer, and goes on from there', async () => {
  const { targets, read } = millionRows()
  const found: number[] = []
  let answers = 0
  for (let from: number | null = 900_000; from !== null; answers++) {
    const before = read.rows
    const page = await findSamples(
      { targets, inputs: null, student: null, toText: null },
      { only: 'wrong', from, limit: 3 },
      signal,
    )
    expect(page.scanned).toBeLessThanOrEqual(50_000)
    expect(read.rows - before).toBeLessThanOrEqual(page.scanned + 3 * 1024) // the reader is ahead by two chunks
    found.push(...page.samples.map(({ row }) => row))
    from = page.next
  }
  expect(found).toEqual(Array.from({ length: 10 }, (_, i) => 909_999 + 10_000 * i))
  expect(answers).toBeGreaterThan(3)
})

test('the way back is as long', async () => {
  const { targets, read } = millionRows()
  const sources = { targets, inputs: null, student: null, toText: null }
  const last = await findSamples(sources, { before: ROWS, limit: 40 }, signal)
  expect(last.samples.map(({ row }) => row)).toEqual(Array.from({ length: 40 }, (_, i) => ROWS - 40 + i))
  expect([last.previous, last.next, read.rows]).toEqual([ROWS - 40, null, 40])
  const found: number[] = []
  for (let before: number | null = 70_000; before !== null; ) {
    const page = await findSamples(sources, { only: 'wrong', before, limit: 3 }, signal)
    expect(page.scanned).toBeLessThanOrEqual(50_000)
    found.unshift(...page.samples.map(({ row }) => row))
    before = page.previous
  }
  expect(found).toEqual(Array.from({ length: 7 }, (_, i) => 9_999 + 10_000 * i))
})

test('the overview and the classes are of rows from all over it, of a bounded number', async () => {
  const { targets, read } = millionRows()
  const { rows, softened, tally, labels } = await summarize(targets, signal, { seconds: 0.1 })
  expect(rows).toBeLessThan(20_000)
  expect(softened).toBeLessThanOrEqual(rows)
  expect(read.rows).toBe(rows)
  expect(tally!.accuracy).toBeGreaterThan(0.998)
  for (const count of labels!) expect(Math.abs(count / rows - 1 / CLASSES)).toBeLessThan(0.01)
  const classes = await createClasses({ targets, labelled: true, most: 1000, signal })()
  expect(classes.classes).toHaveLength(CLASSES)
  expect(Math.min(...classes.rows)).toBeGreaterThan(50)
  expect(Math.max(...classes.rows)).toBeLessThanOrEqual(100)
  expect(read.rows - rows).toBeLessThan(25_000)
})

test('picked rows lie one in each part of the dataset, and are the same every time', () => {
  const picked = pickRows(ROWS, 4096)
  expect(picked).toEqual(pickRows(ROWS, 4096))
  expect(picked).toHaveLength(512)
  for (const [i, { from, to }] of picked.entries()) {
    expect(to - from).toBe(8)
    expect(from).toBeGreaterThanOrEqual((i * ROWS) / 512 - 1)
    expect(to).toBeLessThanOrEqual(((i + 1) * ROWS) / 512)
  }
  expect(pickRows(10, 10)).toEqual([{ from: 0, to: 10 }])
  expect(pickRows(0, 10)).toEqual([])
})
