import * as tf from '@tensorflow/tfjs-core'
import { initializers, layers, sequential } from '@tensorflow/tfjs-layers'
import { crossEntropy, divergence, weightedMean } from '../../src/student/losses.js'
import type { Method } from '../../src/student/method.js'

/**
 * Curriculum temperature (Li et al. 2023, arXiv 2211.16231, section 3.2, as in the authors' code with a global T): kd at T = 1 + 20·sigmoid(θ), where θ is
 * learnt against the student: its gradient is reversed, times λ, here a parameter.
 */
const ctkd: Method = {
  name: 'ctkd',
  needs: { teacher: 'buckets', labels: false },
  parameters: { alpha: 0.9, lambda: 0.5 },
  shares: true,
  attach: () => ({
    branches: [
      sequential({
        layers: [
          layers.dense({
            units: 1,
            inputShape: [1],
            useBias: false,
            kernelInitializer: initializers.constant({ value: -1 }),
          }),
        ],
      }),
    ],
  }),
  loss({ teacher, studentLogits, labels, weights, alpha, parameters: { lambda }, attached }) {
    const reverse = tf.customGrad((x, save) => {
      ;(save as tf.GradSaveFunc)([])
      return { value: tf.clone(x as tf.Tensor), gradFunc: (dy) => tf.mul(dy, -lambda!) }
    })
    const theta = tf.reshape(reverse(attached.branches[0]!.apply(tf.ones([1, 1])) as tf.Tensor), [])
    const T = tf.add(tf.mul(tf.sigmoid(theta), 20), 1)
    const { teacher: p, student: q } = teacher.logProbs(studentLogits, T)
    const soft = tf.mul(tf.square(T), divergence(p, q))
    const hard = crossEntropy(studentLogits, labels)
    return weightedMean(tf.add(tf.mul(alpha, soft), tf.mul(tf.sub(1, alpha), hard)), weights)
  },
}
export default ctkd
