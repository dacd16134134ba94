import { describe, expect, it } from 'vitest'
import { bestRow, renderSweep } from '../../src/report/render-sweep.js'
import { type SweepRow, tabulate } from '../../src/student/sweep-table.js'
import { makeMetrics } from '../helpers/metrics.js'

const student = (method: string, temperature: number, seed: number, accuracy: number | null) => ({
  student: 'mlp:8',
  method,
  temperature,
  alpha: method === 'ce' ? 0 : 0.9,
  parameters: {},
  seed,
  metrics: makeMetrics({ accuracy, nll: accuracy, ece: accuracy, agreement: temperature / 10, kl: 0.1 }),
  history: [],
  seconds: 1,
})
const table = (accuracies: [string, number, number, number | null][]): SweepRow[] =>
  tabulate(accuracies.map((each) => student(...each)))

const labelled = table([
  ['ce', 1, 1, 0.8],
  ['ce', 1, 2, 0.82],
  ['kd', 2, 1, 0.83],
  ['kd', 2, 2, 0.85],
  ['kd', 4, 1, 0.81],
  ['kd', 4, 2, 0.8],
])

describe("a sweep's table", () => {
  const lines = renderSweep(labelled)
    .split('\n')
    .map((line) => line.trim().split(/ {2,}/))

  it('has a row a point: mean ± interval in per cent, and the signed gain over the control', () => {
    expect(lines[0]!.slice(0, 7)).toEqual([
      'student',
      'method',
      'T',
      'alpha',
      'seeds',
      'accuracy %',
      'gain over control',
    ])
    // Student's t with one degree of freedom is 12.706; the halves are 12.706·0.01, and 0 for two equal gains.
    expect(lines[1]!.slice(0, 4)).toEqual(['mlp:8', 'ce (control)', '2', '81.00 ± 12.71'])
    expect(lines[2]!.slice(0, 7)).toEqual(['mlp:8', 'kd', '2', '0.9', '2', '84.00 ± 12.71', '+3.00 ± 0.00'])
    expect(lines[3]![6]).toMatch(/^-0\.50 ± /)
  })

  it('says the temperature of a method without alpha, and neither of one that has none', () => {
    const rows = tabulate([
      { ...student('byot', 3, 1, 0.8), alpha: 0 },
      { ...student('byot', 6, 1, 0.8), alpha: 0 },
      { ...student('ls', 1, 1, 0.8), alpha: 0 },
      { ...student('logit-mse', 1, 1, 0.8), alpha: 0.9 },
    ])
    const cells = renderSweep(rows)
      .split('\n')
      .slice(1)
      .map((line) => line.trim().split(/ {2,}/).slice(1, 4))
    expect(cells).toEqual([
      ['byot', '3', '1'],
      ['byot', '6', '1'],
      ['ls', '1', '80.00'],
      ['logit-mse', '0.9', '1'],
    ])
  })

  it('leaves out what is not known, and the interval of a single seed', () => {
    const [, row] = renderSweep(table([['kd', 2, 1, null]])).split('\n')
    expect(row!.trim().split(/ {2,}/)).toEqual(['mlp:8', 'kd', '2', '0.9', '1', '20.00'])
  })
})

describe('the best row', () => {
  it('is the most accurate one that had a teacher', () => {
    expect(bestRow(labelled, 'mlp:8')).toMatchObject({ temperature: 2 })
    expect(bestRow(labelled, 'linear')).toBeUndefined()
  })

  it('goes by agreement where there are no labels', () => {
    const rows = table([
      ['kd', 2, 1, null],
      ['kd', 4, 1, null],
    ])
    expect(bestRow(rows, 'mlp:8')).toMatchObject({ temperature: 4 })
  })
})
