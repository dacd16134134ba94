import * as tf from '@tensorflow/tfjs-core'
import { beforeAll, describe, expect, it } from 'vitest'
import { type Buckets, type CodecName, codecOf, targetColumns, targetKind } from '../../src/cache/index.js'
import { eagerProgram } from '../../src/engine/eager.js'
import { type Engine, type InputSpec, type Inputs, openEngine } from '../../src/engine/engine.js'
import { random } from '../../src/random.js'
import { decodeTargets } from '../../src/student/decode-targets.js'
import { divergence } from '../../src/student/losses.js'
import { inputOf, type StoredTargets, targetInputs } from '../../src/student/targets.js'
import { kl, logSoftmax } from './methods/formulas.js'

const [rows, classes] = [6, 13]
const numbers = (name: string, scale: number) => {
  const { normal } = random('decode', name)
  return Array.from({ length: rows }, () => Array.from({ length: classes }, () => Math.fround(normal() * scale)))
}
const [student, teacher] = [numbers('student', 2), numbers('teacher', 4)]
teacher[1]!.fill(0)
teacher[1]![7] = 30
teacher[2]!.fill(2)
student[3]!.fill(0)

function encode(codec: CodecName): StoredTargets {
  const keys = Uint32Array.from({ length: rows }, random('keys').uint32)
  const logits = Float32Array.from(teacher.flat())
  const labels = new Int32Array(rows).fill(3)
  const stored = codecOf(codec).encode({ logits, classes, labels, keys })
  return {
    codec,
    classes,
    columns: targetColumns({ codec, classes }).map(({ name, type, width }) => ({
      ...{ name, dtype: type, width, values: stored[name]! },
    })),
  }
}

/** log-probabilities over the buckets of a row, from what the codec itself gives back. */
function bucketsOf({ codec, columns }: StoredTargets, T: number) {
  const stored = Object.fromEntries(columns.map(({ name, values }) => [name, values]))
  const kept = codecOf(codec).decode(stored, targetKind({ classes }))
  if (kept instanceof Float32Array) {
    return (row: number) => ({
      teacher: logSoftmax([...kept.subarray(row * classes, (row + 1) * classes)], T),
      student: (z: number[]) => logSoftmax(z, T),
    })
  }
  const { index, logits, k, logTail } = kept as Buckets
  return (row: number) => {
    const head = [...index.subarray(row * k, (row + 1) * k)]
    const u = [...Array.from(logits.subarray(row * k, (row + 1) * k), (z) => z / T), logTail(T)[row]!]
    return {
      teacher: logSoftmax(u, 1),
      student: (z: number[]) => {
        const others = z.filter((_, c) => !head.includes(c)).map((x) => x / T)
        const most = Math.max(...others)
        const tail = most + Math.log(others.reduce((sum, x) => sum + Math.exp(x - most), 0))
        return logSoftmax([...head.map((c) => z[c]! / T), tail], 1)
      },
    }
  }
}

let onnx: Engine
beforeAll(async () => {
  onnx = await openEngine('onnx', { threads: 1 })
})

const codecs: CodecName[] = ['f32', 'f16', 'q8', 'hybrid:30', 'hybrid:38', 'topk:4', 'topk:1', 'topk:13', 'sampled:4']

describe.each(codecs)('targets of codec %s', (codec) => {
  it.each([0.5, 1, 4, 20])(
    'in a step at T = %d are what the codec decodes, and so is the gradient of their KL',
    async (T) => {
      const stored = encode(codec)
      const inputs: Record<string, InputSpec> = {
        s: { shape: [rows, classes], dtype: 'float32' },
        T: { shape: [], dtype: 'float32' },
        ...targetInputs(rows, stored),
      }
      const step = (given: Record<string, tf.Tensor>) => {
        const targets = decodeTargets(stored, given)
        const temperature = given.T as tf.Scalar
        const { value, grad } = tf.valueAndGrad((z) => {
          const logProbs = targets.logProbs(z as tf.Tensor2D, temperature)
          return tf.sum(divergence(logProbs.teacher, logProbs.student)) as tf.Scalar
        })(given.s!)
        const { teacher, student } = targets.logProbs(given.s as tf.Tensor2D, temperature)
        return { value, grad, teacher, student }
      }
      const fed: Inputs = {
        s: Float32Array.from(student.flat()),
        T: Float32Array.of(T),
        ...Object.fromEntries(stored.columns.map(({ name, values }) => [inputOf(name), values])),
      }
      const buckets = bucketsOf(stored, T)
      const loss = (s: number[][]) =>
        s.reduce((sum, z, row) => sum + kl(buckets(row).teacher, buckets(row).student(z)), 0)
      const h = 1e-3
      const gradient = student.map((row, i) =>
        row.map((_, c) => {
          const at = (d: number) => loss(student.map((r, j) => (j === i ? r.map((z, k) => (k === c ? z + d : z)) : r)))
          return (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h)
        }),
      )
      const most = Math.max(...gradient.flat().map(Math.abs))
      for (const program of [await onnx.compile(step, { inputs }), eagerProgram(step, { inputs, backend: 'cpu' })]) {
        const found = await program.run(fed)
        const m = found.teacher!.length / rows
        for (let row = 0; row < rows; row++) {
          const expected = { teacher: buckets(row).teacher, student: buckets(row).student(student[row]!) }
          for (const side of ['teacher', 'student'] as const) {
            expected[side].forEach((log, i) => {
              const off = Math.abs(found[side]![row * m + i]! - log)
              expect(off).toBeLessThan(2e-5 * Math.max(1, Math.abs(log)))
            })
          }
        }
        expect(Math.abs(found.value![0]! / loss(student) - 1)).toBeLessThan(1e-5)
        gradient.flat().forEach((g, i) => {
          expect(Math.abs(found.grad![i]! - g)).toBeLessThan(1e-5 * most)
        })
      }
    },
  )
})
