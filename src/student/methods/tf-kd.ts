import * as tf from '@tensorflow/tfjs-core'
import { divergence, isLabelled, logSoftmax, mixWithLabels, oneHot } from '../losses.js'
import type { Method } from '../method.js'

/**
 * Teacher-free distillation (Yuan et al. 2020, equation 8): (1-α)·CE(label) + α·KL(d at T ‖ student at T), d a teacher that is made up:
 * `correct` on the label, (1 - correct)/(C - 1) on every other class. No T², as there.
 */
export const tfKd: Method = {
  name: 'tf-kd',
  needs: { teacher: false, labels: true },
  parameters: { temperature: 20, alpha: 0.9, correct: 0.99 },
  shares: true,
  ranges: { correct: [1e-6, 1 - 1e-6] },
  loss: (inputs) =>
    mixWithLabels(inputs, ({ studentLogits, labels, temperature, parameters: { correct } }) => {
      const classes = studentLogits.shape[1]
      const [right, wrong] = [Math.log(correct!), Math.log((1 - correct!) / (classes - 1))]
      const teacher = tf.add(tf.mul(oneHot(labels, classes), right - wrong), wrong) as tf.Tensor2D
      const rows = divergence(logSoftmax(teacher, temperature), logSoftmax(studentLogits, temperature))
      return tf.mul(rows, isLabelled(labels))
    }),
}
