import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { random } from '../../src/random.js'
import { measure } from '../../src/student/metrics.js'

const softmax = (z: number[]) => {
  const e = z.map((x) => Math.exp(x - Math.max(...z)))
  return e.map((x) => x / e.reduce((a, b) => a + b))
}
const argmax = (z: number[]) => z.indexOf(Math.max(...z))
const mean = (values: number[]) => values.reduce((a, b) => a + b, 0) / values.length

const table = (seed: number, rows: number, classes: number) => {
  const { normal } = random(seed)
  return Array.from({ length: rows }, () => Array.from({ length: classes }, () => Math.fround(3 * normal())))
}

describe('measure', () => {
  it('agrees with the definitions written out', () => {
    const [student, teacher] = [table(1, 200, 5), table(2, 200, 5)]
    const { below } = random(3)
    const labels = student.map(() => below(6) - 1) // some rows have none
    const found = measure({
      student: Float32Array.from(student.flat()),
      teacher: Float32Array.from(teacher.flat()),
      labels: Int32Array.from(labels),
      classes: 5,
    })
    const rows = student.map((z, i) => ({ p: softmax(z), t: softmax(teacher[i]!), label: labels[i]! }))
    const labelled = rows.filter(({ label }) => label >= 0)
    const bins = Array.from({ length: 15 }, (_, m) =>
      labelled.filter(({ p }) => Math.max(...p) > m / 15 && Math.max(...p) <= (m + 1) / 15),
    ).filter((bin) => bin.length > 0)
    const correct = ({ p, label }: { p: number[]; label: number }) => (argmax(p) === label ? 1 : 0)
    expect(found.rows).toBe(200)
    expect(found.labelled).toBe(labelled.length)
    expect(found.accuracy).toBeCloseTo(mean(labelled.map(correct)), 12)
    expect(found.nll).toBeCloseTo(mean(labelled.map(({ p, label }) => -Math.log(p[label]!))), 12)
    expect(found.ece).toBeCloseTo(
      bins.reduce(
        (sum, bin) =>
          sum +
          (bin.length / labelled.length) * Math.abs(mean(bin.map(correct)) - mean(bin.map(({ p }) => Math.max(...p)))),
        0,
      ),
      12,
    )
    expect(found.agreement).toBeCloseTo(mean(rows.map(({ p, t }) => (argmax(p) === argmax(t) ? 1 : 0))), 12)
    expect(found.kl).toBeCloseTo(
      mean(rows.map(({ p, t }) => t.reduce((s, tc, c) => s + tc * Math.log(tc / p[c]!), 0))),
      12,
    )
  })

  it('a student that is the teacher agrees with it everywhere, at no distance', () => {
    fc.assert(
      fc.property(fc.array(fc.float({ noNaN: true, min: -1e4, max: 1e4 }), { minLength: 3, maxLength: 3 }), (row) => {
        const z = Float32Array.from(row)
        const { agreement, kl, accuracy } = measure({ student: z, teacher: z, labels: Int32Array.of(-1), classes: 3 })
        expect([agreement, kl, accuracy]).toEqual([1, 0, null])
      }),
    )
  })

  it('stays finite for logits that are far apart', () => {
    const [student, teacher] = [Float32Array.of(1e4, 0), Float32Array.of(0, 1e4)]
    const { nll, kl } = measure({ student, teacher, labels: Int32Array.of(1), classes: 2 })
    expect([nll, kl]).toEqual([1e4, 1e4])
  })

  it('of a teacher of which some classes are known: over these and the rest together', () => {
    const [student, teacher] = [table(4, 50, 6), table(5, 50, 6)]
    const index = teacher.map((z) =>
      z
        .map((_, c) => c)
        .sort((a, b) => z[b]! - z[a]!)
        .slice(0, 2),
    )
    const rest = teacher.map((z, i) => z.filter((_, c) => !index[i]!.includes(c)))
    const found = measure({
      student: Float32Array.from(student.flat()),
      teacher: {
        k: 2,
        index: Int32Array.from(index.flat()),
        logits: Float32Array.from(index.flatMap((some, i) => some.map((c) => teacher[i]![c]!))),
        top: Float32Array.from(teacher, (z) => Math.max(...z)),
        logTail: (temperature) => rest.map((z) => Math.log(z.reduce((sum, x) => sum + Math.exp(x / temperature), 0))),
      },
      labels: new Int32Array(50).fill(-1),
      classes: 6,
    })
    const buckets = (p: number[], known: number[]) => [
      ...known.map((c) => p[c]!),
      p.reduce((sum, x, c) => (known.includes(c) ? sum : sum + x), 0),
    ]
    const kl = student.map((z, i) => {
      const [p, q] = [buckets(softmax(teacher[i]!), index[i]!), buckets(softmax(z), index[i]!)]
      return p.reduce((sum, x, m) => sum + x * Math.log(x / q[m]!), 0)
    })
    expect(found.kl).toBeCloseTo(mean(kl), 10)
    expect(found.agreement).toBeCloseTo(mean(student.map((z, i) => (argmax(z) === argmax(teacher[i]!) ? 1 : 0))), 12)
  })

  it('agrees with a sampled teacher where its top class is known: drawn, or the label', () => {
    const student = Float32Array.from([1, 0, 0, 1, 0, 0, 1, 0, 0, 0, 1, 0])
    const agreement = (row: number) =>
      measure({
        student: student.subarray(3 * row, 3 * row + 3),
        teacher: {
          k: 1,
          index: Int32Array.of(0),
          logits: Float32Array.of([5, 2, 2, 2][row]!), // of class 0, the one that was drawn; the top logit is 5
          top: [5],
          labelLogit: [[2, 2, Number.NaN, 5][row]!],
          logTail: () => [5],
        },
        labels: Int32Array.of([1, 0, -1, 1][row]!),
        classes: 3,
      }).agreement
    // drawn is the top; drawn is another class, though it is the student's; the same without a label; the label is the top
    expect([0, 1, 2, 3].map(agreement)).toEqual([1, 0, 0, 1])
  })

  it('stays finite where the student leaves less to the rest than a float64 can hold', () => {
    // teacher: log p = (-log 2, -log 2); student: log q(rest) = -1000
    const { kl } = measure({
      student: Float32Array.of(1000, 0, 0),
      teacher: { k: 1, index: Int32Array.of(0), logits: Float32Array.of(0), top: [0], logTail: () => [0] },
      labels: Int32Array.of(0),
      classes: 3,
    })
    // ½(-log 2 - 0) + ½(-log 2 - (log 2 - 1000))
    expect(kl).toBeCloseTo(500 - 1.5 * Math.log(2), 6)
  })
})
