import * as tf from '@tensorflow/tfjs-core'
import type { Graph, Value } from '../ir.js'
import { bool, constant, fill, float, type Kernels, kernel, reshape, slice, transpose } from './kernel.js'

type Info = tf.backend_util.Conv3DInfo
type Triple = readonly [number, number, number]

/** A window over [n, depth, height, width, c]. */
interface Window {
  kernel: Triple
  strides: Triple
  dilations: Triple
  before: Triple
}

function windowOf(info: Info): Window {
  const { front, top, left } = info.padInfo
  return {
    kernel: [info.filterDepth, info.filterHeight, info.filterWidth],
    strides: [info.strideDepth, info.strideHeight, info.strideWidth],
    dilations: [info.dilationDepth, info.dilationHeight, info.dilationWidth],
    before: [front, top, left],
  }
}

const axes = [0, 1, 2] as const
const toFirst = (graph: Graph, x: Value) => transpose(graph, x, [0, 4, 1, 2, 3])
const toLast = (graph: Graph, x: Value) => transpose(graph, x, [0, 2, 3, 4, 1])

/** What the window reaches of the padded input. */
function reach({ kernel: size, strides, dilations }: Window, output: readonly number[], axis: 0 | 1 | 2): number {
  return (output[axis + 1]! - 1) * strides[axis] + (size[axis] - 1) * dilations[axis] + 1
}

/** ONNX's attributes, with pads that give exactly the output's size, whichever way tfjs rounded it. */
function onnxWindow(window: Window, input: readonly number[], output: readonly number[]) {
  const after = axes.map((axis) => Math.max(0, reach(window, output, axis) - input[axis + 1]! - window.before[axis]))
  return { kernel_shape: window.kernel, strides: window.strides, pads: [...window.before, ...after] }
}

/** The transpose of a convolution: from output's size back to input's, both channels last. */
function scatter(
  graph: Graph,
  dy: Value,
  weights: Value,
  to: { window: Window; shape: readonly number[]; group?: number },
) {
  const { window, shape, group = 1 } = to
  const sizes = axes.map((axis) => reach(window, dy.shape, axis))
  // What no window reaches gets zeros, what hangs over the edge is cut.
  const surplus = axes.map((axis) => sizes[axis]! - window.before[axis] - shape[axis + 1]!)
  const first = toFirst(graph, dy)
  const [n, d, h, w, c] = shape as [number, number, number, number, number]
  return toLast(
    graph,
    graph.emit('ConvTranspose', [first, weights], float([n, c, d, h, w]), {
      kernel_shape: window.kernel,
      strides: window.strides,
      dilations: window.dilations,
      pads: [...window.before, ...surplus.map((extra) => Math.max(0, extra))],
      output_padding: surplus.map((extra) => Math.max(0, -extra)),
      group,
    }),
  )
}

/** The input's elements under each place of the window, each [n, outDepth, outHeight, outWidth, c]. */
function patches(
  graph: Graph,
  x: Value,
  window: Window,
  options: { output: readonly number[]; outside: number },
): Value[] {
  const { output, outside } = options
  const after = axes.map((axis) => Math.max(0, reach(window, output, axis) - x.shape[axis + 1]! - window.before[axis]))
  const shape = x.shape.map((d, i) => (i === 0 || i === 4 ? d : d + window.before[i - 1]! + after[i - 1]!))
  const pads = [0, ...window.before, 0, 0, ...after, 0]
  const padded = pads.some((p) => p > 0)
    ? graph.emit('Pad', [x, fill(graph, outside, float([]))], float(shape), { pads })
    : x
  const [kd, kh, kw] = window.kernel
  return Array.from({ length: kd * kh * kw }, (_, i) => {
    const place = [Math.floor(i / (kh * kw)), Math.floor(i / kw) % kh, i % kw]
    const starts = axes.map((axis) => place[axis]! * window.dilations[axis])
    const ends = axes.map((axis) => starts[axis]! + (output[axis + 1]! - 1) * window.strides[axis] + 1)
    return slice(graph, padded, { starts, ends, axes: [1, 2, 3], steps: [...window.strides] })
  })
}

function poolInfo(
  x: Value,
  {
    filterSize,
    strides,
    pad,
    dimRoundingMode,
  }: Pick<tf.MaxPool3DAttrs, 'filterSize' | 'strides' | 'pad' | 'dimRoundingMode'>,
): Info {
  const shape = [...x.shape] as [number, number, number, number, number]
  return tf.backend_util.computePool3DInfo(shape, filterSize, strides, 1, pad, dimRoundingMode)
}

function pool(op: string) {
  return kernel<tf.MaxPool3DInputs, tf.MaxPool3DAttrs>(({ x }, attributes, graph) => {
    const info = poolInfo(x, attributes)
    const [n, d, h, w, c] = info.outShape
    const window = onnxWindow(windowOf(info), x.shape, info.outShape)
    return toLast(graph, graph.emit(op, [toFirst(graph, x)], float([n, c, d, h, w]), window))
  })
}

type Five = [number, number, number, number, number]

export const volumes: Kernels = {
  Conv3D: kernel<tf.Conv3DInputs, tf.Conv3DAttrs>(({ x, filter }, { strides, pad, dilations }, graph) => {
    const info = tf.backend_util.computeConv3DInfo(x.shape as Five, filter.shape as Five, strides, dilations, pad)
    const [n, d, h, w, c] = info.outShape
    const window = windowOf(info)
    const sides = [toFirst(graph, x), transpose(graph, filter, [4, 3, 0, 1, 2])]
    const attributes = { ...onnxWindow(window, x.shape, info.outShape), dilations: window.dilations }
    return toLast(graph, graph.emit('Conv', sides, float([n, c, d, h, w]), attributes))
  }),
  Conv3DBackpropInputV2: kernel<tf.Conv3DBackpropInputV2Inputs, tf.Conv3DBackpropInputV2Attrs>(
    ({ dy, filter }, { strides, pad, inputShape }, graph) => {
      const info = tf.backend_util.computeConv3DInfo(inputShape, filter.shape as Five, strides, 1, pad)
      const weights = transpose(graph, filter, [4, 3, 0, 1, 2])
      return scatter(graph, dy, weights, { window: windowOf(info), shape: inputShape })
    },
  ),
  /** dW = patchesᵀ · dy. */
  Conv3DBackpropFilterV2: kernel<tf.Conv3DBackpropFilterV2Inputs, tf.Conv3DBackpropFilterV2Attrs>(
    ({ x, dy }, { strides, pad, filterShape }, graph) => {
      const info = tf.backend_util.computeConv3DInfo(x.shape as Five, filterShape, strides, 1, pad)
      const parts = patches(graph, x, windowOf(info), { output: dy.shape, outside: 0 })
      const [cin, cout] = filterShape.slice(3) as [number, number]
      const rows = dy.shape.slice(0, 4).reduce((size, d) => size * d, 1)
      const width = parts.length * cin
      const all = graph.emit('Concat', parts, float([...dy.shape.slice(0, 4), width]), { axis: 4 })
      const sides = [reshape(graph, all, [rows, width]), reshape(graph, dy, [rows, cout])]
      return reshape(graph, graph.emit('Gemm', sides, float([width, cout]), { transA: 1, transB: 0 }), filterShape)
    },
  ),
  MaxPool3D: pool('MaxPool'),
  AvgPool3D: pool('AveragePool'),
  /** As tfjs: every place gets dy / the size of its window, also where the window hangs over the edge. */
  AvgPool3DGrad: kernel<tf.AvgPool3DGradInputs, tf.AvgPool3DGradAttrs>(({ dy, input }, attributes, graph) => {
    const window = windowOf(poolInfo(input, attributes))
    const [kd, kh, kw] = window.kernel
    const c = input.shape[4]!
    const weights = fill(graph, 1 / (kd * kh * kw), float([c, 1, kd, kh, kw]))
    return scatter(graph, dy, weights, { window, shape: input.shape, group: c })
  }),
  /** As tfjs: among equal maxima the last one gets the gradient, unlike in two dimensions. */
  MaxPool3DGrad: kernel<tf.MaxPool3DGradInputs, tf.MaxPool3DGradAttrs>(({ dy, input, output }, attributes, graph) => {
    const window = windowOf(poolInfo(input, attributes))
    const [kd, kh, kw] = window.kernel
    const places = kd * kh * kw
    const c = input.shape[4]!
    let rest = dy
    const parts = patches(graph, input, window, { output: dy.shape, outside: Number.NEGATIVE_INFINITY })
    const taken = parts.reverse().map((patch) => {
      const hit = graph.emit('Equal', [patch, output], bool(dy.shape))
      const part = graph.emit('Where', [hit, rest, graph.scalar(0)], dy)
      rest = graph.emit('Sub', [rest, part], dy)
      return reshape(graph, part, [...dy.shape, 1])
    })
    // Each channel has its places next to each other; place by place they go back to where they came from.
    const outer = dy.shape.slice(0, 4)
    const all = graph.emit('Concat', taken.reverse(), float([...outer, c, places]), { axis: 5 })
    const oneHot = Float32Array.from({ length: c * places * places }, (_, i) =>
      Math.floor(i / places) % places === i % places ? 1 : 0,
    )
    const weights = constant(graph, oneHot, float([c * places, 1, kd, kh, kw]))
    return scatter(graph, reshape(graph, all, [...outer, c * places]), weights, {
      window,
      shape: input.shape,
      group: c,
    })
  }),
}
