import * as tf from '@tensorflow/tfjs-core'
import { addToLabels, divergence, labelledMean, logSoftmax, withoutGradient } from '../losses.js'
import type { Method } from '../method.js'

/**
 * Class-wise self-knowledge distillation (Yun et al. 2020, equation 3): CE(x) + α·T²·KL(x′ ‖ x at T), where x′ is any sample of the
 * same class and no gradient goes into what the student says of it. α is the paper's λ. A row without a label has neither term.
 */
export const csKd: Method = {
  name: 'cs-kd',
  needs: { teacher: false, labels: true, partner: 'class' },
  parameters: { temperature: 4, alpha: 1 },
  loss(inputs) {
    const { studentLogits, partner, temperature } = inputs
    const other = withoutGradient(() => partner().logits)
    const apart = divergence(logSoftmax(other, temperature), logSoftmax(studentLogits, temperature))
    return addToLabels(inputs, tf.mul(tf.square(temperature), labelledMean(apart, inputs)))
  },
}
