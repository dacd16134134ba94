import * as tf from '@tensorflow/tfjs-core'

/**
 * A function of tensors with a gradient of its own, where the one of its parts would be longer or less exact. `backward` gives what flows
 * to each input, in their order. To tfjs whatever else `forward` reads is a constant, silently: so every tensor is an input.
 */
export function ownGradient<T extends tf.Tensor>(
  inputs: tf.Tensor[],
  forward: (...inputs: tf.Tensor[]) => { value: T; saved: tf.Tensor[] },
  backward: (dy: T, saved: tf.Tensor[]) => tf.Tensor[],
): T {
  return tf.customGrad((...given) => {
    const save = given.pop() as unknown as tf.GradSaveFunc
    const { value, saved } = forward(...(given as tf.Tensor[]))
    save(saved)
    return { value, gradFunc: (dy, saved) => backward(dy as T, saved) }
  })(...inputs) as T
}

/** The sum of what flows to the copies that broadcasting made of a tensor of this shape. */
export function sumTo(dy: tf.Tensor, shape: number[]): tf.Tensor {
  return tf.reshape(tf.sum(dy, tf.backend_util.getReductionAxes(shape, dy.shape)), shape)
}
