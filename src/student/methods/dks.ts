import * as tf from '@tensorflow/tfjs-core'
import { shallowClassifiers } from '../branches.js'
import { divergence, labelLoss, logSoftmax, weightedMean, withoutGradient } from '../losses.js'
import type { Method } from '../method.js'

/**
 * Deeply-supervised knowledge synergy (Sun et al. 2019, equations 5 and 6): a classifier after each stage, the student the deepest, each
 * of which learns from the labels and from every other: Σ_i CE(z_i) + synergy·Σ_{i≠j} KL(p_j ‖ p_i), no gradient into p_j.
 */
export const dks: Method = {
  name: 'dks',
  needs: { teacher: false, labels: true, student: 'stages' },
  parameters: { synergy: 1 },
  attach: (options) => ({ branches: shallowClassifiers(options) }),
  loss(inputs) {
    const { student, weights, attached } = inputs
    const { synergy } = inputs.parameters
    const shallow = attached.branches.map(
      (branch, i) => branch.apply(student.stages[i]!, { training: true }) as tf.Tensor2D,
    )
    const logits = [...shallow, student.logits]
    const logProbs = logits.map((z) => logSoftmax(z, tf.scalar(1)))
    const others = logProbs.map((log) => withoutGradient(() => log))
    const pairs = logProbs.flatMap((log, i) => others.filter((_, j) => j !== i).map((other) => divergence(other, log)))
    const hard = tf.addN(logits.map((z) => labelLoss(z, inputs)))
    return tf.add(hard, tf.mul(weightedMean(tf.addN(pairs), weights), synergy!))
  },
}
