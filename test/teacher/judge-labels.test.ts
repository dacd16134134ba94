import { describe, expect, it } from 'vitest'
import type { LabelOutput } from '../../src/onnx/index.js'
import { judgeLabels } from '../../src/teacher/judge-labels.js'
import type { TeacherOutput } from '../../src/teacher/run-rows.js'

const label: LabelOutput = { name: 'label', dtype: 'int64', labels: undefined, orPlaces: false }

/** What a graph gives for n rows. */
const outputOf = (values: number[], rows: number): TeacherOutput => ({
  rows,
  columns: { logits: Float32Array.from(values) },
  rowSum: new Float32Array(rows),
})

/** Rows whose largest logit is that of `tops`, and what the label output says of them. */
function judge(tops: number[], said: number[], options: { classes?: number; label?: Partial<LabelOutput> } = {}) {
  const { classes = 3 } = options
  const logits = tops.flatMap((top) => Array.from({ length: classes }, (_, c) => (c === top ? 1 : -1)))
  return judgeLabels({
    ...{ file: 'teacher.onnx', output: 'scores', label: { ...label, ...options.label } },
    said: outputOf(said, said.length),
    sampled: outputOf(logits, tops.length),
  })
}
const repeat = <T>(values: T[], times: number) => Array.from({ length: times }, () => values).flat()

describe('a label output', () => {
  it('agrees with the largest logit, in its labels or in places', () => {
    const tops = repeat([0, 1, 2], 40)
    expect(judge(tops, tops)).toEqual({ rows: 120, agreement: 1, swapped: false })
    const numbers = { labels: [10, 20, 30] }
    expect(judge(tops, repeat([10, 20, 30], 40), { label: numbers })!.agreement).toBe(1)
    const texts = { dtype: 'string', labels: ['a', 'b', 'c'] }
    expect(judge(tops, tops, { label: texts })!.agreement).toBe(1)
  })

  it('may differ in one row of a hundred', () => {
    const tops = repeat([0, 1], 100)
    expect(judge(tops, tops.with(7, 2).with(8, 2))!.agreement).toBe(0.99)
    expect(() => judge(tops, tops.with(7, 2).with(8, 2).with(9, 2))).toThrow(
      "teacher.onnx: its label output 'label' is the class of the largest of 'scores' in 98.5 % of 200 sampled rows, expected 99.0 %: of one row it says 2, the largest is that of 1. Name the output that it belongs to with --output, or take the label output out of the file if it means something else",
    )
  })

  it('of two classes that agrees once the columns are swapped swaps them', () => {
    const tops = repeat([0, 1, 1], 50)
    const swapped = tops.map((top) => 1 - top)
    expect(judge(tops, swapped, { classes: 2 })).toEqual({ rows: 150, agreement: 1, swapped: true })
    const of = { labels: [-1, 1] }
    const said = swapped.map((top) => 2 * top - 1)
    expect(judge(tops, said, { classes: 2, label: of })).toEqual({ rows: 150, agreement: 1, swapped: true })
    // not of three, whatever they are called
    expect(() => judge(tops, swapped)).toThrow(/in 0\.0 % of 150 sampled rows, expected/)
  })

  it('of two classes that agrees in neither way is refused with both shares', () => {
    const said = repeat([0, 1], 50)
    expect(() =>
      judge(repeat([1, 1, 0, 1], 25), said, { classes: 2, label: { labels: ['no', 'yes'], dtype: 'string' } }),
    ).toThrow(
      'in 75.0 % of 100 sampled rows (with the two columns swapped, in 25.0 %), expected 99.0 %: of one row it says no, the largest is that of yes.',
    )
  })

  it('that gives places although it names two numbers is read so, where the graph may be such', () => {
    const [tops, two] = [repeat([0, 1], 50), { labels: [1, 2], orPlaces: true }]
    expect(judge(tops, tops, { classes: 2, label: two })).toMatchObject({ agreement: 1, swapped: false })
    expect(
      judge(
        tops,
        tops.map((top) => top + 1),
        { classes: 2, label: two },
      ),
    ).toMatchObject({ agreement: 1, swapped: false })
    expect(() => judge(tops, tops, { classes: 2, label: { labels: [1, 2] } })).toThrow(/in 0\.0 %/)
  })

  it('is not held against rows whose two largest logits are equal but for rounding', () => {
    const z = [
      [5, 5.0004, 0],
      [0, 0.0002, -3],
      [-2000, -2000.1, -3000],
      [1, 0, 0],
    ]
    const given = { file: 't', output: 'scores', label }
    expect(judgeLabels({ ...given, said: outputOf([0, 1, 1, 0], 4), sampled: outputOf(z.flat(), 4) })).toEqual({
      rows: 2,
      agreement: 1,
      swapped: false,
    })
    const equal = { ...given, said: outputOf([2], 1), sampled: outputOf([0, 0, 0], 1) }
    expect(judgeLabels(equal)).toEqual({ rows: 0, agreement: 1, swapped: false })
  })

  it('is held against every so many-th row where logits are of fewer', () => {
    const said = repeat([0, 2, 1, 2], 50) // of rows 0, 2, 4, … logits are there
    expect(judge(repeat([0, 1], 50), said)).toEqual({ rows: 100, agreement: 1, swapped: false })
  })

  it('that gives several numbers a row is none', () => {
    const two = { ...outputOf([0, 1, 1, 0], 2) }
    expect(
      judgeLabels({ file: 't', output: 'z', label, said: two, sampled: outputOf([1, 0, 0, 1], 2) }),
    ).toBeUndefined()
  })
})
