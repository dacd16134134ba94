import * as tf from '@tensorflow/tfjs-core'
import { divergence, mixWithLabels, withoutMasked } from '../losses.js'
import type { Method } from '../method.js'

/**
 * Reverse KL (Gu et al. 2024, MiniLLM, equation 2, by class instead of by sequence): (1-α)·CE(label) + α·T²·KL(student ‖ teacher at T). T and T², as in kd, are
 * decant's own. Where the teacher masks a class, both softmaxes are over the others.
 */
export const rkl: Method = {
  name: 'rkl',
  needs: { teacher: 'buckets', labels: false },
  parameters: { temperature: 4, alpha: 0.9 },
  shares: true,
  loss: (inputs) =>
    mixWithLabels(inputs, ({ teacher, studentLogits, temperature }) => {
      const logProbs = withoutMasked(teacher.logProbs(studentLogits, temperature), temperature)
      return tf.mul(tf.square(temperature), divergence(logProbs.student, logProbs.teacher))
    }),
}
