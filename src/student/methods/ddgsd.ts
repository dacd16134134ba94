import * as tf from '@tensorflow/tfjs-core'
import { divergence, labelLoss, logSoftmax, weightedMean } from '../losses.js'
import type { Method } from '../method.js'

/**
 * Data-distortion guided self-distillation (Xu and Liu 2019), a and b two views of a sample:
 * CE_a + CE_b + kl·[KL(a ‖ b) + KL(b ‖ a)] + mmd·‖mean h_a - mean h_b‖², h the features, means over the batch. The gradient flows
 * through both. kl and mmd are the paper's λ and μ.
 */
export const ddgsd: Method = {
  name: 'ddgsd',
  needs: { teacher: false, labels: true, student: 'features', partner: 'view' },
  parameters: { kl: 1, mmd: 5e-4 },
  loss(inputs) {
    const { student: a, partner, weights } = inputs
    const { kl, mmd } = inputs.parameters
    const b = partner()
    const [logA, logB] = [a, b].map(({ logits }) => logSoftmax(logits, tf.scalar(1))) as [tf.Tensor2D, tf.Tensor2D]
    const hard = tf.add(labelLoss(a.logits, inputs), labelLoss(b.logits, inputs))
    const soft = tf.mul(tf.add(divergence(logA, logB), divergence(logB, logA)), kl!)
    const mean = (features: tf.Tensor2D) =>
      tf.div(tf.sum(tf.mul(features, tf.expandDims(weights, 1)), 0), tf.sum(weights))
    const apart = tf.sum(tf.square(tf.sub(mean(a.features), mean(b.features))))
    return tf.addN([hard, weightedMean(soft, weights), tf.mul(apart, mmd!)]) as tf.Scalar
  },
}
