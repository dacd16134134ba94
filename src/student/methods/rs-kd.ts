import * as tf from '@tensorflow/tfjs-core'
import { mixWithLabels } from '../losses.js'
import type { Method } from '../method.js'

/**
 * Random sampling distillation (Anshumann et al. 2025, Sparse Logit Sampling): (1-α)·CE(label) + α·T²·Σ w_i·log(p_i/s_i) over the classes
 * that were drawn, p and s softmax at T over all classes. At T = 1 w_i = count_i/k, which makes value and gradient kd's in the mean over
 * draws. The paper's -Σ w_i·log s_i has the same gradient; with log p_i, which the cache knows, it is 0 where the student is the teacher.
 */
export const rsKd: Method = {
  name: 'rs-kd',
  needs: { teacher: 'draws', labels: false },
  parameters: { temperature: 1, alpha: 0.9 },
  shares: true,
  loss: (inputs) =>
    mixWithLabels(inputs, ({ teacher, studentLogits, temperature }) => {
      // All classes are in some bucket, and so a drawn one's probability is that among all.
      const logProbs = teacher.logProbs(studentLogits, temperature)
      const terms = tf.mul(teacher.drawn(temperature), tf.sub(logProbs.teacher, logProbs.student))
      return tf.mul(tf.square(temperature), tf.sum(terms, -1))
    }),
}
