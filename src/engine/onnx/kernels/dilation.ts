import * as tf from '@tensorflow/tfjs-core'
import type { Graph, Value } from '../ir.js'
import { patches } from '../passes/lower-conv.js'
import { scatter } from '../passes/lower-pool.js'
import { bool, float, type Kernels, kernel, reduce, reshape, slice } from './kernel.js'

type Four = [number, number, number, number]

interface Geometry {
  x: Value
  filter: Value
  attributes: tf.Dilation2DAttrs
}

/** The sums whose largest is the output, one for each place of the window. */
function sums(graph: Graph, { x, filter, attributes }: Geometry) {
  const { strides, pad, dilations } = attributes
  const filterShape = filter.shape as [number, number, number]
  const info = tf.backend_util.computeDilation2DInfo(x.shape as Four, filterShape, strides, pad, 'NHWC', dilations)
  const { top, left, bottom, right } = info.padInfo
  const window = {
    kernel: [info.filterHeight, info.filterWidth] as const,
    strides: [info.strideHeight, info.strideWidth] as const,
    dilations: [info.dilationHeight, info.dilationWidth] as const,
    pads: [top, left, bottom, right] as const,
  }
  const type = float(info.outShape)
  const size = [info.outHeight, info.outWidth]
  const rows = reshape(graph, filter, [info.filterHeight * info.filterWidth, info.inChannels])
  const terms = patches(graph, x, window, { size, outside: Number.NEGATIVE_INFINITY }).map((patch, i) => {
    const weights = slice(graph, rows, { starts: [i], ends: [i + 1], axes: [0] })
    return graph.emit('Add', [patch, weights], type)
  })
  return { terms, window, type }
}

function largest(graph: Graph, terms: readonly Value[]): Value {
  return terms.reduce((max, term) => graph.emit('Max', [max, term], max))
}

/** dy for the place that is the first of the largest, zeros for the others. */
function shares(graph: Graph, terms: readonly Value[], dy: Value): Value[] {
  const max = largest(graph, terms)
  let rest = dy
  return terms.map((term) => {
    const hit = graph.emit('Equal', [term, max], bool(dy.shape))
    const part = graph.emit('Where', [hit, rest, graph.scalar(0)], dy)
    rest = graph.emit('Sub', [rest, part], dy)
    return part
  })
}

/** Grey-scale morphological dilation: the largest sum of a window of the image and the filter. */
export const dilations: Kernels = {
  Dilation2D: kernel<tf.Dilation2DInputs, tf.Dilation2DAttrs>(({ x, filter }, attributes, graph) =>
    largest(graph, sums(graph, { x, filter, attributes }).terms),
  ),
  Dilation2DBackpropInput: kernel<tf.Dilation2DBackpropInputInputs, tf.Dilation2DAttrs>(
    ({ x, filter, dy }, attributes, graph) => {
      const { terms, window } = sums(graph, { x, filter, attributes })
      return scatter(graph, shares(graph, terms, dy), window, x.shape)
    },
  ),
  Dilation2DBackpropFilter: kernel<tf.Dilation2DBackpropFilterInputs, tf.Dilation2DAttrs>(
    ({ x, filter, dy }, attributes, graph) => {
      const { terms } = sums(graph, { x, filter, attributes })
      const c = x.shape[3]!
      const parts = shares(graph, terms, dy).map((part) =>
        reshape(graph, reduce(graph, 'ReduceSum', part, [0, 1, 2]), [1, c]),
      )
      const all = parts.length === 1 ? parts[0]! : graph.emit('Concat', parts, float([parts.length, c]), { axis: 0 })
      return reshape(graph, all, filter.shape)
    },
  ),
}
