import * as tf from '@tensorflow/tfjs-core'
import { centre, deviationOf, divergence, labelLoss, weightedMean } from '../losses.js'
import type { Method } from '../method.js'

/**
 * Logit standardisation (Sun et al. 2024, algorithm 1): ce·CE(label) + α·T²·KL(Z(t) ‖ Z(s) at T), where Z(z) = (z - mean)/(std + 1e-7)
 * with the unbiased standard deviation. Defaults are the authors' for their kd. No softmax sees the mean, and so Z(t) at T is t at
 * T·(std + 1e-7): of a bucketed cache, which keeps std, that is over its buckets.
 */
export const stdKd: Method = {
  name: 'std-kd',
  needs: { teacher: 'buckets', labels: false, statistic: 'std' },
  parameters: { temperature: 2, alpha: 9, ce: 0.1 },
  loss(inputs) {
    const { teacher, studentLogits, weights, temperature, alpha } = inputs
    const standardised = tf.div(centre(studentLogits), tf.add(deviationOf(studentLogits), 1e-7)) as tf.Tensor2D
    const own = tf.mul(temperature, tf.add(teacher.deviation(), 1e-7))
    const { teacher: logP, student: logQ } = teacher.logProbs(standardised, temperature, own)
    const soft = tf.mul(tf.mul(alpha, tf.square(temperature)), divergence(logP, logQ))
    return tf.add(weightedMean(soft, weights), tf.mul(labelLoss(studentLogits, inputs), inputs.parameters.ce!))
  },
}
