import * as tf from '@tensorflow/tfjs-core'
import { beforeAll, describe, expect, it } from 'vitest'
import { useBackend } from '../../src/engine/eager.js'
import { random } from '../../src/random.js'
import { denseTargets } from '../../src/student/decode-targets.js'
import { crossEntropy, divergence } from '../../src/student/losses.js'
import { kd } from '../../src/student/methods/kd.js'
import { beside } from './methods/beside.js'

// Straight from the formulas, in float64.
const softmax = (z: number[], T: number) => {
  const top = Math.max(...z)
  const e = z.map((x) => Math.exp((x - top) / T))
  const sum = e.reduce((a, b) => a + b)
  return e.map((x) => x / sum)
}
const logSoftmax = (z: number[], T: number) => {
  const top = Math.max(...z)
  const log = Math.log(z.reduce((sum, x) => sum + Math.exp((x - top) / T), 0))
  return z.map((x) => (x - top) / T - log)
}
const soft = (s: number[], t: number[], T: number) => {
  const [p, logP, logQ] = [softmax(t, T), logSoftmax(t, T), logSoftmax(s, T)]
  return T * T * p.reduce((sum, pc, c) => sum + pc * (logP[c]! - logQ[c]!), 0)
}
const hard = (s: number[], label: number) => (label < 0 ? 0 : -logSoftmax(s, 1)[label]!)

const rowsOf = (seed: number, options: { rows: number; classes: number; scale: number }) => {
  const { normal } = random(seed, 'logits')
  return Array.from({ length: options.rows }, () =>
    Array.from({ length: options.classes }, () => Math.fround(normal() * options.scale)),
  )
}
const relative = (found: number, expected: number) => Math.abs(found - expected) / Math.abs(expected)

describe.each(['cpu', 'wasm'])('losses on %s', (backend) => {
  beforeAll(() => useBackend(backend))

  const lossOf = (s: number[][], t: number[][], labels: number[], weights: number[], T: number, alpha: number) =>
    tf.tidy(() => {
      const inputs = {
        teacher: denseTargets(tf.tensor2d(t)),
        labels: tf.tensor1d(labels, 'int32'),
        weights: tf.tensor1d(weights),
        temperature: tf.scalar(T),
        alpha: tf.scalar(alpha),
        step: tf.scalar(0),
        epoch: tf.scalar(0),
        epochs: 1,
        parameters: {},
      }
      const { value, grad } = tf.valueAndGrad((z) =>
        kd.loss({ ...inputs, ...beside, studentLogits: z as tf.Tensor2D }),
      )(tf.tensor2d(s)) as unknown as { value: tf.Scalar; grad: tf.Tensor2D }
      return { value: value.dataSync()[0]!, gradient: grad.arraySync() }
    })

  it.each([0.5, 1, 4, 20, 50])('kd at T = %d is exact to 1e-6, value and gradient', (T) => {
    const [s, t] = [rowsOf(1, { rows: 8, classes: 10, scale: 3 }), rowsOf(2, { rows: 8, classes: 10, scale: 5 })]
    const labels = [0, 1, -1, 3, 4, 9, 6, -1]
    const weights = [1, 1, 1, 1, 0, 1, 1, 0]
    const alpha = 0.7
    const total = weights.reduce((a, b) => a + b)
    const labelled = weights.filter((weight, i) => weight > 0 && labels[i]! >= 0).length
    const expected = s.reduce(
      (sum, row, i) =>
        sum + weights[i]! * ((alpha * soft(row, t[i]!, T)) / total + ((1 - alpha) * hard(row, labels[i]!)) / labelled),
      0,
    )
    const { value, gradient } = lossOf(s, t, labels, weights, T, alpha)
    expect(relative(value, expected)).toBeLessThan(1e-6)
    s.forEach((row, i) => {
      const [p, q, q1] = [softmax(t[i]!, T), softmax(row, T), softmax(row, 1)]
      row.forEach((_, c) => {
        const hot = labels[i] === c ? 1 : 0
        const ce = labels[i]! < 0 ? 0 : q1[c]! - hot
        const g = weights[i]! * ((alpha * T * (q[c]! - p[c]!)) / total + ((1 - alpha) * ce) / labelled)
        expect(Math.abs(gradient[i]![c]! - g)).toBeLessThan(1e-6 * T)
      })
    })
  })

  it('alpha = 0 is cross-entropy alone, alpha = 1 the soft targets alone', () => {
    const [s, t] = [[[1, 2, 3]], [[3, 1, 0]]]
    expect(lossOf(s, t, [2], [1], 4, 0).value).toBeCloseTo(hard(s[0]!, 2), 6)
    expect(lossOf(s, t, [2], [1], 4, 1).value).toBeCloseTo(soft(s[0]!, t[0]!, 4), 6)
  })

  it.each([
    [1, [0.2433, 0.0886, -0.3319]],
    [5, [0.3201, 0.022, -0.3421]],
    [20, [0.3304, 0.0056, -0.336]],
  ])("has Hinton's gradient for v = [1, 2, 3], z = 0 at T = %d", (T, expected) => {
    const { gradient } = lossOf([[0, 0, 0]], [[1, 2, 3]], [-1], [1], T, 1)
    expect(gradient[0]).toEqual(expected.map((g) => expect.closeTo(g, 4)))
  })

  it.each([0.5, 50])('stays finite and exact for a gap of 1e4 at T = %d', (T) => {
    const [s, t] = [[[-5e3, 5e3, 0]], [[5e3, -5e3, 1]]]
    const { value, gradient } = lossOf(s, t, [0], [1], T, 0.5)
    expect(relative(value, 0.5 * soft(s[0]!, t[0]!, T) + 0.5 * hard(s[0]!, 0))).toBeLessThan(1e-6)
    expect(gradient[0]!.every(Number.isFinite)).toBe(true)
  })

  it('is zero, with no gradient, where the student equals the teacher', () => {
    const { value, gradient } = lossOf([[1, 2, 3]], [[1, 2, 3]], [-1], [1], 4, 1)
    expect(value).toBe(0)
    for (const g of gradient[0]!) expect(Math.abs(g)).toBeLessThan(1e-6)
  })

  it('gives no cross-entropy to a row without a label', () => {
    tf.tidy(() => {
      const rows = crossEntropy(
        tf.tensor2d([
          [1, 2],
          [3, 4],
        ]),
        tf.tensor1d([-1, 1], 'int32'),
      ).arraySync()
      expect(rows[0]).toBeCloseTo(0, 12)
      expect(rows[1]).toBeCloseTo(hard([3, 4], 1), 6)
    })
  })

  it('does not change when a constant is added to all logits of a row', () => {
    tf.tidy(() => {
      const teacher = denseTargets(tf.tensor2d([[4, 1]]))
      const at = (shift: number) => {
        const { teacher: logP, student: logQ } = teacher.logProbs(tf.tensor2d([[1 + shift, 2 + shift]]), tf.scalar(2))
        return divergence(logP, logQ).arraySync()[0]!
      }
      expect(at(4096)).toBe(at(0))
    })
  })
})
