import { describe, expect, it } from 'vitest'
import { planSweep } from '../../src/student/sweep-plan.js'
import { formatCsv, type SweepStudent, tabulate } from '../../src/student/sweep-table.js'
import { makeMetrics } from '../helpers/metrics.js'

const names = async (...args: Parameters<typeof planSweep>) => (await planSweep(...args)).map(({ name }) => name)
const evaluated = { evaluated: true }

describe('planSweep', () => {
  it('is every combination, the control first and once a seed', async () => {
    expect(await names({ temperature: [1, 4], alpha: [0, 0.9], seed: [1, 2] }, {}, evaluated)).toEqual([
      'mlp-128-ce-s1',
      'mlp-128-ce-s2',
      'mlp-128-kd-T1-a0.9-s1',
      'mlp-128-kd-T1-a0.9-s2',
      'mlp-128-kd-T4-a0.9-s1',
      'mlp-128-kd-T4-a0.9-s2',
    ])
  })

  it('takes ce and kd with alpha 0 for the same student', async () => {
    expect(await names({ method: ['ce', 'kd'], alpha: [0] }, {}, evaluated)).toEqual(['mlp-128-ce-s1'])
  })

  it('varies each method in what it has', async () => {
    const grid = {
      method: ['kd', 'dkd', 'ls'],
      temperature: [2, 4],
      parameters: { nckd: [2, 8], epsilon: [0.2] },
      seed: [1],
    }
    expect(await names(grid, {}, evaluated)).toEqual([
      'mlp-128-kd-T2-a0.9-s1',
      'mlp-128-kd-T4-a0.9-s1',
      'mlp-128-dkd-T2-a1-nckd2-s1',
      'mlp-128-dkd-T2-a1-s1',
      'mlp-128-dkd-T4-a1-nckd2-s1',
      'mlp-128-dkd-T4-a1-s1',
      'mlp-128-ls-epsilon0.2-s1',
    ])
  })

  it('takes alpha 0 of any method for the one control', async () => {
    expect(await names({ method: ['kd', 'dkd'], alpha: [0, 1], seed: [1] }, {}, evaluated)).toEqual([
      'mlp-128-ce-s1',
      'mlp-128-kd-T4-a1-s1',
      'mlp-128-dkd-T4-a1-s1',
    ])
  })

  it('refuses a parameter that no method of the grid has', async () => {
    await expect(planSweep({ method: ['kd', 'ls'], parameters: { nckd: [1] } }, {}, evaluated)).rejects.toThrow(
      "parameter 'nckd': no method of the grid has it (kd, ls)",
    )
  })

  it('keeps what all students have in common', async () => {
    const plan = await planSweep({ student: ['linear', 'cnn:8'] }, { epochs: 7, learningRate: 0.1 }, evaluated)
    expect(plan.map(({ config: { student, epochs, learningRate } }) => [student, epochs, learningRate])).toEqual([
      ['linear', 7, 0.1],
      ['cnn:8', 7, 0.1],
    ])
  })

  it('refuses a value before anything is trained', async () => {
    await expect(planSweep({ temperature: [1, -1] }, {}, evaluated)).rejects.toThrow(
      'temperature: expected a number above 0, found -1',
    )
  })

  it('gives modules of the same name different folders', async () => {
    const [a, b] = await names({ student: ['./a/net.ts', './a-net.ts'] }, {}, evaluated)
    expect(a).not.toBe(b)
  })
})

const student = (changes: Partial<SweepStudent>, accuracy: number | null): SweepStudent => ({
  student: 'linear',
  method: 'kd',
  temperature: 4,
  alpha: 0.9,
  parameters: {},
  seed: 1,
  history: [],
  seconds: 1,
  metrics: makeMetrics({ accuracy, nll: 1, ece: 0.1, agreement: 0.9, kl: 0.2 }),
  ...changes,
})
const control = (seed: number, accuracy: number) => student({ method: 'ce', temperature: 1, alpha: 0, seed }, accuracy)

describe('tabulate', () => {
  it('has a row a point: mean ± t·s/√n over the seeds, and the gain over the control seed by seed', () => {
    const students = [control(1, 0.5), control(2, 0.6), student({ seed: 1 }, 0.7), student({ seed: 2 }, 0.82)]
    const [first, second] = tabulate(students)
    expect(first).toMatchObject({ control: true, seeds: [1, 2], gain: {} })
    const t = 12.7062 // one degree of freedom
    expect(second!.measures.accuracy).toEqual({
      n: 2,
      mean: expect.closeTo(0.76, 12),
      half: expect.closeTo((t * 0.06 * Math.SQRT2) / Math.SQRT2, 4),
    })
    expect(second!.gain.accuracy).toEqual({ n: 2, mean: expect.closeTo(0.21, 12), half: expect.closeTo(t * 0.01, 4) })
  })

  it('leaves out students that failed, and measures that need labels where there are none', () => {
    const failed = student({ seed: 2, metrics: null, failed: 'the loss is NaN' }, null)
    const [row, ...rest] = tabulate([student({}, null), failed])
    expect(rest).toEqual([])
    expect(row!.seeds).toEqual([1])
    expect(row!.measures.accuracy).toBeUndefined()
    expect(row!.measures.agreement).toEqual({ n: 1, mean: 0.9, half: null })
  })
})

it('formatCsv quotes what needs it and leaves empty what is absent', () => {
  const failed = student({ student: 'mlp:8,8', metrics: null, failed: 'a "bad" one' }, null)
  expect(formatCsv([student({}, 0.5), failed])).toBe(
    [
      'student,method,temperature,alpha,parameters,seed,accuracy,top5,nll,ece,brier,aurc,agreement,kl,seconds,failed',
      'linear,kd,4,0.9,,1,0.5,,1,0.1,0.2,0.03,0.9,0.2,1,',
      '"mlp:8,8",kd,4,0.9,,1,,,,,,,,,1,"a ""bad"" one"',
      '',
    ].join('\r\n'),
  )
})
