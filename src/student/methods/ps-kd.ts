import * as tf from '@tensorflow/tfjs-core'
import { labelledMean, logSoftmax, oneHot, weightedMean } from '../losses.js'
import type { Method } from '../method.js'

/**
 * Progressive self-knowledge distillation (Kim et al. 2021, equations 3 to 5): cross-entropy with (1-α_e)·y + α_e·P, where
 * α_e = α·(e+1)/epochs and P is what the student itself said of the row an epoch before: its softmax in training, before that step. P is
 * remembered by row, at first the label. A row without a label has P alone, at first nothing.
 */
export const psKd: Method = {
  name: 'ps-kd',
  needs: { teacher: false, labels: true, past: true },
  parameters: { alpha: 0.8 },
  shares: true,
  attach({ dataset: { rows, labels, classes } }) {
    const past = new Float32Array(rows * classes)
    for (const [row, label] of labels.entries()) if (label >= 0) past[row * classes + label] = 1
    return { past }
  },
  loss(inputs) {
    const { studentLogits, labels, weights, past, remember, alpha, epoch, epochs } = inputs
    const share = tf.mul(alpha, tf.div(tf.add(epoch, 1), epochs))
    const logProbs = logSoftmax(studentLogits, tf.scalar(1))
    remember(tf.exp(logProbs))
    const hard = oneHot(labels, studentLogits.shape[1])
    const [own, before] = [hard, past].map((target) => tf.neg(tf.sum(tf.mul(target, logProbs), -1)))
    return tf.add(tf.mul(tf.sub(1, share), labelledMean(own!, inputs)), tf.mul(share, weightedMean(before!, weights)))
  },
}
