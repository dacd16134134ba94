import { beforeAll, describe, expect, it } from 'vitest'
import { type Buckets, type CodecName, codecOf, targetKind } from '../../../src/cache/index.js'
import { type Engine, openEngine } from '../../../src/engine/engine.js'
import { random } from '../../../src/random.js'
import { checkTargets } from '../../../src/student/check-targets.js'
import { type Method, methods } from '../../../src/student/method.js'
import type { StoredTargets } from '../../../src/student/targets.js'
import { type Batch, gradientOf, kl, logSoftmax } from './formulas.js'
import { encodeTargets, runMethod } from './run-method.js'

// What dkd, std-kd and cwtm are over the buckets of a top-k cache, in float64 from what the codec itself gives back.

const [B, C, EPOCH] = [6, 9, 4]
const rows = (name: string, scale: number) => {
  const { normal } = random('bucketed', name)
  return Array.from({ length: B }, () => Array.from({ length: C }, () => Math.fround(normal() * scale)))
}
const [student, teacher] = [rows('student', 2), rows('teacher', 3)]
teacher[1]!.fill(2)
/** The likeliest class, the third, one of the tail, and none. */
const labels = teacher.map((z, i) => {
  const order = z.map((_, c) => c).sort((a, b) => z[b]! - z[a]!)
  return [order[0]!, order[2]!, order[7]!, -1, order[8]!, order[4]!][i]!
})

const encode = (codec: CodecName): StoredTargets =>
  encodeTargets(codec, { teacher, labels, keys: Uint32Array.from({ length: B }, random('keys').uint32) })

const logSum = (x: number[]) => {
  const top = Math.max(...x, -1e300)
  return top + Math.log(x.reduce((sum, v) => sum + Math.exp(v - top), 0))
}

function formulasOver({ codec, columns }: StoredTargets) {
  const stored = Object.fromEntries(columns.map(({ name, values }) => [name, values]))
  const kept = codecOf(codec).decode(stored, targetKind({ classes: C })) as Buckets
  const head = (i: number) => [...kept.index.subarray(i * kept.k, (i + 1) * kept.k)]
  const known = (i: number) => Array.from(kept.logits.subarray(i * kept.k, (i + 1) * kept.k))
  /** z/T of teacher and student over the buckets of row i. */
  const teacherAt = (i: number, T: number) => [...known(i).map((z) => z / T), kept.logTail(T)[i]!]
  const studentAt = (z: number[], i: number, T: number) => [
    ...head(i).map((c) => z[c]! / T),
    logSum(z.filter((_, c) => !head(i).includes(c)).map((v) => v / T)),
  ]
  const mean = (b: Batch, each: (z: number[], i: number) => number) =>
    b.s.reduce((sum, z, i) => sum + each(z, i) / B, 0)
  /** Over the rows that have a label. */
  const labelled = (b: Batch, each: (z: number[], i: number) => number) =>
    (mean(b, (z, i) => (labels[i]! < 0 ? 0 : each(z, i))) * B) / labels.filter((label) => label >= 0).length
  const ce = (b: Batch) => labelled(b, (z, i) => -logSoftmax(z, 1)[labels[i]!]!)
  return {
    dkd: (b: Batch) => {
      const each = (z: number[], i: number) => {
        const y = labels[i]!
        const slot = head(i).indexOf(y)
        const own = kept.labelLogit![i]! / b.T
        const t = teacherAt(i, b.T)
        const others = (log: number[], own: number) =>
          slot >= 0
            ? log.toSpliced(slot, 1)
            : C - kept.k === 1
              ? log.slice(0, -1)
              : [...log.slice(0, -1), without(log, own)]
        const without = (log: number[], own: number) => log.at(-1)! + Math.log1p(-Math.exp(own - log.at(-1)!))
        const [p, q] = [others(t, own), others(studentAt(z, i, b.T), z[y]! / b.T)]
        const binary = (own: number, rest: number[]) => logSoftmax([own, logSum(rest)], 1)
        const { tckd, nckd } = b.parameters as { tckd: number; nckd: number }
        return tckd * kl(binary(own, p), binary(z[y]! / b.T, q)) + nckd * kl(logSoftmax(p, 1), logSoftmax(q, 1))
      }
      return ce(b) + b.alpha * ((EPOCH + 1) / 20) * b.T ** 2 * labelled(b, each)
    },
    'std-kd': (b: Batch) => {
      const each = (z: number[], i: number) => {
        const average = z.reduce((sum, v) => sum + v / C, 0)
        const deviation = Math.sqrt(z.reduce((sum, v) => sum + (v - average) ** 2, 0) / (C - 1))
        const standard = z.map((v) => (v - average) / (deviation + 1e-7))
        const own = b.T * (kept.std[i]! * Math.sqrt(C / (C - 1)) + 1e-7)
        const p = logSoftmax(teacherAt(i, Math.max(0.5, own)), 1)
        return kl(p, logSoftmax(studentAt(standard, i, b.T), 1))
      }
      return b.parameters.ce! * ce(b) + b.alpha * b.T ** 2 * mean(b, each)
    },
    cwtm: (b: Batch) => {
      const top = (i: number) =>
        labels[i]! < 0 ? 0 : Math.exp(Math.max(...teacher[i]!.map(Math.fround)) / b.T - logSum(teacherAt(i, b.T)))
      const total = b.s.reduce((sum, z, i) => sum - top(i) * (labels[i]! < 0 ? 0 : logSoftmax(z, 1)[labels[i]!]!), 0)
      return total / labels.reduce((sum, _, i) => sum + top(i), 0)
    },
  }
}

let onnx: Engine
beforeAll(async () => {
  onnx = await openEngine('onnx', { threads: 1 })
})

const find = (name: string) => methods.find((method) => method.name === name)!
const cases = (['dkd', 'std-kd', 'cwtm'] as const).flatMap((name) =>
  (['topk:4', 'topk:9', 'sampled:4'] as CodecName[]).map((codec) => ({ name, codec, method: find(name) })),
)

describe.each(cases)('$name on codec $codec', ({ name, codec, method }) => {
  it.each([1, 4])('is its formula over the buckets at T = %d, value and gradient, traced and eager', async (T) => {
    const stored = encode(codec)
    const { temperature: _, alpha = 0, ...parameters } = method.parameters
    const batch: Batch = { s: student, t: teacher, labels, T, alpha, epoch: EPOCH, parameters }
    const formula = formulasOver(stored)[name]
    const [value, gradient] = [formula(batch), gradientOf(formula, batch).flat()]
    const most = Math.max(...gradient.map(Math.abs))
    const given = { student, stored, labels, T, alpha, epoch: EPOCH, epochs: 30, parameters }
    for (const found of await runMethod(onnx, method, given)) {
      expect(Math.abs(found.value![0]! / value - 1)).toBeLessThan(1e-5)
      gradient.forEach((g, i) => {
        expect(Math.abs(found.grad![i]! - g)).toBeLessThan(1e-5 * most)
      })
    }
  })
})

describe('a method that reads a statistic of a top-k cache', () => {
  const check = (method: Method, stored: StoredTargets, temperature: number) =>
    checkTargets(
      method,
      {
        ...{ targets: stored, labels: Int32Array.from(labels), samples: Int32Array.from(labels.keys()), lengths: null },
        input: { kind: 'image', shape: [2, 3, 1] },
      },
      { temperature },
    )

  it('is refused at a temperature at which the codec does not know the tail of every row', () => {
    const stored = encode('topk:4')
    expect(() => check(find('std-kd'), stored, 2)).not.toThrow()
    expect(() => check(find('std-kd'), stored, 12)).toThrow(/here 2\d.* to .*: take a temperature from 0\.\d+ to \d/)
  })

  it('is refused where the cache keeps no logit of the label, as of sequences without their tokens', () => {
    const stored = encode('topk:4')
    const columns = stored.columns.filter(({ name }) => name !== 'label_logit')
    expect(() => check(find('dkd'), { ...stored, columns }, 4)).toThrow("reads the teacher's logit of the label")
    expect(() => check(find('cwtm'), { ...stored, columns }, 4)).not.toThrow()
  })

  it('is refused where it turns images that are not square', () => {
    const turns = { ...find('kd'), needs: { ...find('kd').needs, input: 'square images' as const } }
    expect(() => check(turns, encode('f32'), 4)).toThrow('expected square ones, found images of 2x3x1')
  })
})
