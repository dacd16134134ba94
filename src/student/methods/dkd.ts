import * as tf from '@tensorflow/tfjs-core'
import { addToLabels, divergence, isLabelled, logSoftmax, oneHot, weightedMean } from '../losses.js'
import type { LossInputs, Method } from '../method.js'

/**
 * Decoupled distillation (Zhao et al. 2022, equation 7). With b = [p_y, 1 - p_y] and p̂ the softmax over the classes other than the
 * label y, all at T: CE(label) + α·w·T²·[tckd·KL(b_t ‖ b_s) + nckd·KL(p̂_t ‖ p̂_s)]; tckd and nckd are the paper's α and β, and w grows
 * to 1 over the first `warmup` epochs, as in the authors' code. A row without a label has neither term.
 */
export const dkd: Method = {
  name: 'dkd',
  needs: { teacher: 'dense', labels: true },
  parameters: { temperature: 4, alpha: 1, tckd: 1, nckd: 8, warmup: 20 },
  loss(inputs) {
    const { labels, weights, temperature, epoch, parameters } = inputs
    const { tckd, nckd, warmup } = parameters
    const [student, teacher] = [inputs.studentLogits, inputs.teacher.logits()].map((z) => decouple(z, inputs))
    const target = tf.mul(divergence(teacher!.binary, student!.binary), tckd!)
    const others = tf.mul(divergence(teacher!.others, student!.others), nckd!)
    const rows = tf.mul(tf.add(target, others), isLabelled(labels))
    const grown = warmup! > 0 ? tf.minimum(tf.div(tf.add(epoch, 1), warmup!), 1) : tf.scalar(1)
    return addToLabels(inputs, tf.mul(tf.mul(grown, tf.square(temperature)), weightedMean(rows, weights)))
  },
}

/** log b [B, 2] and log p̂ [B, C], in which the label's own class has no probability. */
function decouple(logits: tf.Tensor2D, { labels, temperature }: LossInputs) {
  const hot = oneHot(labels, logits.shape[1])
  const others = tf.where(tf.equal(hot, 1), tf.fill(logits.shape, ABSENT), logits) as tf.Tensor2D
  const scaled = tf.div(others, temperature)
  const pair = [tf.div(tf.sum(tf.mul(hot, logits), -1), temperature), tf.logSumExp(scaled, -1)]
  return {
    binary: logSoftmax(tf.stack(pair, 1) as tf.Tensor2D, tf.scalar(1)),
    others: logSoftmax(others, temperature),
  }
}

/** A logit that no softmax sees. */
const ABSENT = -1e30
