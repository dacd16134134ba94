import * as tf from '@tensorflow/tfjs-core'
import { MASKED_GAP } from '../../cache/index.js'
import { addToLabels, divergence, labelledMean, withoutGradient } from '../losses.js'
import type { Method } from '../method.js'

/**
 * Decoupled distillation (Zhao et al. 2022, equation 7). With b = [p_y, 1 - p_y] and p̂ the softmax over the classes other than the
 * label y, all at T: CE(label) + α·w·T²·[tckd·KL(b_t ‖ b_s) + nckd·KL(p̂_t ‖ p̂_s)]; tckd and nckd are the paper's α and β, and w grows
 * to 1 over the first `warmup` epochs, as in the authors' code. A row without a label has neither term, one whose other classes the teacher masks no second. Of a bucketed cache p̂ is over
 * its buckets, y taken out of its own.
 */
export const dkd: Method = {
  name: 'dkd',
  needs: { teacher: 'buckets', labels: true, statistic: 'label_logit' },
  parameters: { temperature: 4, alpha: 1, tckd: 1, nckd: 8, warmup: 20 },
  loss(inputs) {
    const { labels, temperature, epoch, parameters } = inputs
    const { tckd, nckd, warmup } = parameters
    const { teacher, student } = inputs.teacher.decouple(inputs.studentLogits, labels, temperature)
    const target = tf.mul(divergence(teacher.binary, student.binary), tckd!)
    const others = tf.mul(
      tf.mul(divergence(teacher.others, student.others), hasOthers(teacher.binary, temperature)),
      nckd!,
    )
    const rows = tf.add(target, others)
    const grown = warmup! > 0 ? tf.minimum(tf.div(tf.add(epoch, 1), warmup!), 1) : tf.scalar(1)
    return addToLabels(inputs, tf.mul(tf.mul(grown, tf.square(temperature)), labelledMean(rows, inputs)))
  },
}

/** 1 where the teacher gives a class other than the label anything, [B]; where it masks all of them there is no p̂. */
const hasOthers = (binary: tf.Tensor2D, temperature: tf.Tensor): tf.Tensor1D =>
  withoutGradient(() => {
    const [own, others] = tf.split(binary, 2, 1) as [tf.Tensor, tf.Tensor]
    const isThere = tf.less(tf.mul(tf.sub(own, others), temperature), MASKED_GAP)
    return tf.reshape(tf.cast(isThere, 'float32'), [-1]) as tf.Tensor1D
  })
