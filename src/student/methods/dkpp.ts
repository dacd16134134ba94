import * as tf from '@tensorflow/tfjs-core'
import { gatherColumns } from '../bucketed-targets.js'
import { divergence, logSoftmax, mixWithLabels } from '../losses.js'
import type { LossInputs, Method } from '../method.js'

/**
 * Dark knowledge with permuted predictions (Furlanello et al. 2018, section 3.2): (1-α)·CE(label) + α·T²·KL(φ(t) ‖ s at T), where φ
 * leaves the teacher's top class its logit and gives the others theirs in an order that is drawn anew, row by row and step by step.
 */
export const dkpp: Method = {
  name: 'dkpp',
  needs: { teacher: 'dense', labels: false },
  parameters: { temperature: 1, alpha: 1 },
  shares: true,
  loss: (inputs) =>
    mixWithLabels(inputs, ({ studentLogits, temperature }) => {
      const logP = logSoftmax(permuteOthers(inputs), temperature)
      return tf.mul(tf.square(temperature), divergence(logP, logSoftmax(studentLogits, temperature)))
    }),
}

function permuteOthers({ teacher, random }: Pick<LossInputs, 'teacher' | 'random'>): tf.Tensor2D {
  const logits = teacher.logits()
  const [rows, classes] = logits.shape
  const top = tf.expandDims(tf.argMax(logits, -1), 1) as tf.Tensor2D
  const class_ = tf.range(0, classes, 1, 'int32')
  // In the order of numbers drawn for them, the top class first.
  const keys = tf.where(tf.equal(class_, top), tf.fill([rows, classes], 2), random.uniform([rows, classes]))
  const { indices } = tf.topk(keys, classes, true)
  const drawn = gatherColumns(logits, indices as tf.Tensor2D) as tf.Tensor2D
  // The top class takes the first of them, the others take theirs by their number.
  const after = tf.add(class_, tf.cast(tf.less(class_, top), 'int32'))
  const slots = tf.where(tf.equal(class_, top), tf.zerosLike(after), after)
  return gatherColumns(drawn, slots as tf.Tensor2D) as tf.Tensor2D
}
