import * as tf from '@tensorflow/tfjs-core'
import { beforeAll, describe, expect, it } from 'vitest'
import { eagerProgram } from '../../../src/engine/eager.js'
import { type Engine, type Inputs, openEngine, type Program } from '../../../src/engine/engine.js'
import { random } from '../../../src/random.js'
import { denseTargets } from '../../../src/student/decode-targets.js'
import { type Method, methods } from '../../../src/student/method.js'
import { beside } from './beside.js'
import { type Batch, derivative, formulas, gradientOf } from './formulas.js'

const numbersOf = (seed: string, { rows, classes, scale }: { rows: number; classes: number; scale: number }) => {
  const { normal } = random('methods', seed)
  return Array.from({ length: rows }, () => Array.from({ length: classes }, () => Math.fround(normal() * scale)))
}

/** Those that divide by a deviation, with the papers' epsilon: equal logits of the student are where their gradients are steepest. */
const divides = new Set(['dist', 'std-kd'])

/** Random rows, and with them: a teacher that is sure, a teacher and a student that prefer nothing, a row without label, one of padding. */
function makeBatch(classes: number, { name }: Method) {
  const [s, t] = [1.5, 4].map((scale) => numbersOf(`${classes} ${scale}`, { rows: 8, classes, scale }))
  t![1] = t![1]!.map((_, c) => (c === 1 ? 60 : 0))
  t![2] = t![2]!.map(() => 3)
  if (!divides.has(name)) s![3] = s![3]!.map(() => 0)
  if (name !== 'tvd') t![4] = s![4]!
  const labels = [0, 1, 0, 1, 1, -1, 1, 0]
  return { s: s!, t: t!, labels, weights: [1, 1, 1, 1, 1, 1, 1, 0] }
}

const learnsT = ({ parameters }: Method) => 'temperature' in parameters

/** Value and gradients of a method as a step: by the student's logits, and by the temperature that another method may learn. */
function compile(method: Method, classes: number, parameters: Record<string, number>) {
  const [rows, scalar] = [8, { shape: [], dtype: 'float32' as const }]
  const inputs = {
    s: { shape: [rows, classes], dtype: 'float32' as const },
    t: { shape: [rows, classes], dtype: 'float32' as const },
    labels: { shape: [rows], dtype: 'int32' as const },
    weights: { shape: [rows], dtype: 'float32' as const },
    ...{ temperature: scalar, alpha: scalar, epoch: scalar },
  }
  const step = ({ s, t, labels, weights, temperature, alpha, epoch }: Record<string, tf.Tensor>) => {
    const loss = (z: tf.Tensor, T = temperature!) =>
      method.loss({
        ...beside,
        studentLogits: z as tf.Tensor2D,
        teacher: denseTargets(t as tf.Tensor2D),
        labels: labels as tf.Tensor1D,
        weights: weights as tf.Tensor1D,
        temperature: T as tf.Scalar,
        alpha: alpha as tf.Scalar,
        step: tf.scalar(0),
        epoch: epoch as tf.Scalar,
        epochs: 30,
        parameters,
      })
    const { value, grads } = tf.valueAndGrads(loss)(learnsT(method) ? [s!, temperature!] : [s!])
    return { value, grad: grads[0]!, ...(grads[1] && { toT: grads[1] }) }
  }
  return { inputs, step }
}

let onnx: Engine
beforeAll(async () => {
  onnx = await openEngine('onnx', { threads: 1 })
})

const variants: Record<string, Record<string, number>[]> = {
  jsd: [{ beta: 0.1 }, { beta: 0.5 }, { beta: 0 }, { beta: 1 }],
  dkd: [{}, { tckd: 2, nckd: 1, warmup: 2 }],
  dist: [{}, { square: 1, inter: 1 }],
  mlkd: [{}, { spread: 0, class: 3, batch: 0.5, ce: 1 }],
  ls: [{}, { epsilon: 0.3 }],
}
/** Those that look at nothing but logits; self.test.ts and rs-kd.long.test.ts have the others. */
const plain = methods.filter(({ attach, needs }) => !attach && !needs.partner && needs.teacher !== 'draws')
const cases = plain.flatMap((method) => (variants[method.name] ?? [{}]).map((set) => ({ method, set })))
const name = ({ method, set }: (typeof cases)[number]) => `${method.name} ${JSON.stringify(set)}`

describe.each(cases.map((each) => ({ ...each, title: name(each) })))('$title', ({ method, set }) => {
  const { temperature: _, alpha = 0, ...own } = method.parameters
  const parameters = { ...own, ...set }
  const formula = formulas[method.name]!

  describe.each([5, 2])('%d classes', (classes) => {
    const { s, t, labels, weights } = makeBatch(classes, method)
    const programs: Record<string, Program> = {}
    beforeAll(async () => {
      const { inputs, step } = compile(method, classes, parameters)
      programs.onnx = await onnx.compile(step, { inputs })
      programs.eager = eagerProgram(step, { inputs, backend: 'cpu' })
    })

    const here = <A>(x: A[]) => x.filter((_, i) => weights[i]! > 0)
    const feed = ({ s, T }: { s: number[][]; T: number }): Inputs => ({
      s: Float32Array.from(s.flat()),
      t: Float32Array.from(t.flat()),
      labels: Int32Array.from(labels),
      weights: Float32Array.from(weights),
      temperature: Float32Array.of(T),
      alpha: Float32Array.of(alpha),
      epoch: Float32Array.of(4),
    })

    it('is a number with a gradient where the student prefers nothing, or is the teacher', async () => {
      for (const program of Object.values(programs)) {
        for (const some of [s.map((row) => row.map(() => 0)), t]) {
          const { value, grad } = await program.run(feed({ s: some, T: 4 }))
          expect([...value!, ...grad!].every(Number.isFinite)).toBe(true)
        }
      }
    })

    it.each([0.5, 1, 4, 50])('is its formula at T = %d, value and gradients, traced and eager', async (T) => {
      const batch: Batch = { s: here(s), t: here(t), labels: here(labels), T, alpha, epoch: 4, parameters }
      const [value, gradient] = [formula(batch), gradientOf(formula, batch)]
      const toT = derivative((d) => formula({ ...batch, T: T + d }), 1e-3)
      for (const program of Object.values(programs)) {
        const found = await program.run(feed({ s, T }))
        expect(Math.abs(found.value![0]! - value)).toBeLessThanOrEqual(1e-5 * Math.abs(value))
        const largest = Math.max(...gradient.flat().map(Math.abs))
        // Two classes standardised are ±1/√2 whatever they were: their gradient is what rounding leaves.
        const tolerance = method.name === 'std-kd' && classes === 2 ? 1e-4 : 1e-5
        s.forEach((row, i) => {
          const expected = gradient[i] ?? row.map(() => 0)
          row.forEach((_, c) => {
            expect(Math.abs(found.grad![i * classes + c]! - expected[c]!)).toBeLessThanOrEqual(tolerance * largest)
          })
        })
        if (!learnsT(method)) continue
        // Of T² and a divergence that falls as 1/T²: the two parts nearly cancel each other.
        expect(Math.abs(found.toT![0]! - toT)).toBeLessThanOrEqual(1e-5 * (Math.abs(toT) + Math.abs(value) / T))
      }
    })
  })
})
