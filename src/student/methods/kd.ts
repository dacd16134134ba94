import * as tf from '@tensorflow/tfjs-core'
import { divergence, mixWithLabels } from '../losses.js'
import type { Method } from '../method.js'

/** Hinton et al. 2015, section 2: (1-α)·CE(label) + α·T²·KL(teacher ‖ student at T). α = 0 is the control. */
export const kd: Method = {
  name: 'kd',
  needs: { teacher: 'buckets', labels: false },
  parameters: { temperature: 4, alpha: 0.9 },
  shares: true,
  loss: (inputs) =>
    mixWithLabels(inputs, ({ teacher, studentLogits, temperature }) => {
      const logProbs = teacher.logProbs(studentLogits, temperature)
      return tf.mul(tf.square(temperature), divergence(logProbs.teacher, logProbs.student))
    }),
}
