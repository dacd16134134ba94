import * as tf from '@tensorflow/tfjs-core'
import '@tensorflow/tfjs-layers' // its Node build is what registers the gradients of tfjs's kernels; ours come after

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

/** The sums from the other end. tfjs leaves the axes in the order in which it summed them, unless that was the last one. */
tf.registerGradient({
  kernelName: tf.Cumsum,
  gradFunc(dy, _, attributes) {
    const { axis, exclusive, reverse } = attributes as unknown as tf.CumsumAttrs
    return { x: () => tf.cumsum(dy as tf.Tensor, axis, exclusive, !reverse) }
  },
})

/** Each element takes what came of its mirrored copies, which tfjs leaves out. */
tf.registerGradient({
  kernelName: tf.MirrorPad,
  inputsToSave: ['x'],
  gradFunc(dy, [x], attributes) {
    const { paddings, mode } = attributes as unknown as tf.MirrorPadAttrs
    const edge = mode === 'reflect' ? 0 : 1 // its own copies, too
    const along = (padded: tf.Tensor, axis: number) => {
      const size = x!.shape[axis]!
      const source = Array.from({ length: padded.shape[axis]! }, (_, i) => {
        const at = i - paddings[axis]![0]
        return at < 0 ? -at - edge : at >= size ? 2 * size - 2 - at + edge : at
      })
      const order = padded.shape.map((_, i) => (i === 0 ? axis : i === axis ? 0 : i)) // the axis and the first exchanged
      const sums = tf.unsortedSegmentSum(tf.transpose(padded, order), tf.tensor1d(source, 'int32'), size)
      return tf.transpose(sums, order)
    }
    return { x: () => x!.shape.reduce((sums, _, axis) => along(sums, axis), dy as tf.Tensor) }
  },
})
