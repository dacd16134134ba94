import * as tf from '@tensorflow/tfjs-core'
import { mixWithLabels } from '../losses.js'
import type { Method } from '../method.js'

/**
 * Total variation distance (Wen et al. 2023, section 3.4): (1-α)·CE(label) + α·T·½·Σ|p - q|. T, and the factor T
 * since the gradient falls as 1/T, are decant's own.
 */
export const tvd: Method = {
  name: 'tvd',
  needs: { teacher: 'buckets', labels: false },
  parameters: { temperature: 4, alpha: 0.9 },
  shares: true,
  loss: (inputs) =>
    mixWithLabels(inputs, ({ teacher, studentLogits, temperature }) => {
      const { teacher: logP, student: logQ } = teacher.logProbs(studentLogits, temperature)
      const apart = tf.sub(tf.exp(logQ), tf.exp(logP))
      // sign(x)·x for |x|, whose gradient in tfjs is not 0 at 0.
      return tf.mul(tf.div(temperature, 2), tf.sum(tf.mul(tf.sign(apart), apart), -1))
    }),
}
