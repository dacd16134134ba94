import * as tf from '@tensorflow/tfjs-core'
import { DecantError } from '../errors.js'
import { crossEntropy, softTargetLoss, weightedMean } from './losses.js'

/** One batch as a method sees it: B rows, C classes. Logits are raw (T = 1). */
export interface LossInputs {
  /** float32 [B, C], the gradient flows into these */
  studentLogits: tf.Tensor2D
  /** float32 [B, C] */
  teacherLogits: tf.Tensor2D
  /** int32 [B], -1 = no label */
  labels: tf.Tensor1D
  /** float32 [B], 0 for the rows that pad the last batch */
  weights: tf.Tensor1D
  /** float32 [] */
  temperature: tf.Scalar
  /** float32 [], the share of the teacher */
  alpha: tf.Scalar
  /** float32 [], optimizer steps taken before this one */
  step: tf.Scalar
}

/** A way to distil: a loss as tfjs code, a mean over rows in nats. */
export interface Method {
  name: string
  /** What the loss reads: a method that never looks at the teacher has no temperature and no alpha in a sweep. */
  needs: { teacher: boolean; labels: boolean }
  loss(inputs: LossInputs): tf.Scalar
}

/** Hinton et al. 2015: α·T²·KL(teacher‖student at T) + (1-α)·CE(label). α = 0 is the control. */
const kd: Method = {
  name: 'kd',
  needs: { teacher: true, labels: false },
  loss({ studentLogits, teacherLogits, labels, weights, temperature, alpha }) {
    const soft = tf.mul(alpha, softTargetLoss(studentLogits, teacherLogits, temperature))
    const hard = tf.mul(tf.sub(1, alpha), crossEntropy(studentLogits, labels))
    return weightedMean(tf.add(soft, hard), weights)
  },
}

/** Cross-entropy on the labels alone: the control. */
const ce: Method = {
  name: 'ce',
  needs: { teacher: false, labels: true },
  loss: ({ studentLogits, labels, weights }) => weightedMean(crossEntropy(studentLogits, labels), weights),
}

export const methods: readonly Method[] = [kd, ce]

export function findMethod(name: string): Method {
  const method = methods.find((method) => method.name === name)
  if (!method) throw new DecantError(`method '${name}': expected ${methods.map(({ name }) => name).join(' or ')}`)
  return method
}
