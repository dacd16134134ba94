import * as tf from '@tensorflow/tfjs-core'
import type { Attributes, Graph, Value } from '../ir.js'
import { binary } from './arithmetic.js'
import { float, type Kernels, kernel, transpose } from './kernel.js'
import { activate } from './unary.js'

type Info = tf.backend_util.Conv2DInfo

interface Geometry {
  strides: number | [number, number]
  pad: 'valid' | 'same' | number | tf.backend_util.ExplicitPadding
  dataFormat?: 'NHWC' | 'NCHW'
  dilations?: number | [number, number] | null
  dimRoundingMode?: 'floor' | 'round' | 'ceil'
}

type Quad = [number, number, number, number]

/** Explicit padding has a pair an axis. */
function padOfNhwc([n, c, h, w]: tf.backend_util.ExplicitPadding): tf.backend_util.ExplicitPadding {
  return [n, h, w, c]
}

/** tfjs's own inference of a convolution's sizes, always for NHWC. */
function infer(x: readonly number[], filter: readonly number[], g: Geometry, depthwise = false): Info {
  const { strides, dimRoundingMode } = g
  const pad = g.dataFormat === 'NCHW' && Array.isArray(g.pad) ? padOfNhwc(g.pad) : g.pad
  const dilations = g.dilations ?? 1 // some layers give null
  return tf.backend_util.computeConv2DInfo(
    x as Quad,
    filter as Quad,
    strides,
    dilations,
    pad,
    dimRoundingMode,
    depthwise,
  )
}

export function windowOf(info: Info): Attributes {
  const { top, left, bottom, right } = info.padInfo
  return {
    kernel: [info.filterHeight, info.filterWidth],
    strides: [info.strideHeight, info.strideWidth],
    dilations: [info.dilationHeight, info.dilationWidth],
    pads: [top, left, bottom, right],
  }
}

const toNhwc = (graph: Graph, x: Value) => transpose(graph, x, [0, 2, 3, 1])
const toNchw = (graph: Graph, x: Value) => transpose(graph, x, [0, 3, 1, 2])
const nhwcOf = ([n, c, h, w]: readonly number[]): Quad => [n!, h!, w!, c!]

/** Runs `convolve` on NHWC values, whatever the format that the caller has. */
function inNhwc(graph: Graph, format: 'NHWC' | 'NCHW' | undefined, x: Value, convolve: (x: Value) => Value): Value {
  return format === 'NCHW' ? toNchw(graph, convolve(toNhwc(graph, x))) : convolve(x)
}

function conv2d(graph: Graph, x: Value, filter: Value, geometry: Geometry): Value {
  const info = infer(x.shape, filter.shape, geometry)
  return graph.emit('conv2d', [x, filter], float(info.outShape), windowOf(info))
}

function depthwise(graph: Graph, x: Value, filter: Value, geometry: Geometry): Value {
  const info = infer(x.shape, filter.shape, geometry, true)
  return graph.emit('depthwiseConv2d', [x, filter], float(info.outShape), windowOf(info))
}

type Fused = tf.FusedConv2DInputs
type FusedAttributes = tf.FusedConv2DAttrs

/** A convolution, a bias and an activation; a vector of bias or slopes belongs to the channels, which are last in NHWC. */
function fused(convolve: typeof conv2d) {
  return kernel<Fused, FusedAttributes>(({ x, filter, bias, preluActivationWeights: weights }, attributes, graph) =>
    inNhwc(graph, attributes.dataFormat, x, (nhwc) => {
      const ofChannels = (v: Value) =>
        attributes.dataFormat === 'NCHW' && v.shape.length === 3 ? transpose(graph, v, [1, 2, 0]) : v
      const convolved = convolve(graph, nhwc, filter, attributes)
      const sum = bias ? binary(graph, 'Add', convolved, ofChannels(bias)) : convolved
      const { activation, leakyreluAlpha: alpha } = attributes
      return activate(graph, sum, { activation, alpha, weights: weights && ofChannels(weights) })
    }),
  )
}

export const convolutions: Kernels = {
  Conv2D: kernel<tf.Conv2DInputs, tf.Conv2DAttrs>(({ x, filter }, attributes, graph) =>
    inNhwc(graph, attributes.dataFormat, x, (nhwc) => conv2d(graph, nhwc, filter, attributes)),
  ),
  FusedConv2D: fused(conv2d),
  Conv2DBackpropInput: kernel<tf.Conv2DBackpropInputInputs, tf.Conv2DBackpropInputAttrs>(
    ({ dy, filter }, attributes, graph) => {
      const { inputShape, dataFormat } = attributes
      const info = infer(dataFormat === 'NCHW' ? nhwcOf(inputShape) : inputShape, filter.shape, attributes)
      return inNhwc(graph, dataFormat, dy, (nhwc) =>
        graph.emit('conv2dBackpropInput', [nhwc, filter], float(info.inShape), windowOf(info)),
      )
    },
  ),
  Conv2DBackpropFilter: kernel<tf.Conv2DBackpropFilterInputs, tf.Conv2DBackpropFilterAttrs>(
    ({ x, dy }, attributes, graph) => {
      const first = attributes.dataFormat === 'NCHW'
      const [input, gradient] = first ? [toNhwc(graph, x), toNhwc(graph, dy)] : [x, dy]
      const info = infer(input.shape, attributes.filterShape, attributes)
      return graph.emit('conv2dBackpropFilter', [input, gradient], float(info.filterShape), windowOf(info))
    },
  ),
  DepthwiseConv2dNative: kernel<tf.DepthwiseConv2dNativeInputs, tf.DepthwiseConv2dNativeAttrs>(
    ({ x, filter }, attributes, graph) =>
      inNhwc(graph, attributes.dataFormat, x, (nhwc) => depthwise(graph, nhwc, filter, attributes)),
  ),
  FusedDepthwiseConv2D: fused(depthwise),
  DepthwiseConv2dNativeBackpropInput: kernel<
    tf.DepthwiseConv2dNativeBackpropInputInputs,
    tf.DepthwiseConv2dNativeBackpropInputAttrs
  >(({ dy, filter }, attributes, graph) => {
    const info = infer(attributes.inputShape, filter.shape, attributes, true)
    return graph.emit('depthwiseConv2dBackpropInput', [dy, filter], float(info.inShape), windowOf(info))
  }),
  DepthwiseConv2dNativeBackpropFilter: kernel<
    tf.DepthwiseConv2dNativeBackpropFilterInputs,
    tf.DepthwiseConv2dNativeBackpropFilterAttrs
  >(({ x, dy }, attributes, graph) => {
    const info = infer(x.shape, attributes.filterShape, attributes, true)
    return graph.emit('depthwiseConv2dBackpropFilter', [x, dy], float(attributes.filterShape), windowOf(info))
  }),
}
