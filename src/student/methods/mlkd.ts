import * as tf from '@tensorflow/tfjs-core'
import { addToLabels, divergence, weightedMean } from '../losses.js'
import type { Method } from '../method.js'

/**
 * Multi-level logit distillation (Jin et al. 2023, equations 4 to 8) at one temperature, P [B, C] the softmax at T of a batch:
 * CE(label) + α·[T²·KL(t ‖ s) + class·‖P_tᵀP_t - P_sᵀP_s‖²/C + batch·‖P_tP_tᵀ - P_sP_sᵀ‖²/B].
 */
export const mlkd: Method = {
  name: 'mlkd',
  needs: { teacher: 'dense', labels: false },
  parameters: { temperature: 4, alpha: 1, class: 1, batch: 1 },
  loss(inputs) {
    const { teacher, studentLogits, weights, temperature, parameters } = inputs
    const logProbs = teacher.logProbs(studentLogits, temperature)
    const present = tf.expandDims(weights, 1) // rows that pad the batch are zeros
    const [t, s] = [logProbs.teacher, logProbs.student].map((x) => tf.mul(tf.exp(x), present) as tf.Tensor2D)
    const soft = weightedMean(divergence(logProbs.teacher, logProbs.student), weights)
    const apart = (gram: (p: tf.Tensor2D) => tf.Tensor) => tf.sum(tf.square(tf.sub(gram(t!), gram(s!))))
    const byClass = tf.div(
      apart((p) => tf.matMul(p, p, true, false)),
      studentLogits.shape[1],
    )
    const byRow = tf.div(
      apart((p) => tf.matMul(p, p, false, true)),
      tf.sum(weights),
    )
    const grams = tf.add(tf.mul(byClass, parameters.class!), tf.mul(byRow, parameters.batch!))
    return addToLabels(inputs, tf.add(tf.mul(soft, tf.square(temperature)), grams))
  },
}
