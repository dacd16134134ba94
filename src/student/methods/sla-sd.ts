import * as tf from '@tensorflow/tfjs-core'
import { input, model } from '@tensorflow/tfjs-layers'
import { divergence, labelLoss, logSoftmax, weightedMean, withoutGradient } from '../losses.js'
import type { Method } from '../method.js'
import { layersOf } from '../zoo/layers.js'

/**
 * Self-supervised label augmentation with self-distillation (Lee et al. 2020, equation 6, as in the authors' code): a second classifier
 * names class and rotation of each image turned by 0, 90, 180 and 270°, and what its four answers say together, p_a, the mean over the
 * rotations j of its logits for (class, j), teaches the student, which sees the image as it is:
 * CE(z) + joint·(mean of the four CE) + T²·KL(p_a ‖ p at T), no gradient into p_a. All four are one batch of the student's.
 */
export const slaSd: Method = {
  name: 'sla-sd',
  needs: { teacher: false, labels: true, student: 'features', input: 'square images' },
  parameters: { temperature: 1, joint: 1 },
  attach({ shapes, dataset: { classes }, seed }) {
    const x = input({ shape: [shapes.features] })
    const outputs = layersOf(seed).dense(x, { name: 'branch_joint', units: TURNS * classes })
    return { branches: [model({ inputs: x, outputs })] }
  },
  loss(inputs) {
    const { input, run, labels, weights, temperature, attached } = inputs
    const { joint } = inputs.parameters
    const { logits, features } = run(tf.concat(turns(input as tf.Tensor4D), 0))
    const classes = logits.shape[1]
    const rows = labels.shape[0]
    const student = tf.slice(logits, [0, 0], [rows, classes])
    const answers = tf.split<tf.Tensor2D>(
      attached.branches[0]!.apply(features, { training: true }) as tf.Tensor2D,
      TURNS,
      0,
    )
    const hard = answers.map((answer, j) => {
      const moved = tf.add<tf.Tensor1D>(labels, tf.scalar(j * classes, 'int32'))
      return labelLoss(answer, { labels: tf.where<tf.Tensor1D>(tf.less(labels, 0), labels, moved), weights })
    })
    const own = answers.map((answer, j) => tf.slice(answer, [0, j * classes], [rows, classes]))
    const together = withoutGradient(() => tf.div(tf.addN(own), TURNS) as tf.Tensor2D)
    const soft = divergence(logSoftmax(together, temperature), logSoftmax(student, temperature))
    return tf.addN([
      labelLoss(student, inputs),
      tf.mul(tf.addN(hard), joint! / TURNS),
      tf.mul(weightedMean(soft, weights), tf.square(temperature)),
    ]) as tf.Scalar
  },
}

const TURNS = 4

/** The images [B, n, n, c] as they are, and turned by 90, 180 and 270° against the clock. */
function turns(images: tf.Tensor4D): tf.Tensor4D[] {
  const transposed = tf.transpose(images, [0, 2, 1, 3])
  return [images, tf.reverse(transposed, 1), tf.reverse(images, [1, 2]), tf.reverse(transposed, 2)]
}
