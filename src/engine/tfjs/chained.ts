import * as tf from '@tensorflow/tfjs-core'

/**
 * tfjs itself calls some operations as methods of a tensor, which its builds for Node do not have: the orthogonal initializer, and so every
 * recurrent layer, the gradient of prod, that of gather with a batch. These are what they call.
 */
const chained = {
  flatten: (x: tf.Tensor) => tf.reshape(x, [x.size]),
  reshape: tf.reshape,
  sign: tf.sign,
  slice: tf.slice,
  split: tf.split,
  stridedSlice: tf.stridedSlice,
  transpose: tf.transpose,
}

for (const [name, operation] of Object.entries(chained)) {
  const prototype = tf.Tensor.prototype as unknown as Record<string, unknown>
  prototype[name] ??= function (this: tf.Tensor, ...args: unknown[]) {
    return (operation as (x: tf.Tensor, ...args: unknown[]) => tf.Tensor)(this, ...args)
  }
}
