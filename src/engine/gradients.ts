import * as tf from '@tensorflow/tfjs-core'
import '@tensorflow/tfjs-layers' // its Node build is what registers the gradients of tfjs's kernels; ours comes after

/**
 * tfjs's gradient of `tile` slices and adds once a repetition. Its layerNormalization repeats scale and offset for each row and position, so a
 * step of a transformer would have thousands of nodes more, which ONNX Runtime takes minutes to plan. It is one sum: of dy as [reps, size] per axis, over reps.
 */
tf.registerGradient({
  kernelName: tf.Tile,
  inputsToSave: ['x'],
  gradFunc(dy, [x], attributes) {
    const { reps } = attributes as unknown as tf.TileAttrs
    const { shape } = x!
    const axes = shape.flatMap((size, axis) => [
      { size: reps[axis]!, summed: true },
      { size, summed: false },
    ])
    const kept = axes.filter(({ size }) => size !== 1) // others say nothing
    return {
      x: () => {
        const parts = tf.reshape(
          dy as tf.Tensor,
          kept.map(({ size }) => size),
        )
        const summed = kept.flatMap((axis, i) => (axis.summed ? [i] : []))
        return tf.reshape(summed.length > 0 ? tf.sum(parts, summed) : parts, shape)
      },
    }
  },
})
