import * as tf from '@tensorflow/tfjs-core'
import type { LossInputs } from './method.js'

/**
 * log softmax(z/T) of each row, [B, C]. The row's top logit is subtracted before the division, where float32 loses least,
 * so any logits are safe: nothing overflows, and log p stays finite where p underflows.
 */
export function logSoftmax(logits: tf.Tensor2D, temperature: tf.Scalar): tf.Tensor2D {
  // A gradient of its own: (dy - softmax·Σdy)/T, instead of one through max, exp, sum and log.
  return tf.customGrad((z, save) => {
    const scaled = tf.div(tf.sub(z as tf.Tensor, tf.max(z as tf.Tensor, -1, true)), temperature)
    const value = tf.sub(scaled, tf.log(tf.sum(tf.exp(scaled), -1, true)))
    ;(save as tf.GradSaveFunc)([value, temperature])
    const gradFunc = (dy: tf.Tensor, saved: tf.Tensor[]) =>
      tf.div(tf.sub(dy, tf.mul(tf.exp(saved[0]!), tf.sum(dy, -1, true))), saved[1]!)
    return { value, gradFunc }
  })(logits) as tf.Tensor2D
}

// 1/2!, 1/3!, … 1/8!
const coefficients = Array.from(
  { length: 7 },
  (_, k) => 1 / Array.from({ length: k + 2 }, (_, i) => i + 1).reduce((a, b) => a * b),
)

/**
 * KL(p ‖ q) of each row in nats, [B], from log-probabilities [B, m]. The gradient flows to log q alone, as -p.
 *
 * Each term is p·log(p/q) + q - p: their sum is the same, since Σ q = Σ p, but they are all positive. At high temperatures p and q are
 * close, and Σ p·log(p/q) in float32 would be what rounding leaves of terms that cancel. With r = log(q/p) a term is p(eʳ - 1 - r), for
 * small r from its series.
 */
export function divergence(logP: tf.Tensor2D, logQ: tf.Tensor2D): tf.Tensor1D {
  return tf.customGrad((x, save) => {
    const p = tf.exp(logP)
    const r = tf.sub(x as tf.Tensor, logP)
    const series = coefficients.reduceRight<tf.Tensor>((sum, c) => tf.add(tf.mul(sum, r), c), tf.scalar(0))
    const near = tf.mul(p, tf.mul(tf.square(r), series))
    const far = tf.sub(tf.sub(tf.exp(x as tf.Tensor), p), tf.mul(p, r))
    ;(save as tf.GradSaveFunc)([p])
    const value = tf.sum(tf.where(tf.less(tf.abs(r), 0.5), near, far), -1)
    const gradFunc = (dy: tf.Tensor, saved: tf.Tensor[]) => tf.neg(tf.mul(tf.expandDims(dy, -1), saved[0]!))
    return { value, gradFunc }
  })(logQ) as tf.Tensor1D
}

/** -log softmax(s)[label] of each row in nats, [B]; 0 where the label is -1. */
export function crossEntropy(student: tf.Tensor2D, labels: tf.Tensor1D): tf.Tensor1D {
  const classes = tf.range(0, student.shape[1], 1, 'int32')
  // Compared with every class instead of oneHot, for which -1 is an index from the end in some runtimes.
  const hot = tf.cast(tf.equal(tf.expandDims(labels, 1), classes), 'float32')
  return tf.sum(tf.mul(hot, tf.neg(logSoftmax(student, tf.scalar(1)))), -1)
}

/** (1-α)·CE + α·term over the rows of a batch, where `term` gives the teacher's part of each row, [B]. */
export function mixWithLabels(inputs: LossInputs, term: (inputs: LossInputs) => tf.Tensor): tf.Scalar {
  const { studentLogits, labels, weights, alpha } = inputs
  const hard = tf.mul(tf.sub(1, alpha), crossEntropy(studentLogits, labels))
  return weightedMean(tf.add(tf.mul(alpha, term(inputs)), hard) as tf.Tensor1D, weights)
}

/** Σ w·x / Σ w over the rows of a batch. */
export function weightedMean(rows: tf.Tensor1D, weights: tf.Tensor1D): tf.Scalar {
  return tf.div(tf.sum(tf.mul(rows, weights)), tf.sum(weights))
}
