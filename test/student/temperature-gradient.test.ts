import * as tf from '@tensorflow/tfjs-core'
import { beforeAll, describe, expect, it } from 'vitest'
import { type Buckets, type CodecName, codecOf, targetKind } from '../../src/cache/index.js'
import { eagerProgram } from '../../src/engine/eager.js'
import { type Engine, type InputSpec, openEngine } from '../../src/engine/engine.js'
import { random } from '../../src/random.js'
import { decodeTargets } from '../../src/student/decode-targets.js'
import { inputOf, type StoredTargets, type TeacherTargets, targetInputs } from '../../src/student/targets.js'
import { logSoftmax, softmax } from './methods/formulas.js'
import { encodeTargets } from './methods/run-method.js'

// What a method may ask of the targets at a temperature that it learns: its gradients by T and by the student's logits, against differences
// in float64 of what the codec itself gives back. All numbers are summed with coefficients, so that no part of the gradient hides another.

const [B, C] = [5, 9]
const rows = (name: string, scale: number) => {
  const { normal } = random('learnt temperature', name)
  return Array.from({ length: B }, () => Array.from({ length: C }, () => Math.fround(normal() * scale)))
}
const [student, teacher] = [rows('student', 2), rows('teacher', 3)]
/** The likeliest class, the third, and some of the tail. */
const labels = teacher.map((z, i) => [...z.keys()].sort((a, b) => z[b]! - z[a]!)[[0, 2, 7, 8, 4][i]!]!)
const coefficients = Float32Array.from({ length: 3 * B * C }, random('coefficients').normal)

const encode = (codec: CodecName): StoredTargets =>
  encodeTargets(codec, { teacher, labels, keys: Uint32Array.from({ length: B }, random('keys').uint32) })

const logSum = (x: number[]) => {
  const top = Math.max(...x)
  return top + Math.log(x.reduce((sum, v) => sum + Math.exp(v - top), 0))
}

/** What the codec says of row i, in float64: z/T over the buckets, whose last is the tail where it is not a class of its own. */
function rowOf({ codec, columns }: StoredTargets, i: number) {
  const stored = Object.fromEntries(columns.map(({ name, values }) => [name, values]))
  const kept = codecOf(codec).decode(stored, targetKind({ classes: C }))
  if (kept instanceof Float32Array) {
    const logits = [...kept.subarray(i * C, (i + 1) * C)]
    const at = (z: number[], T: number) => z.map((v) => v / T)
    return {
      head: [...logits.keys()],
      teacher: (T: number) => at(logits, T),
      student: at,
      count: [],
      top: 0,
      own: logits[labels[i]!]!,
    }
  }
  const { index, logits, k, logTail, labelLogit, count } = kept as Buckets
  const of = <A extends Float32Array | Int32Array | Uint8Array>(x: A) => Array.from(x.subarray(i * k, (i + 1) * k))
  const head = of(index as Int32Array)
  return {
    head,
    teacher: (T: number) => [...of(logits).map((z) => z / T), logTail(T)[i]!],
    student: (z: number[], T: number) => [
      ...head.map((c) => z[c]! / T),
      logSum(z.filter((_, c) => !head.includes(c)).map((v) => v / T)),
    ],
    count: count ? of(count) : [],
    top: Math.max(...of(logits)),
    own: labelLogit![i]!,
  }
}
type Row = ReturnType<typeof rowOf>

/** With the label's class taken out of its bucket, and that class beside it. */
function decouple(log: number[], label: number, slot: number) {
  const rest = Math.log(Math.exp(log.at(-1)!) - Math.exp(label))
  const others = slot >= 0 ? log.toSpliced(slot, 1) : [...log.slice(0, -1), rest]
  return { binary: logSoftmax([label, logSum(others)], 1), others: softmax(others, 1) }
}

interface Question {
  asked: string
  codecs: CodecName[]
  /** [B, …] each */
  found(targets: TeacherTargets, s: tf.Tensor2D, T: tf.Tensor): tf.Tensor[]
  /** The same numbers of one row with the student's logits z. */
  expected(row: Row, z: number[], T: number, label: number): number[]
}

const questions: Question[] = [
  {
    asked: 'log-probabilities of teacher and student',
    codecs: ['f32', 'q8', 'topk:3', 'sampled:3'],
    found(targets, s, T) {
      const { teacher, student } = targets.logProbs(s, T)
      return [teacher, student]
    },
    expected: (row, z, T) => [...logSoftmax(row.teacher(T), 1), ...logSoftmax(row.student(z, T), 1)],
  },
  {
    asked: 'log-probabilities of a teacher at a temperature of its own',
    codecs: ['f32', 'topk:3'],
    found(targets, s, T) {
      const { teacher, student } = targets.logProbs(s, tf.scalar(2), T)
      return [teacher, student]
    },
    expected: (row, z, T) => [...logSoftmax(row.teacher(T), 1), ...logSoftmax(row.student(z, 2), 1)],
  },
  {
    asked: 'the largest log-probability',
    codecs: ['f32', 'topk:3'],
    found: (targets, _, T) => [tf.expandDims(targets.logTop(T), 1)],
    expected: (row, _, T) => [Math.max(...logSoftmax(row.teacher(T), 1).slice(0, row.head.length))],
  },
  {
    asked: 'the weights of the classes that were drawn',
    codecs: ['sampled:3'],
    found: (targets, _, T) => [targets.drawn(T)],
    expected({ count, teacher, top }, _, T) {
      const raw = count.map((n, j) => n * Math.exp((teacher(1)[j]! - top) * (1 / T - 1)))
      return [...raw.map((w) => w / raw.reduce((a, b) => a + b)), 0]
    },
  },
  {
    asked: "log-probabilities without the label's class, and beside it",
    codecs: ['f32', 'topk:3'],
    found(targets, s, T) {
      const { teacher, student } = targets.decouple(s, tf.tensor1d(labels, 'int32'), T)
      // Of the others their squares' sum, since the label's logarithm is -∞.
      const squares = (log: tf.Tensor) => tf.sum(tf.square(tf.exp(log)), 1, true)
      return [teacher.binary, student.binary, squares(teacher.others), squares(student.others)]
    },
    expected({ head, teacher, student, own }, z, T, label) {
      const slot = head.indexOf(label)
      const [t, s] = [decouple(teacher(T), own / T, slot), decouple(student(z, T), z[label]! / T, slot)]
      const squares = (p: number[]) => p.reduce((sum, x) => sum + x * x, 0)
      return [...t.binary, ...s.binary, squares(t.others), squares(s.others)]
    },
  },
]

/** The derivative of f by differences of fourth order, from 0 on, since a cache does not know its tail beyond the temperatures of its codec. */
const derivative = (f: (d: number) => number, h: number) =>
  (-25 * f(0) + 48 * f(h) - 36 * f(2 * h) + 16 * f(3 * h) - 3 * f(4 * h)) / (12 * h)

let onnx: Engine
beforeAll(async () => {
  onnx = await openEngine('onnx', { threads: 1 })
})

const cases = questions.flatMap((question) => question.codecs.map((codec) => ({ ...question, codec })))
const temperatures = [[[0.5]], [[4]], [[0.5], [1], [3], [7], [20]]]

describe.each(cases)('$asked, of codec $codec', ({ codec, found, expected }) => {
  it.each(temperatures)('have the gradient of differences at T = %j', async (...given) => {
    const T = given.map(([t]) => t!)
    const stored = encode(codec)
    const inputs: Record<string, InputSpec> = {
      s: { shape: [B, C], dtype: 'float32' },
      T: { shape: T.length === 1 ? [] : [B, 1], dtype: 'float32' },
      ...targetInputs(B, stored),
    }
    const step = (fed: Record<string, tf.Tensor>) => {
      const loss = (s: tf.Tensor, T: tf.Tensor) => {
        // Of what does not look at the student the gradient is 0.
        const numbers = tf.concat([...found(decodeTargets(stored, fed), s as tf.Tensor2D, T), tf.mul(s, 0)], 1)
        return tf.sum(tf.mul(numbers, tf.tensor(coefficients.subarray(0, numbers.size), numbers.shape)))
      }
      const [toStudent, toT] = tf.grads(loss as never)([fed.s!, fed.T!])
      return { toStudent: toStudent!, toT: toT! }
    }

    const ofRow = (i: number, z: number[], t: number) => {
      const numbers = [...expected(rowOf(stored, i), z, t, labels[i]!), ...z.map(() => 0)]
      return numbers.reduce((sum, x, j) => sum + coefficients[i * numbers.length + j]! * x, 0)
    }
    const at = (i: number) => T[i] ?? T[0]!
    const toT = student.map((z, i) => derivative((d) => ofRow(i, z, at(i) + d), at(i) < 10 ? 1e-3 : -1e-3))
    const toStudent = student.flatMap((z, i) =>
      z.map((_, c) => derivative((d) => ofRow(i, z.with(c, z[c]! + d), at(i)), 1e-3)),
    )
    const fed = {
      s: Float32Array.from(student.flat()),
      T: Float32Array.from(T),
      ...Object.fromEntries(stored.columns.map(({ name, values }) => [inputOf(name), values])),
    }
    for (const program of [await onnx.compile(step, { inputs }), eagerProgram(step, { inputs, backend: 'cpu' })]) {
      const gradients = await program.run(fed)
      expectClose(gradients.toT!, T.length === 1 ? [toT.reduce((a, b) => a + b)] : toT)
      expectClose(gradients.toStudent!, toStudent)
    }
  })
})

function expectClose(found: Float32Array, expected: number[]) {
  const most = Math.max(...expected.map(Math.abs))
  expect(found.length).toBe(expected.length)
  expected.forEach((x, i) => {
    expect(Math.abs(found[i]! - x)).toBeLessThanOrEqual(2e-5 * Math.max(most, 1))
  })
}
