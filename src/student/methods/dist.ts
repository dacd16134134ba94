import * as tf from '@tensorflow/tfjs-core'
import { addToLabels, weightedMean, withoutGradient } from '../losses.js'
import type { Method } from '../method.js'

/**
 * DIST (Huang et al. 2022, equations 9 to 11): CE(label) + α·[inter·(1 - mean_i ρ(s_i, t_i)) + intra·(1 - mean_c ρ(s_:c, t_:c))], ρ
 * Pearson's correlation of the softmax at T, over the classes of a row and over the rows of the batch. With `square` 1 the brackets are
 * times T², as in the authors' code.
 */
export const dist: Method = {
  name: 'dist',
  needs: { teacher: 'dense', labels: false },
  parameters: { temperature: 1, alpha: 1, inter: 2, intra: 2, square: 0 },
  loss(inputs) {
    const { teacher, studentLogits, weights, temperature, parameters } = inputs
    const { inter, intra, square } = parameters
    const logProbs = teacher.logProbs(studentLogits, temperature)
    const [s, t] = [tf.exp(logProbs.student), tf.exp(logProbs.teacher)] as [tf.Tensor, tf.Tensor]
    const byRow = weightedMean(correlation(centre(s), centre(t), -1), weights)
    // Over the rows that are there: those that pad the batch are no part of a mean or a sum.
    const present = tf.expandDims(weights, 1)
    const centred = (x: tf.Tensor) => {
      const gaps = tf.mul(below(x, 0), present)
      return tf.mul(tf.sub(gaps, tf.div(tf.sum(gaps, 0, true), tf.sum(weights))), present)
    }
    const byClass = tf.mean(correlation(centred(s), centred(t), 0))
    const term = tf.add(tf.mul(tf.sub(1, byRow), inter!), tf.mul(tf.sub(1, byClass), intra!))
    return addToLabels(inputs, square ? tf.mul(term, tf.square(temperature)) : term)
  },
}

/** Differences of numbers by so many times themselves are rounding: four units in the last place of float32. */
const ROUNDING = 2 ** -21

/**
 * x less the largest along an axis, which no correlation sees. What is equal but for rounding counts as equal, with the gradient that it has: an engine may give two
 * numbers for one logit, and what is left of them would have a correlation.
 */
const below = (x: tf.Tensor, axis: number) =>
  tf.sub(
    x,
    withoutGradient(() => {
      const top = tf.max(x, axis, true)
      return tf.where(tf.lessEqual(tf.sub(top, x), tf.mul(top, ROUNDING)), x, top)
    }),
  )

function centre(x: tf.Tensor): tf.Tensor {
  const gaps = below(x, -1)
  return tf.sub(gaps, tf.mean(gaps, -1, true))
}

/** Σxy / (‖x‖·‖y‖ + 1e-8) along an axis. */
function correlation(x: tf.Tensor, y: tf.Tensor, axis: number): tf.Tensor {
  // A square root has no gradient at 0, where all are equal.
  const norm = (v: tf.Tensor) => tf.sqrt(tf.add(tf.sum(tf.square(v), axis), 1e-30))
  return tf.div(tf.sum(tf.mul(x, y), axis), tf.add(tf.mul(norm(x), norm(y)), 1e-8))
}
