import * as tf from '@tensorflow/tfjs-core'
import { labelledMean, logSoftmax, oneHot } from '../losses.js'
import type { Method } from '../method.js'

/** Label smoothing (Szegedy et al. 2016, section 7): cross-entropy with (1-ε)·y + ε/C. */
export const ls: Method = {
  name: 'ls',
  needs: { teacher: false, labels: true },
  parameters: { epsilon: 0.1 },
  loss(inputs) {
    const { studentLogits, labels } = inputs
    const { epsilon } = inputs.parameters
    const classes = studentLogits.shape[1]
    const smooth = tf.add(tf.mul(oneHot(labels, classes), 1 - epsilon!), epsilon! / classes)
    const rows = tf.neg(tf.sum(tf.mul(smooth, logSoftmax(studentLogits, tf.scalar(1))), -1))
    return labelledMean(rows, inputs)
  },
}
