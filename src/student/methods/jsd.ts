import * as tf from '@tensorflow/tfjs-core'
import { divergence, divergenceTerms, mixWithLabels, withoutMasked } from '../losses.js'
import type { Method } from '../method.js'
import { ownGradient } from '../own-gradient.js'

/**
 * Generalised Jensen-Shannon divergence (Agarwal et al. 2024, equation 1), p the teacher's, q the student's, m = βp + (1-β)q:
 * (1-α)·CE(label) + α·T²·[β·KL(p ‖ m) + (1-β)·KL(q ‖ m)]. As there, β = 0 stands for KL(p ‖ q) and β = 1 for KL(q ‖ p), which is rkl.
 * T and T² are decant's own.
 */
export const jsd: Method = {
  name: 'jsd',
  needs: { teacher: 'buckets', labels: false },
  parameters: { temperature: 4, alpha: 0.9, beta: 0.5 },
  shares: true,
  ranges: { beta: [0, 1] },
  loss: (inputs) =>
    mixWithLabels(inputs, ({ teacher, studentLogits, temperature, parameters: { beta } }) => {
      const logProbs = teacher.logProbs(studentLogits, temperature)
      const { teacher: logP, student: logQ } = beta === 1 ? withoutMasked(logProbs, temperature) : logProbs
      const rows =
        beta === 0 ? divergence(logP, logQ) : beta === 1 ? divergence(logQ, logP) : jensenShannon(logP, logQ, beta!)
      return tf.mul(tf.square(temperature), rows)
    }),
}

/** β·KL(p ‖ m) + (1-β)·KL(q ‖ m) of each row, [B]; the gradient flows to both. */
function jensenShannon(logP: tf.Tensor2D, logQ: tf.Tensor2D, beta: number): tf.Tensor1D {
  return ownGradient<tf.Tensor1D>(
    [logP, logQ],
    (x, y) => {
      const [p, q, apart] = [tf.exp(x!), tf.exp(y!), tf.sub(x!, y!)]
      const m = tf.add(tf.mul(p, beta), tf.mul(q, 1 - beta))
      const [mp, mq] = [logMixture(tf.neg(apart), 1 - beta), logMixture(apart, beta)] // log m/p, log m/q
      const terms = tf.add(tf.mul(divergenceTerms(p, m, mp), beta), tf.mul(divergenceTerms(q, m, mq), 1 - beta))
      return { value: tf.sum(terms, -1), saved: [tf.mul(tf.mul(p, mp), -beta), tf.mul(tf.mul(q, mq), beta - 1)] }
    },
    (dy, saved) => saved.map((each) => tf.mul(tf.expandDims(dy, -1), each)),
  )
}

/** log(1 - β + β·eʳ) = log(1 + β(eʳ - 1)), where r is small by that, where it is large without the overflow of eʳ. */
function logMixture(r: tf.Tensor, beta: number): tf.Tensor {
  const near = tf.log1p(tf.mul(tf.expm1(tf.clipByValue(r, -1, 1)), beta))
  const far = tf.add(tf.softplus(tf.add(r, Math.log(beta / (1 - beta)))), Math.log(1 - beta))
  return tf.where(tf.less(tf.abs(r), 1), near, far)
}
