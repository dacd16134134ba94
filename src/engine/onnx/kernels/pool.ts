import * as tf from '@tensorflow/tfjs-core'
import { sameShape, type Value } from '../ir.js'
import { windowOf } from './conv.js'
import { cast, constant, float, type Kernels, kernel, transpose } from './kernel.js'

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

/** Largest elements, and where each of them is in the flattened input. */
const maxPoolWithArgmax = kernel<tf.MaxPoolWithArgmaxInputs, tf.MaxPoolWithArgmaxAttrs>(({ x }, attributes, graph) => {
  const { filterSize, strides, pad, includeBatchInIndex } = attributes
  const info = infer(x, { filterSize, strides, pad })
  const [n, h, w, c] = info.outShape
  const area = info.inHeight * info.inWidth
  const { kernel: kernelShape, pads, strides: steps } = windowOf(info)
  const first = [n, c, h, w]
  const types = [float(first), { dtype: 'int64' as const, shape: first }]
  const window = { kernel_shape: kernelShape, pads, strides: steps }
  const [largest, flat] = graph.emitAll('MaxPool', [transpose(graph, x, [0, 3, 1, 2])], types, window)
  // ONNX counts in NCHW: ((image · c) + channel) · area + pixel.
  const offsets = Array.from({ length: n * c }, (_, i) => {
    const [image, channel] = [Math.floor(i / c), i % c]
    return channel + (includeBatchInIndex ? image * area * c : 0)
  })
  const starts = Array.from({ length: n * c }, (_, i) => i * area)
  const each = { dtype: 'int32' as const, shape: [n, c, 1, 1] }
  const integer = { dtype: 'int32' as const, shape: first }
  const pixel = graph.emit('Sub', [cast(graph, flat!, 'int32'), constant(graph, starts, each)], integer)
  const scaled = graph.emit('Mul', [pixel, constant(graph, c, { dtype: 'int32', shape: [] })], integer)
  const index = graph.emit('Add', [scaled, constant(graph, offsets, each)], integer)
  return [largest!, index].map((value) => transpose(graph, value, [0, 2, 3, 1]))
})

export const pools: Kernels = {
  MaxPool: pool('maxPool'),
  MaxPoolWithArgmax: maxPoolWithArgmax,
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
