import * as tf from '@tensorflow/tfjs-core'
import { mixWithLabels, presentIn } from '../losses.js'
import type { Method } from '../method.js'

/** Regression on the logits (Ba and Caruana 2014; Kim et al. 2021, equation 5): (1-α)·CE(label) + α·mean_c (s_c - t_c)², over the classes that the teacher does not mask. */
export const logitMse: Method = {
  name: 'logit-mse',
  needs: { teacher: 'dense', labels: false },
  parameters: { alpha: 0.9 },
  shares: true,
  loss: (inputs) =>
    mixWithLabels(inputs, ({ teacher, studentLogits }) => {
      const logits = teacher.logits()
      const present = presentIn(logits)
      const squares = tf.mul(tf.square(tf.sub(studentLogits, logits)), present)
      return tf.div(tf.sum(squares, -1), tf.sum(present, -1))
    }),
}
