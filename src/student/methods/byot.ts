import * as tf from '@tensorflow/tfjs-core'
import { input, model, type SymbolicTensor } from '@tensorflow/tfjs-layers'
import { crossEntropy, logSoftmax, weightedMean, withoutGradient } from '../losses.js'
import type { AttachOptions, Method } from '../method.js'
import { layersOf } from '../zoo/layers.js'

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
  attach: (options) => ({ branches: options.shapes.stages.slice(0, -1).map((_, i) => makeBranch(i, options)) }),
  loss({ student, labels, weights, temperature, parameters: { soft, hint }, attached }) {
    const deepest = withoutGradient(() => tf.exp(logSoftmax(student.logits, temperature)))
    const features = withoutGradient(() => tf.clone(student.features))
    const terms = attached.branches.map((branch, i) => {
      const [logits, adapted] = branch.apply(student.stages[i]!, { training: true }) as [tf.Tensor2D, tf.Tensor2D]
      const fromDeepest = tf.neg(tf.sum(tf.mul(deepest, logSoftmax(logits, temperature)), -1))
      const rows = tf.add(tf.mul(crossEntropy(logits, labels), 1 - soft!), tf.mul(fromDeepest, soft!))
      const term = weightedMean(rows, weights)
      if (i === 0) return term
      // A square root has no gradient at 0.
      const apart = tf.mul(tf.square(tf.sub(adapted, features)), tf.expandDims(weights, 1))
      return tf.add(term, tf.mul(tf.sqrt(tf.add(tf.sum(apart), 1e-30)), hint!))
    })
    return tf.addN([weightedMean(crossEntropy(student.logits, labels), weights), ...terms]) as tf.Scalar
  },
}

/** Separable convolutions from stage i to the last one's size and width, then its logits, and its features as many as the student's. */
function makeBranch(i: number, { shapes, dataset: { classes }, seed }: AttachOptions) {
  const { separable, pool, dense } = layersOf(seed)
  const name = (part: string) => `branch${i + 1}_${part}`
  const x = input({ shape: shapes.stages[i]! })
  let y: SymbolicTensor = x
  for (const [j, [height, , filters]] of shapes.stages.entries()) {
    if (j <= i) continue
    y = separable(y, { name: name(`conv${j + 1}`), filters, strides: Math.ceil(shapes.stages[j - 1]![0] / height) })
  }
  const features = pool(y, name('pool'))
  const logits = dense(features, { name: name('logits'), units: classes })
  return model({ inputs: x, outputs: [logits, dense(features, { name: name('adapted'), units: shapes.features })] })
}
