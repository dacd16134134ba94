import { describe, expect, it } from 'vitest'
import { type JudgeOptions, judgeRows } from '../../src/teacher/judge-rows.js'
import type { TeacherOutput } from '../../src/teacher/run-rows.js'

const classes = 3
/** A row's logits, as a function of the row, the rows of its call, its place in it, and how often the teacher has been called. */
type Logits = (row: number, call: { rows: readonly number[]; place: number; times: number }) => number[]

function judge(logits: Logits, options: Partial<JudgeOptions> & { millisecondsPerRow?: number } = {}) {
  const { millisecondsPerRow = 0, ...others } = options
  const calls: number[] = []
  let clock = 0
  const run = async (rows: readonly number[]): Promise<TeacherOutput> => {
    calls.push(rows.length)
    clock += rows.length * millisecondsPerRow
    const all = rows.map((row, place) => logits(row, { rows, place, times: calls.length }))
    return {
      rows: rows.length,
      columns: { logits: Float32Array.from(all.flat()) },
      rowSum: Float32Array.from(all, (z) => z.reduce((sum, value) => sum + value, 0)),
    }
  }
  const verdict = judgeRows({ rows: 100, run, tolerance: 1e-3, now: () => clock, ...others })
  return verdict.then((found) => ({ ...found, calls, milliseconds: clock }))
}
const own = (row: number) => Array.from({ length: classes }, (_, c) => Math.sin(7 * row + c))

describe('whether a row is a function of itself', () => {
  it('runs 16 rows of all the sample alone, together, again and in another order', async () => {
    const seen = new Set<number>()
    const found = await judge((row) => {
      seen.add(row)
      return own(row)
    })
    expect(found).toMatchObject({ kind: 'independent', difference: 0, rows: 16, constant: false })
    expect(Math.max(...seen)).toBeGreaterThan(90)
    expect(found.calls).toEqual([...Array(17).fill(1), 16, 16, 16])
  })

  it('finds what is taken over the batch', async () => {
    const found = await judge((row, { rows }) => {
      const mean = rows.reduce((sum, other) => sum + own(other)[0]!, 0) / rows.length
      return own(row).map((z) => z + mean)
    })
    expect(found.kind).toBe('batch')
    expect(found.difference).toBeGreaterThan(0.1)
  })

  it('finds what depends on the place in a call, though every place has its own', async () => {
    expect((await judge((row, { place }) => own(row).map((z) => z + (place === 13 ? 1 : 0)))).kind).toBe('batch')
  })

  it("finds rows that are put in each other's places", async () => {
    // as of a reshape that splits the rows of a call in another way
    const found = await judge((_, { rows, place }) => own(rows[rows.length - 1 - place]!))
    expect(found.kind).toBe('batch')
  })

  it('finds chance in a single value of a single row', async () => {
    const found = await judge((row, { place, times }) =>
      own(row).map((z, c) => (place === 9 && c === 2 ? z + times : z)),
    )
    expect(found).toMatchObject({ kind: 'chance', difference: 1 })
  })

  it('repeats equal runs where the graph may draw at random', async () => {
    // a branch that is left out in one call of ten
    const rarely: Logits = (row, { times }) => (times % 10 === 3 ? own(row + 1) : own(row))
    expect((await judge(rarely, { rows: 2 })).kind).not.toBe('independent')
    const later: Logits = (row, { rows, times }) => (rows.length > 1 && times === 23 ? own(row + 1) : own(row))
    expect((await judge(later)).kind).toBe('independent')
    expect((await judge(later, { suspect: true })).kind).toBe('chance')
  })

  it('sees that nothing is left of a row that is alone', async () => {
    const centred: Logits = (row, { rows }) =>
      own(row).map((z, c) => z - rows.reduce((sum, other) => sum + own(other)[c]!, 0) / rows.length)
    expect(await judge(centred)).toMatchObject({ kind: 'batch', constant: true })
  })
})

describe("a difference counts beyond a share of the row's largest value", () => {
  const apart =
    (z: number[], by: number): Logits =>
    (_, { rows }) =>
      rows.length > 1 ? [z[0]!, z[1]!, z[2]! + by] : z

  it.each<[string, number[], number, Partial<JudgeOptions>, string]>([
    ['1e-3 below 1', [0.1, 0.2, 0.3], 0.9e-3, {}, 'independent'],
    ['1e-3 below 1', [0.1, 0.2, 0.3], 1.2e-3, {}, 'batch'],
    ['1e-3 of 20', [-20, 2, 3], 19e-3, {}, 'independent'],
    ['1e-3 of 20', [-20, 2, 3], 21e-3, {}, 'batch'],
    ['2e-2, as of float16', [0.1, 0.2, 0.3], 19e-3, { tolerance: 2e-2 }, 'independent'],
    ['1e-3 of 3, beside a masked class', [-1e9, 2, 3], 2.9e-3, {}, 'independent'],
    ['1e-3 of 3, beside a masked class', [-1e9, 2, 3], 3.1e-3, {}, 'batch'],
    ['a class that is masked once', [1, 2, 3], -1e9, {}, 'batch'],
    ['logarithms of rounding', [0, -1, -16.6], -70, { least: Math.log(1e-4) }, 'independent'],
    ['logarithms of probabilities', [0, -1, -4], 1, { least: Math.log(1e-4) }, 'batch'],
    ['what is not finite in both', [Number.NaN, 2, 3], 0, {}, 'independent'],
    ['what is not finite in one', [1, 2, 3], Number.NaN, {}, 'batch'],
    ['what is not finite in one', [1, 2, 3], Number.POSITIVE_INFINITY, {}, 'batch'],
  ])('%s: %j and %d', async (_, z, by, options, kind) => {
    expect((await judge(apart(z, by), options)).kind).toBe(kind)
  })
})

describe('the time that it takes', () => {
  it('looks at two rows of a teacher of a second a row', async () => {
    const found = await judge(own, { millisecondsPerRow: 1000 })
    expect(found).toMatchObject({ kind: 'independent', rows: 2, seconds: 1 })
    expect(found.milliseconds).toBeLessThan(10_000)
    const suspect = await judge(own, { millisecondsPerRow: 1000, suspect: true })
    expect(suspect.milliseconds).toBeLessThan(10_000)
  })

  it('looks at as many as a second allows', async () => {
    const { rows, milliseconds } = await judge(own, { millisecondsPerRow: 40 })
    expect(rows).toBe(6)
    expect(milliseconds).toBeLessThan(1_200)
  })
})

it('fills a call of so many rows with what there is, and looks at the others alone', async () => {
  const found = await judge(own, { fixedBatch: 4 })
  expect(found).toMatchObject({ kind: 'independent', rows: 16 })
  expect(found.calls).toEqual([...Array(17).fill(1), 4, 4, 4])
  const one = await judge(() => [1, 2, 3], { fixedBatch: 1 })
  expect(one).toMatchObject({ kind: 'independent', constant: true })
  expect(Math.max(...one.calls)).toBe(1)
})
