import * as tf from '@tensorflow/tfjs-core'
import { divergence, labelLoss, weightedMean } from '../losses.js'
import type { LossInputs, Method } from '../method.js'

/**
 * Multi-level logit distillation (Jin et al. 2023, equations 4 to 8), P [B, C] the softmax at τ of a batch:
 * ce·CE(label) + α·Σ_τ [τ²·KL(t ‖ s) + class·‖P_tᵀP_t - P_sᵀP_s‖²/C + batch·‖P_tP_tᵀ - P_sP_sᵀ‖²/B] over five temperatures τ, T·(1 - spread) to T·(1 + spread):
 * 2, 3, 4, 5, 6 as in the authors' code, whose weights the others are, too. Its masks of rows and classes that the teacher is sure of are multiplied with numbers
 * that are sums already: what is left of them is a half, that of `class` and `batch`. `spread` 0 is the loss at T alone.
 */
export const mlkd: Method = {
  name: 'mlkd',
  needs: { teacher: 'dense', labels: false },
  parameters: { temperature: 4, alpha: 0.9, ce: 0.1, spread: 0.5, class: 0.5, batch: 0.5 },
  ranges: { spread: [0, 0.9] },
  loss(inputs) {
    const { studentLogits, temperature, alpha, parameters } = inputs
    const { ce, spread } = parameters
    const factors = spread === 0 ? [1] : [-1, -0.5, 0, 0.5, 1].map((part) => 1 + part * spread!)
    const levels = factors.map((factor) => levelsAt(inputs, tf.mul(temperature, factor)))
    return tf.add(tf.mul(labelLoss(studentLogits, inputs), ce!), tf.mul(alpha, tf.addN(levels)))
  },
}

/** The three terms at one temperature, []. */
function levelsAt({ teacher, studentLogits, weights, parameters }: LossInputs, temperature: tf.Scalar): tf.Scalar {
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
  return tf.add(tf.mul(soft, tf.square(temperature)), grams)
}
