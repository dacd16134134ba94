import * as tf from '@tensorflow/tfjs-core'
import { shallowClassifiers } from '../branches.js'
import { labelLoss, logSoftmax, weightedMean, withoutGradient } from '../losses.js'
import type { Method } from '../method.js'

/**
 * Be your own teacher (Zhang et al. 2019, equation 7, as in the authors' code): a classifier after each stage, the student the deepest, C:
 * CE(z_C) + Σ_shallow [(1-soft)·CE(z_i) + soft·CE(p_C, p_i at T) + hint·‖FC(F_i) - F_C‖], the norm that of the whole batch; no T², no
 * gradient into p_C and F_C, and no last term of the shallowest. soft and hint are the paper's α and λ.
 */
export const byot: Method = {
  name: 'byot',
  needs: { teacher: false, labels: true, student: 'stages' },
  parameters: { temperature: 3, soft: 0.3, hint: 0.03 },
  ranges: { soft: [0, 1] },
  attach: (options) => ({ branches: shallowClassifiers(options, { adapted: true }) }),
  loss(inputs) {
    const { student, weights, temperature, attached } = inputs
    const { soft, hint } = inputs.parameters
    const deepest = withoutGradient(() => tf.exp(logSoftmax(student.logits, temperature)))
    const features = withoutGradient(() => tf.clone(student.features))
    const terms = attached.branches.map((branch, i) => {
      const [logits, adapted] = branch.apply(student.stages[i]!, { training: true }) as [tf.Tensor2D, tf.Tensor2D]
      const fromDeepest = tf.neg(tf.sum(tf.mul(deepest, logSoftmax(logits, temperature)), -1))
      const hard = tf.mul(labelLoss(logits, inputs), 1 - soft!)
      const term = tf.add(hard, tf.mul(weightedMean(fromDeepest, weights), soft!))
      if (i === 0) return term
      // A square root has no gradient at 0.
      const apart = tf.mul(tf.square(tf.sub(adapted, features)), tf.expandDims(weights, 1))
      return tf.add(term, tf.mul(tf.sqrt(tf.add(tf.sum(apart), 1e-30)), hint!))
    })
    return tf.addN([labelLoss(student.logits, inputs), ...terms]) as tf.Scalar
  },
}
