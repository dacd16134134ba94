import { beforeAll, describe, expect, it } from 'vitest'
import { type Buckets, type CodecName, codecOf, targetKind } from '../../../src/cache/index.js'
import { type Engine, openEngine } from '../../../src/engine/engine.js'
import { random } from '../../../src/random.js'
import { checkTargets } from '../../../src/student/check-targets.js'
import type { Method } from '../../../src/student/method.js'
import { kd } from '../../../src/student/methods/kd.js'
import { rsKd } from '../../../src/student/methods/rs-kd.js'
import type { StoredTargets } from '../../../src/student/targets.js'
import { kl, logSoftmax, softmax } from './formulas.js'
import { encodeTargets, runMethod } from './run-method.js'

const C = 9
/** Multiples of 1/32, whose gaps float16 keeps exactly. */
const row = (name: string, scale: number) => {
  const { normal } = random('rs-kd', name)
  return Array.from({ length: C }, () => Math.round(normal() * scale * 32) / 32)
}

const encode = (codec: CodecName, given: { teacher: number[][]; labels: number[] }): StoredTargets =>
  encodeTargets(codec, { ...given, keys: Uint32Array.from(given.teacher, random('rs-kd', 'keys').uint32) })

const bucketsOf = ({ codec, columns }: StoredTargets) =>
  codecOf(codec).decode(
    Object.fromEntries(columns.map(({ name, values }) => [name, values])),
    targetKind({ classes: C }),
  ) as Buckets

interface Fed {
  student: number[][]
  stored: StoredTargets
  labels: number[]
  weights: number[]
  T: number
  alpha: number
}

let onnx: Engine
beforeAll(async () => {
  onnx = await openEngine('onnx', { threads: 1 })
})

const run = (method: Method, given: Fed) => runMethod(onnx, method, given)

/** The loss in float64 from its formula, its gradient in closed form, and the sum of its terms' sizes. */
function formula({ student, stored, labels, weights, T, alpha }: Fed) {
  const { k, index, logits, count, logTail } = bucketsOf(stored)
  const tail = logTail(T)
  const total = weights.reduce((a, b) => a + b)
  const labelled = weights.filter((weight, r) => weight > 0 && labels[r]! >= 0).length
  let [value, size] = [0, 0]
  const gradient = student.map((s, r) => {
    if (weights[r] === 0) return s.map(() => 0)
    const slots = Array.from({ length: k }, (_, i) => ({
      class: index[r * k + i]!,
      z: logits[r * k + i]!,
      count: count![r * k + i]!,
    }))
    const top = Math.max(...slots.map(({ z }) => z))
    const raw = slots.map(({ z, count }) => count * Math.exp((z - top) / T - (z - top)))
    const sum = raw.reduce((a, b) => a + b)
    const logP = logSoftmax([...slots.map(({ z }) => z / T), tail[r]!], 1)
    const [logS, hard] = [logSoftmax(s, T), logSoftmax(s, 1)]
    const w = s.map(() => 0)
    slots.forEach((slot, i) => {
      const term = (raw[i]! / sum) * (logP[i]! - logS[slot.class]!)
      value += (alpha * T * T * term) / total
      size += Math.abs((alpha * T * T * term) / total)
      w[slot.class] = raw[i]! / sum
    })
    const label = labels[r]!
    if (label >= 0) value -= ((1 - alpha) * hard[label]!) / labelled
    return s.map((_, c) => {
      const toLabel = label < 0 ? 0 : ((1 - alpha) * (Math.exp(hard[c]!) - Number(c === label))) / labelled
      return (alpha * T * (Math.exp(logS[c]!) - w[c]!)) / total + toLabel
    })
  })
  return { value, size, gradient: gradient.flat() }
}

const teacher = Array.from({ length: 7 }, (_, i) => row(`teacher ${i}`, 3))
teacher[1] = teacher[1]!.map((_, c) => (c === 4 ? 30 : 0)) // every draw is this class
teacher[2]!.fill(1)
const student = teacher.map((_, i) => row(`student ${i}`, 2))
student[3] = teacher[3]!
const labels = [0, 4, 3, -1, 8, 1, 2]

describe.each(['sampled:1', 'sampled:4', 'sampled:200'] as const)('rs-kd on codec %s', (codec) => {
  const stored = encode(codec, { teacher, labels })
  // Padding of a sequence: nothing was said of it.
  for (const { values, width } of stored.columns) values.fill(0, 6 * width, 7 * width)
  const weights = [1, 1, 1, 1, 1, 1, 0]

  it.each([
    [0.5, 1],
    [1, 1],
    [1, 0.9],
    [2, 0.9],
    [4, 0.9],
    [20, 1],
  ])('is its formula at T = %d, alpha %d, value and gradient, traced and eager', async (T, alpha) => {
    const fed = { student, stored, labels, weights, T, alpha }
    const expected = formula(fed)
    const most = Math.max(...expected.gradient.map(Math.abs))
    for (const { value, grad } of await run(rsKd, fed)) {
      expect(Math.abs(value![0]! - expected.value)).toBeLessThan(1e-5 * expected.size)
      expected.gradient.forEach((g, i) => {
        expect(Math.abs(grad![i]! - g)).toBeLessThan(1e-5 * most)
      })
    }
  })

  it('weighs classes by count/k at T = 1, and a class that is drawn each time by 1', async () => {
    const { k, index, count } = bucketsOf(stored)
    expect(count!.subarray(k, 2 * k)).toContain(k)
    const fed = { student, stored, labels, weights, T: 1, alpha: 1 }
    for (const { grad } of await run(rsKd, fed)) {
      for (let r = 0; r < 6; r++) {
        const w = softmax(student[r]!, 1).map((s, c) => s - 6 * grad![r * C + c]!)
        const expected = w.map(() => 0)
        for (let i = 0; i < k; i++) expected[index[r * k + i]!] = count![r * k + i]! / k
        w.forEach((weight, c) => {
          expect(weight).toBeCloseTo(expected[c]!, 5)
        })
      }
    }
  })

  it('is 0 where the student is the teacher, whatever was drawn', async () => {
    const fed = { student: teacher, stored, labels, weights, T: 1, alpha: 1 }
    // As far as 16 nodes know the tail.
    for (const { value } of await run(rsKd, fed)) expect(Math.abs(value![0]!)).toBeLessThan(1e-3)
  })
})

describe('in the mean over draws at T = 1', () => {
  // So many that the mean's standard error is 0.002 in a class of probability ½, the worst one, and five of them a small part of a gradient.
  const [k, error, sigmas] = [4, 0.002, 5]
  const draws = Math.ceil(1 / (4 * k * error ** 2))
  const [z, s] = [row('mean teacher', 1.5), row('mean student', 1)]
  const p = softmax(z, 1)
  const [logP, logS] = [logSoftmax(z, 1), logSoftmax(s, 1)]
  const repeated = <A>(value: A) => Array.from({ length: draws }, () => value)
  const mean = async (method: Method) => {
    const labels = repeated(-1)
    const stored = encode(`sampled:${k}`, { teacher: repeated(z), labels })
    const [{ value, grad } = {}] = await run(method, {
      ...{ student: repeated(s), stored, labels, weights: repeated(1), T: 1, alpha: 1 },
    })
    const gradient = s.map((_, c) => {
      let sum = 0 // of a mean of rows, so that this is the mean over draws of a row's
      for (let row = 0; row < draws; row++) sum += grad![row * C + c]!
      return sum
    })
    return { value: value![0]!, gradient }
  }
  /** By how many standard errors of the mean of k·draws draws the gradient is not that of the dense KL. */
  const apart = (gradient: number[]) =>
    gradient.map((g, c) => Math.abs(g - (Math.exp(logS[c]!) - p[c]!)) / Math.sqrt((p[c]! * (1 - p[c]!)) / (k * draws)))

  it("rs-kd has the gradient and the value of all classes' KL", async () => {
    const { value, gradient } = await mean(rsKd)
    expect(Math.max(...apart(gradient))).toBeLessThan(sigmas)
    const dense = kl(logP, logS)
    const variance = p.reduce((sum, x, c) => sum + x * (logP[c]! - logS[c]! - dense) ** 2, 0)
    expect(Math.abs(value - dense)).toBeLessThan(sigmas * Math.sqrt(variance / (k * draws)))
  })

  it('kd over the buckets of the same draws has another one', async () => {
    expect(Math.max(...apart((await mean(kd)).gradient))).toBeGreaterThan(2 * sigmas)
  })
})

describe('rs-kd is refused', () => {
  const check = (codec: CodecName, temperature = 1) => {
    const dataset = {
      ...{ targets: encode(codec, { teacher, labels }), labels: Int32Array.from(labels), lengths: null },
      ...{ samples: Int32Array.from(labels.keys()), input: { kind: 'image' as const, shape: [2, 3, 1] } },
    }
    checkTargets(rsKd, dataset, { temperature })
  }

  it('where nothing was drawn, with what to do', () => {
    expect(() => check('sampled:4')).not.toThrow()
    expect(() => check('f16')).toThrow(
      "method 'rs-kd' reads how often each class was drawn, which codec f16 does not say: convert the targets with --codec sampled:50, or take method kd",
    )
    expect(() => check('topk:4')).toThrow('export again with --codec sampled:50, or take method kd')
  })

  it('at a temperature at which the tail is not known', () => {
    expect(() => check('sampled:4', 30)).toThrow('knows what it left out from T = 0.5 to 20')
  })
})
