import * as tf from '@tensorflow/tfjs-core'

/**
 * An average pool's mean is over the elements that its window has inside of the image; tfjs's gradient divides by the window's size at the
 * border, too. Each mean's dy is scaled to that beforehand.
 */
interface Window {
  size: number
  outputs: number
  filter: number
  stride: number
  /** Elements of padding before the first. */
  pad: number
}

/** dy [B, …outputs, C], times what each mean's share lacks. */
function correct(dy: tf.Tensor, windows: Window[]): tf.Tensor {
  return windows.reduce((scaled, { size, outputs, filter, stride, pad }, i) => {
    const missing = Array.from({ length: outputs }, (_, at) => {
      const start = at * stride - pad
      return filter / (Math.min(size, start + filter) - Math.max(0, start))
    })
    if (missing.every((factor) => factor === 1)) return scaled
    const shape = dy.shape.map((d, axis) => (axis === i + 1 ? d : 1))
    return tf.mul(scaled, tf.tensor(missing, shape, 'float32'))
  }, dy)
}

tf.registerGradient({
  kernelName: tf.AvgPool,
  inputsToSave: ['x'],
  gradFunc(dy, [x], attributes) {
    const { filterSize, strides, pad, dimRoundingMode } = attributes as unknown as tf.AvgPoolAttrs
    const shape = x!.shape as [number, number, number, number]
    const i = tf.backend_util.computePool2DInfo(shape, filterSize, strides, 1, pad, dimRoundingMode)
    const windows: Window[] = [
      { size: i.inHeight, outputs: i.outHeight, filter: i.filterHeight, stride: i.strideHeight, pad: i.padInfo.top },
      { size: i.inWidth, outputs: i.outWidth, filter: i.filterWidth, stride: i.strideWidth, pad: i.padInfo.left },
    ]
    return { x: () => backward(tf.AvgPoolGrad, correct(dy as tf.Tensor, windows), x!, attributes) }
  },
})

tf.registerGradient({
  kernelName: tf.AvgPool3D,
  inputsToSave: ['x'],
  gradFunc(dy, [x], attributes) {
    const { filterSize, strides, pad, dimRoundingMode } = attributes as unknown as tf.AvgPool3DAttrs
    const shape = x!.shape as [number, number, number, number, number]
    const i = tf.backend_util.computePool3DInfo(shape, filterSize, strides, 1, pad, dimRoundingMode)
    const windows: Window[] = [
      { size: i.inDepth, outputs: i.outDepth, filter: i.filterDepth, stride: i.strideDepth, pad: i.padInfo.front },
      { size: i.inHeight, outputs: i.outHeight, filter: i.filterHeight, stride: i.strideHeight, pad: i.padInfo.top },
      { size: i.inWidth, outputs: i.outWidth, filter: i.filterWidth, stride: i.strideWidth, pad: i.padInfo.left },
    ]
    return { x: () => backward(tf.AvgPool3DGrad, correct(dy as tf.Tensor, windows), x!, attributes) }
  },
})

const backward = (kernel: string, dy: tf.Tensor, input: tf.Tensor, attributes: tf.NamedAttrMap): tf.Tensor =>
  tf.engine().runKernel(kernel, { dy, input }, attributes)
