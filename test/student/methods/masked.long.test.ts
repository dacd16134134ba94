import { beforeAll, describe, expect, it } from 'vitest'
import type { CodecName } from '../../../src/cache/index.js'
import { type Engine, openEngine } from '../../../src/engine/engine.js'
import { random } from '../../../src/random.js'
import { findMethod } from '../../../src/student/method.js'
import { type Batch, type Formula, formulas, gradientOf, kl, logSoftmax } from './formulas.js'
import { encodeTargets, runMethod } from './run-method.js'

// Methods on a teacher that masks classes, against their formulas in float64, in which a masked class has the probability 0.

const [B, C] = [4, 5]
const numbers = (name: string, scale: number) => {
  const { normal } = random('masked', name)
  return Array.from({ length: B }, () => Array.from({ length: C }, () => Math.fround(normal() * scale)))
}
const [student, free] = [numbers('student', 2), numbers('teacher', 3)]
/** Classes that are masked in each row: some, none, all but one, others. */
const masks = [[0, 3], [], [0, 1, 2, 4], [2]]
const teacher = (mask: number) => free.map((z, i) => z.map((value, c) => (masks[i]!.includes(c) ? mask : value)))
const labels = [1, 2, 3, 4]

/** The batch without the classes that row i masks, a row at a time: nothing is left to compare where one class is. */
const byRow =
  (of: Formula): Formula =>
  (b) => {
    const left = (z: number[], i: number) => z.filter((_, c) => !masks[i]!.includes(c))
    return b.s.reduce((sum, s, i) => sum + of({ ...b, s: [left(s, i)], t: [left(b.t[i]!, i)], labels: [-1] }) / B, 0)
  }

const sum = (x: number[]) => x.reduce((a, b) => a + b, 0)
/** (z - mean)/(std + 1e-7) over the numbers that are finite. */
const standardise = (z: number[]) => {
  const known = z.filter(Number.isFinite)
  const mean = sum(known) / known.length
  const std = Math.sqrt(sum(known.map((v) => (v - mean) ** 2)) / Math.max(1, known.length - 1))
  return z.map((v) => (v - mean) / (std + 1e-7))
}

const references: Record<string, Formula> = {
  ...Object.fromEntries(['kd', 'tvd', 'mlkd', 'dist', 'cwtm'].map((name) => [name, formulas[name]!])),
  jsd: formulas.jsd!,
  rkl: byRow(formulas.rkl!),
  'logit-mse': byRow(formulas['logit-mse']!),
  'std-kd': (b) => {
    const rows = b.s.map((s, i) => kl(logSoftmax(standardise(b.t[i]!), b.T), logSoftmax(standardise(s), b.T)))
    const ce = -sum(b.s.map((s, i) => logSoftmax(s, 1)[b.labels[i]!]!)) / B
    return b.parameters.ce! * ce + (b.alpha * b.T ** 2 * sum(rows)) / B
  },
  dkd: (b) => {
    const each = (s: number[], t: number[], label: number) => {
      const others = (z: number[]) => z.filter((_, c) => c !== label)
      const pair = (z: number[]) => {
        const log = logSoftmax(z, b.T)
        return [log[label]!, Math.log(sum(others(log).map(Math.exp)))]
      }
      const rest = others(t).some(Number.isFinite) ? kl(logSoftmax(others(t), b.T), logSoftmax(others(s), b.T)) : 0
      return b.parameters.tckd! * kl(pair(t), pair(s)) + b.parameters.nckd! * rest
    }
    const ce = -sum(b.s.map((s, i) => logSoftmax(s, 1)[b.labels[i]!]!)) / B
    return ce + (b.alpha * b.T ** 2 * sum(b.s.map((s, i) => each(s, b.t[i]!, b.labels[i]!)))) / B
  },
}
/** Those whose masked classes are left out are held with the teacher's term alone: the cross-entropy is over all classes. */
const leftOut = new Set(['rkl', 'logit-mse'])

let engine: Engine
beforeAll(async () => {
  engine = await openEngine('onnx', { threads: 1 })
})

/** Of topk and sampled all classes but one are kept: their buckets are the classes. */
const codecs: CodecName[] = ['f32', 'f16', 'topk:4', 'sampled:200']

describe.each(Object.keys(references))('%s of a teacher that masks classes', (name) => {
  it.each(codecs)('is its formula on codec %s, value and gradient, traced and eager', async (codec) => {
    const method = await findMethod(name)
    if (method.needs.teacher === 'dense' && codec.includes(':')) return
    const { temperature: T = 1, alpha: usual = 0, ...own } = method.parameters
    const alpha = leftOut.has(name) ? 1 : usual
    const parameters = { ...own, ...(name === 'dkd' && { warmup: 0 }) }
    const batch: Batch = { s: student, t: teacher(Number.NEGATIVE_INFINITY), labels, T, alpha, epoch: 0, parameters }
    const [value, gradient] = [references[name]!(batch), gradientOf(references[name]!, batch)]
    const largest = Math.max(...gradient.flat().map(Math.abs))
    // f16 and the tail are halves: 2^-11 of a gap
    const tolerance = codec === 'f32' ? 2e-5 : 5e-3
    for (const mask of [Number.NEGATIVE_INFINITY, Math.fround(-3.4028234663852886e38), -1e9]) {
      const keys = Uint32Array.from({ length: B }, random('keys').uint32)
      const stored = encodeTargets(codec, { teacher: teacher(mask), labels, keys })
      for (const { value: found, grad } of await runMethod(engine, method, {
        student,
        stored,
        labels,
        T,
        alpha,
        parameters,
      })) {
        expect(Math.abs(found![0]! - value)).toBeLessThanOrEqual(tolerance * Math.abs(value))
        for (const [i, expected] of gradient.flat().entries())
          expect(Math.abs(grad![i]! - expected)).toBeLessThanOrEqual(tolerance * largest)
      }
    }
  })
})

it('reads the least number of float32 in an f32 dataset of others as masked, too', async () => {
  const method = await findMethod('std-kd')
  const t = teacher(Math.fround(-3.4028234663852886e38))
  const stored = encodeTargets('f32', { teacher: t, labels, keys: new Uint32Array(B) })
  stored.columns[0]!.values = Float32Array.from(t.flat())
  const { temperature: T = 1, alpha = 0, ...parameters } = method.parameters
  const batch: Batch = { s: student, t: teacher(Number.NEGATIVE_INFINITY), labels, T, alpha, epoch: 0, parameters }
  const expected = references['std-kd']!(batch)
  for (const { value } of await runMethod(engine, method, { student, stored, labels, T, alpha, parameters }))
    expect(Math.abs(value![0]! / expected - 1)).toBeLessThan(2e-5)
})
