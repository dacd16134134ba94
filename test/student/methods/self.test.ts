import * as tf from '@tensorflow/tfjs-core'
import type { LayersModel } from '@tensorflow/tfjs-layers'
import { beforeAll, describe, expect, it } from 'vitest'
import { useBackend } from '../../../src/engine/eager.js'
import { random } from '../../../src/random.js'
import { denseTargets } from '../../../src/student/decode-targets.js'
import type { LossInputs, Method } from '../../../src/student/method.js'
import { byot } from '../../../src/student/methods/byot.js'
import { csKd } from '../../../src/student/methods/cs-kd.js'
import { ddgsd } from '../../../src/student/methods/ddgsd.js'
import { dks } from '../../../src/student/methods/dks.js'
import { frskd } from '../../../src/student/methods/frskd.js'
import { psKd } from '../../../src/student/methods/ps-kd.js'
import { slaSd } from '../../../src/student/methods/sla-sd.js'
import { teskd } from '../../../src/student/methods/teskd.js'
import { kl, logSoftmax, softmax } from './formulas.js'

// Losses over whatever students and branches give, straight from the formulas, in float64. The gradient is taken with respect to all of it.

type Given = Record<string, number[][]>
interface Case {
  method: Method
  /** What is given, and its width; the last rows pad the batch. */
  widths: Record<string, number>
  temperatures: number[]
  inputs(given: Record<string, tf.Tensor2D>): Partial<LossInputs>
  /** Where a target has no gradient, it is taken from `fixed`. */
  formula(given: Given, T: number, fixed?: Given): number
  /** What the loss has no gradient of. */
  constant: string[]
}

const [B, F, PADDING] = [5, 3, 2]
const weights = Array.from({ length: B + PADDING }, (_, i) => (i < B ? 1 : 0))
const [alpha, epoch, epochs] = [0.7, 2, 10]

const sum = (x: number[]) => x.reduce((a, b) => a + b, 0)
const mean = (rows: (i: number) => number) => sum(Array.from({ length: B }, (_, i) => rows(i))) / B
const squares = (a: number[][], b: number[][]) =>
  sum(a.slice(0, B).flatMap((x, i) => x.map((v, c) => (v - b[i]![c]!) ** 2)))

/** Stands for a branch: its outputs are given. */
const branch = (...outputs: tf.Tensor[]) =>
  ({ apply: () => (outputs.length > 1 ? outputs : outputs[0]) }) as unknown as LayersModel
/** A stage of one pixel, so that pooling is the identity. */
const stage = (features: tf.Tensor2D) => tf.expandDims(tf.expandDims(features, 1), 1) as tf.Tensor4D

/** A stage of F pixels with two channels. */
const map = (features: tf.Tensor2D) => tf.reshape(features, [-1, F, 1, 2]) as tf.Tensor4D

const labelsOf = (C: number) => [2, 0, -1, 3, 2, 1, 1].map((label) => (label < 0 ? label : label % C))

const casesOf = (C: number, labels = labelsOf(C)): Case[] => {
  const temperatures = C === 2 ? [4] : [0.5, 4, 50]
  /** What makes the mean over the rows one over those that have a label. */
  const labelled = (i: number) => (labels[i]! < 0 ? 0 : B / labels.slice(0, B).filter((label) => label >= 0).length)
  const ce = (z: number[], i: number) => (labels[i]! < 0 ? 0 : -labelled(i) * logSoftmax(z, 1)[labels[i]!]!)
  return [
    {
      method: psKd,
      widths: { z: C, past: C },
      temperatures: [1],
      inputs: ({ past }) => ({ past: past!, remember: () => {} }),
      formula({ z, past }) {
        const share = (alpha * (epoch + 1)) / epochs
        const p = past!.slice(0, B)
        return mean(
          (i) => (1 - share) * ce(z![i]!, i) - share * sum(logSoftmax(z![i]!, 1).map((l, c) => l * p[i]![c]!)),
        )
      },
      constant: [],
    },
    {
      method: csKd,
      widths: { z: C, other: C },
      temperatures,
      inputs: ({ other }) => ({ partner: () => ({ logits: other! }) as ReturnType<LossInputs['partner']> }),
      formula: ({ z, other }, T) =>
        mean((i) => {
          const apart = labelled(i) * kl(logSoftmax(other![i]!, T), logSoftmax(z![i]!, T))
          return ce(z![i]!, i) + alpha * T * T * apart
        }),
      constant: ['other'],
    },
    {
      method: { ...ddgsd, parameters: { kl: 0.8, mmd: 0.3 } },
      widths: { z: C, f: F, z2: C, f2: F },
      temperatures: [1],
      inputs: ({ z, f, z2, f2 }) => ({
        student: { logits: z!, features: f!, stages: [] },
        partner: () => ({ logits: z2!, features: f2!, stages: [] }),
      }),
      formula({ z, f, z2, f2 }) {
        const both = (i: number) => [z![i]!, z2![i]!].map((row) => logSoftmax(row, 1)) as [number[], number[]]
        const h = (x: number[][], c: number) => mean((i) => x[i]![c]!)
        return (
          mean((i) => ce(z![i]!, i) + ce(z2![i]!, i) + 0.8 * (kl(...both(i)) + kl(both(i)[1], both(i)[0]))) +
          0.3 * sum(Array.from({ length: F }, (_, c) => (h(f!, c) - h(f2!, c)) ** 2))
        )
      },
      constant: [],
    },
    {
      method: byot,
      widths: { z: C, f: F, z1: C, f1: F, z2: C, f2: F },
      temperatures,
      inputs: ({ z, f, z1, f1, z2, f2 }) => ({
        student: { logits: z!, features: f!, stages: [] },
        attached: { branches: [branch(z1!, f1!), branch(z2!, f2!)], memory: [] },
      }),
      formula({ z, f, z1, z2, f2 }, T, fixed = { z: z! }) {
        const soft = (s: number[], i: number) => -sum(logSoftmax(s, T).map((l, c) => l * softmax(fixed.z![i]!, T)[c]!))
        const shallow = (s: number[][]) => mean((i) => 0.7 * ce(s[i]!, i) + 0.3 * soft(s[i]!, i))
        return mean((i) => ce(z![i]!, i)) + shallow(z1!) + shallow(z2!) + 0.03 * Math.sqrt(squares(f2!, f!))
      },
      constant: ['f', 'f1'],
    },
    {
      // Its formula with the others given apart, which have no gradient.
      method: { ...dks, parameters: { synergy: 0.5 } },
      widths: { z: C, z1: C, z2: C },
      temperatures: [1],
      inputs: ({ z, z1, z2 }) => ({
        student: { logits: z!, features: z!, stages: [] },
        attached: { branches: [branch(z1!), branch(z2!)], memory: [] },
      }),
      formula({ z, z1, z2 }, _, fixed = { z: z!, z1: z1!, z2: z2! }) {
        const all = { z: z!, z1: z1!, z2: z2! }
        const pairs = (i: number) =>
          sum(
            Object.entries(all).flatMap(([name, x]) =>
              Object.entries(fixed)
                .filter(([other]) => other !== name)
                .map(([, y]) => kl(logSoftmax(y[i]!, 1), logSoftmax(x[i]!, 1))),
            ),
          )
        return mean((i) => sum(Object.values(all).map((x) => ce(x[i]!, i))) + 0.5 * pairs(i))
      },
      constant: [],
    },
    {
      method: { ...teskd, parameters: { ce: 0.2, kd: 0.8, hint: 0.05 } },
      widths: { z: C, f: F, z1: C, f1: F, z2: C, f2: F },
      temperatures,
      inputs: ({ z, f, z1, f1, z2, f2 }) => ({
        student: { logits: z!, features: f!, stages: [stage(f!)] },
        attached: { branches: [branch(z2!, f2!, z1!, f1!)], memory: [] },
      }),
      formula({ z, f, z1, f1, z2, f2 }, T) {
        const soft = (s: number[], i: number) => {
          const [p, q] = [softmax(z![i]!, T), logSoftmax(s, T)]
          return sum(p.map((x, c) => (x + 1e-7) * (Math.log(x + 1e-7) - q[c]!)))
        }
        const apart = (x: number[], y: number[]) => sum(x.map((a, c) => (a > 0 || y[c]! > 0 ? (a - y[c]!) ** 2 : 0)))
        const hint = sum([f1!, f2!].map((g) => B * mean((i) => apart(g[i]!, f![i]!))))
        const hard = (i: number) => sum([z!, z1!, z2!].map((x) => ce(x[i]!, i)))
        return mean((i) => 0.2 * hard(i) + 0.8 * T * T * (soft(z1![i]!, i) + soft(z2![i]!, i))) + 0.05 * hint
      },
      constant: ['f'],
    },
    {
      method: { ...slaSd, parameters: { temperature: 1, joint: 0.5 } },
      // What the student says of the images as they are, and the second classifier of each rotation.
      widths: { z: C, j0: 4 * C, j1: 4 * C, j2: 4 * C, j3: 4 * C },
      temperatures,
      inputs: ({ z, j0, j1, j2, j3 }) => ({
        input: tf.zeros([B + PADDING, 1, 1, 1]),
        run: () => ({ logits: tf.concat([z!, z!, z!, z!], 0), features: z!, stages: [] }),
        attached: { branches: [branch(tf.concat([j0!, j1!, j2!, j3!], 0))], memory: [] },
      }),
      formula(given, T, fixed = given) {
        const names = ['j0', 'j1', 'j2', 'j3']
        return mean((i) => {
          const z = given.z![i]!
          const together = z.map((_, c) => sum(names.map((name, j) => fixed[name]![i]![j * C + c]!)) / 4)
          const joint = names.map((name, j) =>
            labels[i]! < 0 ? 0 : -labelled(i) * logSoftmax(given[name]![i]!, 1)[j * C + labels[i]!]!,
          )
          return ce(z, i) + (0.5 * sum(joint)) / 4 + T * T * kl(logSoftmax(together, T), logSoftmax(z, T))
        })
      },
      constant: [],
    },
    {
      method: { ...frskd, parameters: { temperature: 4, kd: 0.7, attention: 20 } },
      widths: { z: C, f: 2 * F, zt: C, ft: 2 * F },
      temperatures,
      inputs: ({ z, f, zt, ft }) => ({
        student: { logits: z!, features: z!, stages: [map(f!)] },
        attached: { branches: [branch(zt!, map(ft!))], memory: [] },
      }),
      formula({ z, f, zt, ft }, T, fixed = { zt: zt!, ft: ft! }) {
        const attention = (x: number[]) => {
          const a = Array.from({ length: F }, (_, i) => (x[2 * i]! ** 2 + x[2 * i + 1]! ** 2) / 2)
          return a.map((v) => v / Math.sqrt(sum(a.map((w) => w * w))))
        }
        return mean((i) => {
          const [own, other] = [attention(f![i]!), attention(fixed.ft![i]!)]
          const apart = sum(own.map((v, p) => (v - other[p]!) ** 2)) / F
          const soft = kl(logSoftmax(fixed.zt![i]!, T), logSoftmax(z![i]!, T))
          return ce(z![i]!, i) + ce(zt![i]!, i) + 0.7 * T * T * soft + 20 * apart
        })
      },
      constant: ['ft'],
    },
  ]
}

/** Random rows, and with them one that is sure, of another class in each, and one of equal logits. */
function numbersOf({ method, widths }: Case): Given {
  const { normal } = random('self', 2, method.name)
  const given = Object.entries(widths).map(([name, width], k) => {
    const rows = Array.from({ length: B + PADDING }, () =>
      Array.from({ length: width }, () => Math.fround(2 * normal())),
    )
    if (!name.startsWith('f')) {
      rows[1] = rows[1]!.map((_, c) => (c === k % width ? 60 : 0))
      rows[3] = rows[3]!.map(() => 0)
    }
    return [name, name === 'past' ? rows.map((row) => softmax(row, 1).map(Math.fround)) : rows]
  })
  return Object.fromEntries(given)
}

beforeAll(() => useBackend('cpu'))

const cases = [4, 2].flatMap((C) => casesOf(C).map((each) => ({ ...each, C, name: each.method.name })))
describe.each(cases)('$name, $C classes', (each) => {
  it.each(each.temperatures)('is its formula at T = %d, value and gradient', (T) => {
    const { method, inputs, formula, constant, C } = each
    const given = numbersOf(each)
    const names = Object.keys(given)
    const loss = (...tensors: tf.Tensor[]) => {
      const parts = Object.fromEntries(names.map((name, i) => [name, tensors[i] as tf.Tensor2D]))
      return method.loss({
        studentLogits: parts.z!,
        teacher: denseTargets(parts.z!),
        labels: tf.tensor1d(labelsOf(C), 'int32'),
        weights: tf.tensor1d(weights),
        temperature: tf.scalar(T),
        alpha: tf.scalar(alpha),
        step: tf.scalar(0),
        epoch: tf.scalar(epoch),
        epochs,
        parameters: method.parameters,
        ...inputs(parts),
      } as LossInputs)
    }
    const tensors = names.map((name) => tf.tensor2d(given[name]!))
    const value = loss(...tensors).dataSync()[0]!
    const expected = formula(given, T)
    expect(Math.abs(value / expected - 1)).toBeLessThan(1e-5)

    const slope = (name: string, i: number, c: number) => {
      const at = (d: number) => {
        const moved = { ...given, [name]: given[name]!.map((row) => [...row]) }
        moved[name]![i]![c]! += d
        return formula(moved, T, given)
      }
      const h = 1e-3
      return (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h)
    }
    for (const name of names) {
      const x = tensors[names.indexOf(name)]!
      const at = (y: tf.Tensor) => loss(...tensors.map((tensor) => (tensor === x ? y : tensor))) as tf.Scalar
      if (constant.includes(name)) {
        expect(() => tf.grad(at)(x)).toThrow('Cannot compute gradient')
        continue
      }
      const found = (tf.grad(at)(x) as tf.Tensor2D).arraySync()
      const slopes = given[name]!.map((row, i) => row.map((_, c) => (i < B ? slope(name, i, c) : 0)))
      const largest = Math.max(1e-3, ...slopes.flat().map(Math.abs))
      found.forEach((row, i) => {
        row.forEach((g, c) => {
          expect(Math.abs(g - slopes[i]![c]!), `${name}[${i}][${c}]: ${g}`).toBeLessThan(2e-5 * largest)
        })
      })
    }
  })
})

it('ps-kd remembers the labels at first, then what the student said', () => {
  const C = 4
  const { past } = psKd.attach!({
    dataset: { rows: 5, classes: C, labels: Int32Array.from([0, 1, 2, 3, -1]) },
    ...{ shapes: { features: 0, stages: [] }, seed: 1, parameters: {} },
  })
  const hot = [0, 1, 2, 3, -1].map((y) => Array.from({ length: C }, (_, c) => (c === y ? 1 : 0)))
  expect([...past!]).toEqual(hot.flat())
  const z = random('ps-kd', 1)
  const logits = Array.from({ length: 3 }, () => Array.from({ length: C }, () => z.normal()))
  let said: number[][] = []
  psKd.loss({
    studentLogits: tf.tensor2d(logits),
    ...{ labels: tf.tensor1d([2, -1, 0], 'int32'), weights: tf.tensor1d([1, 1, 0]), past: tf.zeros([3, C]) },
    ...{ alpha: tf.scalar(0.8), epoch: tf.scalar(0), epochs: 3 },
    remember: (values: tf.Tensor2D) => {
      said = values.arraySync()
    },
  } as unknown as LossInputs)
  for (const [i, row] of logits.entries())
    softmax(row, 1).forEach((p, c) => {
      expect(said[i]![c]!).toBeCloseTo(p, 6)
    })
})
