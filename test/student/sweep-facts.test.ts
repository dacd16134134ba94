import { beforeAll, describe, expect, it } from 'vitest'
import { gatherFacts } from '../../src/student/sweep-facts.js'
import { sweepFactsSchema } from '../../src/student/sweep-file.js'
import { CLASSES, type Example, labelOf, logitsOf, makeExample } from './fixtures.js'

const ROWS = 120
let example: Example
beforeAll(async () => {
  example = await makeExample(ROWS)
})

describe('gatherFacts', () => {
  it('has the mean soft target of class by class at T = 4, and the teacher on the rows that students are measured on', () => {
    const { dataset } = example
    const data = gatherFacts({ dataset, evaluation: dataset, holdout: 0, teacher: 't.onnx' })
    expect(data).toMatchObject({ rows: ROWS, classes: CLASSES, measuredOn: 'evaluation' })
    const { temperature, classes, means } = data.similarity!
    expect([temperature, classes]).toEqual([4, [0, 1, 2]])
    for (let from = 0; from < CLASSES; from++) {
      const soft = Array.from({ length: ROWS }, (_, row) => row)
        .filter((row) => labelOf(row) === from)
        .map((row) => {
          const e = logitsOf(row).map((z) => Math.exp(z / 4))
          return e.map((x) => x / e.reduce((a, b) => a + b))
        })
      for (let to = 0; to < CLASSES; to++) {
        expect(means[from]![to]).toBeCloseTo(soft.reduce((sum, p) => sum + p[to]!, 0) / soft.length, 10)
      }
    }
    const right = Array.from(
      { length: ROWS },
      (_, row) => logitsOf(row).indexOf(Math.max(...logitsOf(row))) === labelOf(row),
    )
    expect(data.teacher.metrics!.accuracy).toBeCloseTo(right.filter(Boolean).length / ROWS, 12)
    expect(sweepFactsSchema.parse(data)).toEqual(data)
  })

  it('measures the teacher on the held-out rows, or on nothing', () => {
    const { dataset } = example
    const held = gatherFacts({ dataset, holdout: 0.3, teacher: 't.onnx' })
    expect(held.measuredOn).toBe('held-out rows')
    expect(held.teacher.metrics!.rows).toBeLessThan(ROWS / 2)
    const none = gatherFacts({ dataset, holdout: 0, teacher: 't.onnx' })
    expect([none.measuredOn, none.teacher.metrics]).toEqual(['nothing', null])
  })
})
