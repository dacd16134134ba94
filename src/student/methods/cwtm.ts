import * as tf from '@tensorflow/tfjs-core'
import { crossEntropy, isLabelled } from '../losses.js'
import type { Method } from '../method.js'

/**
 * Confidence weighted by teacher max (Furlanello et al. 2018, section 3.2): the cross-entropy on the labels, each row weighted by the
 * teacher's largest probability of it over the sum of those of the batch. Nothing else of the teacher is looked at.
 */
export const cwtm: Method = {
  name: 'cwtm',
  needs: { teacher: 'buckets', labels: true },
  parameters: { temperature: 1 },
  loss({ teacher, studentLogits, labels, weights, temperature }) {
    const confidence = tf.mul(tf.mul(tf.exp(teacher.logTop(temperature)), isLabelled(labels)), weights)
    const total = tf.sum(tf.mul(crossEntropy(studentLogits, labels), confidence))
    return tf.div(total, tf.add(tf.sum(confidence), 1e-30)) // 0 where no row has a label
  },
}
