import * as tf from '@tensorflow/tfjs-core'
import { logSoftmax, oneHot, weightedMean } from '../losses.js'
import type { Method } from '../method.js'

/**
 * Progressive self-knowledge distillation (Kim et al. 2021, equations 3 to 5): cross-entropy with (1-α_e)·y + α_e·P, where
 * α_e = α·(e+1)/epochs and P is what the student itself said of the row an epoch before: its softmax in training, before that step. P is
 * remembered by row, at first the label. A row without a label has P alone, at first nothing.
 */
export const psKd: Method = {
  name: 'ps-kd',
  needs: { teacher: false, labels: true, rows: true },
  parameters: { alpha: 0.8 },
  shares: true,
  attach: ({ dataset: { labels, classes } }) => ({
    // One row more, for what rows that pad a batch say.
    memory: [
      tf.tidy(() =>
        tf.variable(
          tf.pad(oneHot(tf.tensor1d(labels, 'int32'), classes), [
            [0, 1],
            [0, 0],
          ]),
          false,
        ),
      ),
    ],
  }),
  loss({ studentLogits, labels, weights, rows, alpha, epoch, epochs, attached }) {
    const past = attached.memory[0] as unknown as tf.Variable<tf.Rank.R2>
    const share = tf.mul(alpha, tf.div(tf.add(epoch, 1), epochs))
    const logProbs = logSoftmax(studentLogits, tf.scalar(1))
    const hard = oneHot(labels, studentLogits.shape[1])
    const target = tf.add(tf.mul(tf.sub(1, share), hard), tf.mul(share, tf.gather(past, rows)))
    const loss = weightedMean(tf.neg(tf.sum(tf.mul(target, logProbs), -1)), weights)
    const real = tf.greater(weights, 0)
    const into = tf.where(real, rows, tf.fill(rows.shape, past.shape[0] - 1, 'int32'))
    const said = tf.mul(tf.exp(logProbs), tf.expandDims(tf.cast(real, 'float32'), 1))
    past.assign(tf.tensorScatterUpdate(past, tf.expandDims(into, 1), said))
    return loss
  },
}
