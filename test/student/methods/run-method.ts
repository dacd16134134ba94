import * as tf from '@tensorflow/tfjs-core'
import { type CodecName, codecOf, targetColumns } from '../../../src/cache/index.js'
import { eagerProgram } from '../../../src/engine/eager.js'
import type { Engine, InputSpec, Inputs } from '../../../src/engine/engine.js'
import { decodeTargets } from '../../../src/student/decode-targets.js'
import type { Method } from '../../../src/student/method.js'
import { inputOf, type StoredTargets, targetInputs } from '../../../src/student/targets.js'
import { beside } from './beside.js'

/** Targets as a cache of this codec holds them. */
export function encodeTargets(
  codec: CodecName,
  { teacher, labels, keys }: { teacher: number[][]; labels: number[]; keys: Uint32Array },
): StoredTargets {
  const classes = teacher[0]!.length
  const logits = Float32Array.from(teacher.flat())
  const stored = codecOf(codec).encode({ logits, classes, labels: Int32Array.from(labels), keys })
  const columns = targetColumns({ codec, classes }).map(({ name, type, width }) => ({
    ...{ name, dtype: type, width, values: stored[name]! },
  }))
  return { codec, classes, columns }
}

export interface Given {
  student: number[][]
  stored: StoredTargets
  labels: number[]
  /** default: 1 each */
  weights?: number[]
  T: number
  alpha: number
  epoch?: number
  epochs?: number
  parameters?: Record<string, number>
}

/** Value and gradient of a method's loss by the student's logits: recorded, then eager. */
export async function runMethod(engine: Engine, method: Method, given: Given) {
  const { student, stored, labels, weights, T, alpha, epoch = 0, epochs = 1, parameters = {} } = given
  const rows = student.length
  const inputs: Record<string, InputSpec> = {
    s: { shape: [rows, stored.classes], dtype: 'float32' },
    T: { shape: [], dtype: 'float32' },
    ...targetInputs(rows, stored),
  }
  const step = (fed: Record<string, tf.Tensor>) =>
    tf.valueAndGrad((z) =>
      method.loss({
        ...beside,
        studentLogits: z as tf.Tensor2D,
        teacher: decodeTargets(stored, fed),
        labels: tf.tensor1d(labels, 'int32'),
        weights: weights ? tf.tensor1d(weights) : tf.ones([rows]),
        temperature: fed.T as tf.Scalar,
        alpha: tf.scalar(alpha),
        ...{ step: tf.scalar(0), epoch: tf.scalar(epoch), epochs, parameters },
      }),
    )(fed.s!)
  const fed: Inputs = {
    s: Float32Array.from(student.flat()),
    T: Float32Array.of(T),
    ...Object.fromEntries(stored.columns.map(({ name, values }) => [inputOf(name), values])),
  }
  const programs = [await engine.compile(step, { inputs }), eagerProgram(step, { inputs, backend: 'cpu' })]
  return Promise.all(programs.map((program) => program.run(fed)))
}
