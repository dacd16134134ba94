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
 * size, which falls as 1/T², comparable with that of the cross-entropy. The gradient is T·(q - p), to the student alone.
 */
export function softTargetLoss(student: tf.Tensor2D, teacher: tf.Tensor2D, temperature: tf.Scalar): tf.Tensor1D {
  return tf.customGrad((z, save) => {
    const s = scaled(z as tf.Tensor2D, temperature)
    const t = scaled(teacher, temperature)
    const [p, q] = [tf.exp(t.logits), tf.exp(s.logits)].map((e) => tf.div(e, tf.sum(e, -1, true))) as [
      tf.Tensor,
      tf.Tensor,
    ]
    const logRatio = tf.add(tf.sub(s.logits, t.logits), tf.sub(t.logSum, s.logSum)) // log q/p
    const value = tf.mul(tf.sum(divergence(p, q, logRatio), -1), tf.square(temperature))
    ;(save as tf.GradSaveFunc)([tf.mul(tf.sub(q, p), temperature)])
    const gradFunc = (dy: tf.Tensor, saved: tf.Tensor[]) => tf.mul(tf.expandDims(dy, -1), saved[0]!)
    return { value, gradFunc }
  })(student) as tf.Tensor1D
}

/** (z - max)/T and log Σ exp of that, of each row. */
function scaled(logits: tf.Tensor2D, temperature: tf.Scalar): { logits: tf.Tensor; logSum: tf.Tensor } {
  const shifted = tf.div(tf.sub(logits, tf.max(logits, -1, true)), temperature)
  return { logits: shifted, logSum: tf.log(tf.sum(tf.exp(shifted), -1, true)) }
}

// 1/2!, 1/3!, … 1/8!
const coefficients = Array.from(
  { length: 7 },
  (_, k) => 1 / Array.from({ length: k + 2 }, (_, i) => i + 1).reduce((a, b) => a * b),
)

/**
 * p·log(p/q) + q - p by class. Its sum is the KL divergence as well, since Σ q = Σ p, but of terms that are all positive: at high
 * temperatures p and q are close, and Σ p·log(p/q) in float32 would be what rounding leaves of terms that cancel. With r = log(q/p) a
 * term is p(eʳ - 1 - r), for small r from its series.
 */
function divergence(p: tf.Tensor, q: tf.Tensor, r: tf.Tensor): tf.Tensor {
  const series = coefficients.reduceRight<tf.Tensor>((sum, c) => tf.add(tf.mul(sum, r), c), tf.scalar(0))
  const near = tf.mul(p, tf.mul(tf.square(r), series))
  const far = tf.sub(tf.sub(q, p), tf.mul(p, r))
  return tf.where(tf.less(tf.abs(r), 0.5), near, far)
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
