import * as tf from '@tensorflow/tfjs-core'
import { MASKED_GAP } from '../cache/index.js'
import type { LossInputs } from './method.js'
import { ownGradient, sumTo } from './own-gradient.js'
import type { Decoupled } from './targets.js'

/**
 * log softmax(z/T) of each row, [B, C]. The row's top logit is subtracted before the division, where float32 loses least,
 * so any logits are safe: nothing overflows, and log p stays finite where p underflows. T is one for all rows, [], or of each row, [B, 1];
 * the gradient flows to both.
 */
export function logSoftmax(logits: tf.Tensor2D, temperature: tf.Tensor): tf.Tensor2D {
  return ownGradient<tf.Tensor2D>(
    [logits, temperature],
    (z, T) => {
      const scaled = tf.div(tf.sub(z!, tf.max(z!, -1, true)), T!)
      const value = tf.sub<tf.Tensor2D>(scaled, tf.log(tf.sum(tf.exp(scaled), -1, true)))
      return { value, saved: [scaled, value, T!] }
    },
    (dy, [scaled, value, T]) => {
      const toLogits = tf.div(tf.sub(dy, tf.mul(tf.exp(value!), tf.sum(dy, -1, true))), T!)
      // log p depends on z/T alone, and not on what is added to z.
      return [toLogits, sumTo(tf.neg(tf.mul(toLogits, scaled!)), T!.shape)]
    },
  )
}

// 1/2!, 1/3!, … 1/8!
const coefficients = Array.from(
  { length: 7 },
  (_, k) => 1 / Array.from({ length: k + 2 }, (_, i) => i + 1).reduce((a, b) => a * b),
)

/**
 * KL(p ‖ q) of each row in nats, [B], from log-probabilities [B, m]. The gradient flows to both.
 *
 * Each term is p·log(p/q) + q - p: their sum is the same, since Σ q = Σ p, but they are all positive. At high temperatures p and q are
 * close, and Σ p·log(p/q) in float32 would be what rounding leaves of terms that cancel.
 */
export function divergence(logP: tf.Tensor2D, logQ: tf.Tensor2D): tf.Tensor1D {
  return ownGradient<tf.Tensor1D>(
    [logP, logQ],
    (x, y) => {
      const [p, q, r] = [tf.exp(x!), tf.exp(y!), tf.sub(y!, x!)]
      return { value: tf.sum(divergenceTerms(p, q, r), -1), saved: [p, q, r] }
    },
    (dy, saved) => {
      const [p, q, r] = saved as [tf.Tensor, tf.Tensor, tf.Tensor]
      const each = tf.expandDims(dy, -1)
      return [tf.mul(each, tf.neg(tf.mul(p, r))), tf.mul(each, tf.sub(q, p))]
    },
  )
}

/** p(eʳ - 1 - r) with r = log(q/p), by class: from its series for small r. */
export function divergenceTerms(p: tf.Tensor, q: tf.Tensor, r: tf.Tensor): tf.Tensor {
  const series = coefficients.reduceRight<tf.Tensor>((sum, c) => tf.add(tf.mul(sum, r), c), tf.scalar(0))
  const near = tf.mul(p, tf.mul(tf.square(r), series))
  const far = tf.sub(tf.sub(q, p), tf.mul(p, r))
  return tf.where(tf.less(tf.abs(r), 0.5), near, far)
}

/** -log softmax(s)[label] of each row in nats, [B]; 0 where the label is -1. */
export function crossEntropy(student: tf.Tensor2D, labels: tf.Tensor1D): tf.Tensor1D {
  return tf.sum(tf.mul(oneHot(labels, student.shape[1]), tf.neg(logSoftmax(student, tf.scalar(1)))), -1)
}

/** float32 [B, C]: 1 at the label; a row of zeros where it is -1. */
export function oneHot(labels: tf.Tensor1D, classes: number): tf.Tensor2D {
  // Compared with every class: for tf.oneHot, -1 is an index from the end in some runtimes.
  return tf.cast(tf.equal(tf.expandDims(labels, 1), tf.range(0, classes, 1, 'int32')), 'float32')
}

/** float32 [B]: 1 where there is a label, else 0. */
export function isLabelled(labels: tf.Tensor1D): tf.Tensor1D {
  return tf.cast(tf.greaterEqual(labels, 0), 'float32')
}

/** (1-α)·CE + α·term over the rows of a batch, where `term` gives the teacher's part of each row, [B]. */
export function mixWithLabels(inputs: LossInputs, term: (inputs: LossInputs) => tf.Tensor): tf.Scalar {
  return shareWithLabels(inputs, weightedMean(term(inputs), inputs.weights))
}

/** (1-α)·CE + α·term, where `term` is the teacher's part of the whole batch, []. */
export function shareWithLabels(inputs: LossInputs, term: tf.Tensor): tf.Scalar {
  const { studentLogits, alpha } = inputs
  return tf.add(tf.mul(alpha, term), tf.mul(tf.sub(1, alpha), labelLoss(studentLogits, inputs)))
}

/** CE + α·term, where `term` is the teacher's part of the whole batch, []. */
export function addToLabels(inputs: LossInputs, term: tf.Tensor): tf.Scalar {
  return tf.add(labelLoss(inputs.studentLogits, inputs), tf.mul(inputs.alpha, term))
}

/** What `body` gives, as a constant: no gradient goes into it. What it runs is no part of the backward pass. */
export function withoutGradient<T extends tf.Tensor>(body: () => T): T {
  // tfjs records nothing inside of a customGrad: what comes out depends, for it, on the 0 alone.
  const gradFunc = (_: tf.Tensor, [zero]: tf.Tensor[]) => tf.zerosLike(zero!)
  return tf.customGrad((zero, save) => {
    ;(save as tf.GradSaveFunc)([zero as tf.Tensor])
    return { value: tf.clone(body()), gradFunc } // a clone: else it would be what `body` found, which may have a gradient
  })(tf.scalar(0)) as T
}

/** Σ w·x / Σ w over the rows of a batch. */
export function weightedMean(rows: tf.Tensor, weights: tf.Tensor1D): tf.Scalar {
  return tf.div(tf.sum(tf.mul(rows, weights)), tf.sum(weights))
}

/**
 * Σ w·x / Σ w over those rows of a batch that have a label, as PyTorch's cross_entropy has it with `ignore_index`; 0 where none has.
 * @param rows [B], finite; of those without a label any number
 */
export function labelledMean(rows: tf.Tensor, { labels, weights }: Pick<LossInputs, 'labels' | 'weights'>): tf.Scalar {
  const counted = tf.mul(weights, isLabelled(labels))
  return tf.div(tf.sum(tf.mul(rows, counted)), tf.add(tf.sum(counted), 1e-30))
}

/** The mean of the cross-entropy on the labels, in nats, over the rows that have one. */
export const labelLoss = (student: tf.Tensor2D, of: Pick<LossInputs, 'labels' | 'weights'>): tf.Scalar =>
  labelledMean(crossEntropy(student, of.labels), of)

/** A logit that no softmax sees. */
export const ABSENT = -1e30

/** The logits, in which the label's class, `hot` [B, C], has no probability. */
export const withoutLabel = (logits: tf.Tensor2D, hot: tf.Tensor2D): tf.Tensor2D =>
  tf.where(tf.equal(hot, 1), tf.fill(logits.shape, ABSENT), logits)

/** log b [B, 2] and log p̂ [B, C] of logits at T, [] or [B, 1], the label's class apart. */
export function decouple(logits: tf.Tensor2D, labels: tf.Tensor1D, temperature: tf.Tensor): Decoupled {
  const hot = oneHot(labels, logits.shape[1])
  const others = withoutLabel(logits, hot)
  const own = tf.div(tf.sum(tf.mul(hot, logits), -1, true), temperature)
  const rest = tf.logSumExp(tf.div(others, temperature), -1, true)
  return {
    binary: logSoftmax(tf.concat([own, rest] as tf.Tensor2D[], 1), tf.scalar(1)),
    others: logSoftmax(others, temperature),
  }
}

/** Logits less their mean, from the row's top down, so that equal logits have a mean without rounding. */
export function centre(logits: tf.Tensor2D): tf.Tensor2D {
  const gaps = tf.sub(logits, tf.max(logits, -1, true))
  return tf.sub(gaps, tf.mean(gaps, -1, true))
}

/**
 * The standard deviation over a row's n logits, n - 1 below, [B, 1].
 * @param present [B, C], 1 for those that count; all where it is left out
 */
export function deviationOf(logits: tf.Tensor2D, present?: tf.Tensor2D): tf.Tensor2D {
  const variance = present
    ? tf.div(squaresOf(logits, present), tf.maximum(tf.sub(tf.sum(present, -1, true), 1), 1))
    : tf.div(tf.sum(tf.square(centre(logits)), -1, true), logits.shape[1] - 1)
  return tf.sqrt(tf.add(variance, 1e-30)) // a square root has no gradient at 0
}

/** Σ (z - mean)² over the logits that are present, [B, 1]. */
function squaresOf(logits: tf.Tensor2D, present: tf.Tensor2D): tf.Tensor {
  const gaps = tf.mul(tf.sub(logits, tf.max(logits, -1, true)), present)
  const mean = tf.div(tf.sum(gaps, -1, true), tf.sum(present, -1, true))
  return tf.sum(tf.mul(tf.square(tf.sub(gaps, mean)), present), -1, true)
}

/** 1 for each logit of the teacher that is not masked, else 0, [B, C]. No gradient goes into it. */
export const presentIn = (logits: tf.Tensor2D): tf.Tensor2D =>
  withoutGradient(
    () => tf.cast(tf.less(tf.sub(tf.max(logits, -1, true), logits), MASKED_GAP), 'float32') as tf.Tensor2D,
  )

/**
 * Log-probabilities at T of teacher and student [B, m] over those classes alone that the teacher does not mask: both are softmaxes over them. For what a class that
 * only the student knows would make infinite.
 */
export function withoutMasked(
  { teacher, student }: { teacher: tf.Tensor2D; student: tf.Tensor2D },
  temperature: tf.Tensor,
): { teacher: tf.Tensor2D; student: tf.Tensor2D } {
  const present = withoutGradient(() => presentIn(tf.mul(teacher, temperature)))
  const isPresent = tf.greater(present, 0)
  const absent = tf.fill(teacher.shape, ABSENT)
  const known = (of: tf.Tensor) => tf.where(isPresent, of, absent) as tf.Tensor2D
  // Of a row without a masked class nothing is taken, so that nothing is rounded.
  const mass = tf.logSumExp(known(student), -1, true)
  const isWhole = tf.greater(tf.min(present, -1, true), 0)
  return {
    teacher: known(teacher),
    student: known(tf.sub(student, tf.where(isWhole, tf.zerosLike(mass), mass))),
  }
}
