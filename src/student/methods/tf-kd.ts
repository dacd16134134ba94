import * as tf from '@tensorflow/tfjs-core'
import { divergence, labelledMean, logSoftmax, oneHot, shareWithLabels } from '../losses.js'
import type { Method } from '../method.js'

/**
 * Teacher-free distillation (Yuan et al. 2020, section 5.2), as in the authors' code: (1-α)·CE(label) + α·KL(d ‖ student), d a teacher
 * that is made up: the softmax of u/T, where u itself is a probability, `correct` on the label and (1 - correct)/(C - 1) elsewhere. The
 * student is at T = 1, and there is no T². (The paper writes the student at T, too.)
 */
export const tfKd: Method = {
  name: 'tf-kd',
  needs: { teacher: false, labels: true },
  parameters: { temperature: 20, alpha: 0.1, correct: 0.99 },
  shares: true,
  ranges: { correct: [0, 1] },
  loss(inputs) {
    const { studentLogits, labels, temperature } = inputs
    const { correct } = inputs.parameters
    const classes = studentLogits.shape[1]
    const wrong = (1 - correct!) / (classes - 1)
    const u = tf.add(tf.mul(oneHot(labels, classes), correct! - wrong), wrong) as tf.Tensor2D
    const rows = divergence(logSoftmax(u, temperature), logSoftmax(studentLogits, tf.scalar(1)))
    return shareWithLabels(inputs, labelledMean(rows, inputs))
  },
}
