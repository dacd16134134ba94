import * as tf from '@tensorflow/tfjs-core'

/**
 * log softmax(z/T) of each row, [B, C]. The row's top logit is subtracted before the division, where float32 loses least,
 * so any logits are safe: nothing overflows, and log p stays finite where p underflows.
 */
export function logSoftmax(logits: tf.Tensor2D, temperature: tf.Scalar): tf.Tensor2D {
  // A gradient of its own: (dy - softmax·Σdy)/T, instead of one through max, exp, sum and log.
  return tf.customGrad((z, save) => {
    const scaled = tf.div(tf.sub(z as tf.Tensor, tf.max(z as tf.Tensor, -1, true)), temperature)
    const value = tf.sub(scaled, tf.log(tf.sum(tf.exp(scaled), -1, true)))
    ;(save as tf.GradSaveFunc)([value, temperature])
    const gradFunc = (dy: tf.Tensor, saved: tf.Tensor[]) =>
      tf.div(tf.sub(dy, tf.mul(tf.exp(saved[0]!), tf.sum(dy, -1, true))), saved[1]!)
    return { value, gradFunc }
  })(logits) as tf.Tensor2D
}

/**
 * T²·KL(softmax(t/T) ‖ softmax(s/T)) of each row in nats, [B] (Hinton et al. 2015, section 2). The factor T² keeps the gradient's
 * size, which falls as 1/T², comparable with that of the cross-entropy.
 */
export function softTargetLoss(student: tf.Tensor2D, teacher: tf.Tensor2D, temperature: tf.Scalar): tf.Tensor1D {
  const logP = logSoftmax(teacher, temperature)
  const logQ = logSoftmax(student, temperature)
  return tf.mul(tf.sum(tf.mul(tf.exp(logP), tf.sub(logP, logQ)), -1), tf.square(temperature))
}

/** -log softmax(s)[label] of each row in nats, [B]; 0 where the label is -1. */
export function crossEntropy(student: tf.Tensor2D, labels: tf.Tensor1D): tf.Tensor1D {
  const classes = tf.range(0, student.shape[1], 1, 'int32')
  // Compared with every class instead of oneHot, for which -1 is an index from the end in some runtimes.
  const hot = tf.cast(tf.equal(tf.expandDims(labels, 1), classes), 'float32')
  return tf.sum(tf.mul(hot, tf.neg(logSoftmax(student, tf.scalar(1)))), -1)
}

/** Σ w·x / Σ w over the rows of a batch. */
export function weightedMean(rows: tf.Tensor1D, weights: tf.Tensor1D): tf.Scalar {
  return tf.div(tf.sum(tf.mul(rows, weights)), tf.sum(weights))
}
