import * as tf from '@tensorflow/tfjs-core'
import { crossEntropy, divergence, logSoftmax, weightedMean } from '../losses.js'
import type { Method } from '../method.js'

/**
 * Logit standardisation (Sun et al. 2024, algorithm 1): ce·CE(label) + α·T²·KL(Z(t) ‖ Z(s) at T), where Z(z) = (z - mean)/(std + 1e-7)
 * with the unbiased standard deviation. Defaults are the authors' for their kd.
 */
export const stdKd: Method = {
  name: 'std-kd',
  needs: { teacher: 'dense', labels: false },
  parameters: { temperature: 2, alpha: 9, ce: 0.1 },
  loss({ teacher, studentLogits, labels, weights, temperature, alpha, parameters: { ce } }) {
    const [logP, logQ] = [teacher.logits(), studentLogits].map((z) => logSoftmax(standardise(z), temperature))
    const soft = tf.mul(tf.mul(alpha, tf.square(temperature)), divergence(logP!, logQ!))
    return weightedMean(tf.add(soft, tf.mul(crossEntropy(studentLogits, labels), ce!)), weights)
  },
}

function standardise(logits: tf.Tensor2D): tf.Tensor2D {
  // From the top down, so that equal logits have a mean without rounding; and a square root has no gradient at 0.
  const gaps = tf.sub(logits, tf.max(logits, -1, true))
  const centred = tf.sub(gaps, tf.mean(gaps, -1, true))
  const variance = tf.div(tf.sum(tf.square(centred), -1, true), logits.shape[1] - 1)
  return tf.div(centred, tf.add(tf.sqrt(tf.add(variance, 1e-30)), 1e-7))
}
