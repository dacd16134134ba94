import * as tf from '@tensorflow/tfjs-core'
import { sameShape, type Value } from '../ir.js'
import { windowOf } from './conv.js'
import { float, type Kernels, kernel } from './kernel.js'

function infer(x: Value, { filterSize, strides, pad, dimRoundingMode }: tf.MaxPoolAttrs): tf.backend_util.Conv2DInfo {
  const shape = x.shape as [number, number, number, number]
  return tf.backend_util.computePool2DInfo(shape, filterSize, strides, 1, pad, dimRoundingMode)
}

/** A window of one element that moves by one is no pool at all. */
function isIdentity(info: tf.backend_util.Conv2DInfo): boolean {
  return info.filterWidth === 1 && info.filterHeight === 1 && sameShape(info.inShape, info.outShape)
}

function pool(op: string) {
  return kernel<tf.MaxPoolInputs, tf.MaxPoolAttrs>(({ x }, attributes, graph) => {
    const info = infer(x, attributes)
    return isIdentity(info) ? x : graph.emit(op, [x], float(info.outShape), windowOf(info))
  })
}

export const pools: Kernels = {
  MaxPool: pool('maxPool'),
  /** Among equal maxima the first, row by row, gets the gradient. */
  MaxPoolGrad: kernel<tf.MaxPoolGradInputs, tf.MaxPoolGradAttrs>(({ dy, input, output }, attributes, graph) => {
    const info = infer(input, attributes)
    return isIdentity(info) ? dy : graph.emit('maxPoolGrad', [dy, input, output], float(input.shape), windowOf(info))
  }),
  AvgPool: pool('avgPool'),
  AvgPoolGrad: kernel<tf.AvgPoolGradInputs, tf.AvgPoolGradAttrs>(({ dy, input }, attributes, graph) => {
    const info = infer(input, attributes)
    return isIdentity(info) ? dy : graph.emit('avgPoolGrad', [dy], float(input.shape), windowOf(info))
  }),
}
