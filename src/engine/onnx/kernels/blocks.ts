import * as tf from '@tensorflow/tfjs-core'
import { type Graph, sizeOf, type Value } from '../ir.js'
import { constant, type Kernels, kernel, reshape, slice, transpose } from './kernel.js'

const util = tf.backend_util

/** Adds zeros around the spatial axes, which follow the batch. */
function padSpatial(graph: Graph, x: Value, paddings: readonly (readonly number[])[]): Value {
  if (paddings.every(([before, after]) => before === 0 && after === 0)) return x
  const sides = x.shape.map((_, axis) => paddings[axis - 1] ?? [0, 0])
  const shape = x.shape.map((d, axis) => d + sides[axis]![0]! + sides[axis]![1]!)
  const pads = [0, 1].flatMap((side) => sides.map((pair) => pair[side]!))
  const zero = constant(graph, 0, { dtype: x.dtype, shape: [] })
  return graph.emit('Pad', [x, zero], { dtype: x.dtype, shape }, { pads })
}

export const blocks: Kernels = {
  SpaceToBatchND: kernel<tf.SpaceToBatchNDInputs, tf.SpaceToBatchNDAttrs>(({ x }, attributes, graph) => {
    const { blockShape, paddings } = attributes
    const padded = padSpatial(graph, x, paddings)
    const [shape, count] = [[...padded.shape], sizeOf(blockShape)]
    const split = util.getReshaped(shape, blockShape, count, false)
    const moved = transpose(
      graph,
      reshape(graph, padded, split),
      util.getPermuted(split.length, blockShape.length, false),
    )
    return reshape(graph, moved, util.getReshapedPermuted(shape, blockShape, count, false))
  }),
  BatchToSpaceND: kernel<tf.BatchToSpaceNDInputs, tf.BatchToSpaceNDAttrs>(({ x }, { blockShape, crops }, graph) => {
    const [shape, count] = [[...x.shape], sizeOf(blockShape)]
    const split = util.getReshaped(shape, blockShape, count)
    const moved = transpose(graph, reshape(graph, x, split), util.getPermuted(split.length, blockShape.length))
    const joined = reshape(graph, moved, util.getReshapedPermuted(shape, blockShape, count))
    const starts = util.getSliceBeginCoords(crops, blockShape.length)
    const sizes = util.getSliceSize([...joined.shape], crops, blockShape.length)
    const axes = starts.map((_, axis) => axis)
    return slice(graph, joined, { starts, ends: axes.map((axis) => starts[axis]! + sizes[axis]!), axes })
  }),
  DepthToSpace: kernel<tf.DepthToSpaceInputs, tf.DepthToSpaceAttrs>(({ x }, { blockSize: b, dataFormat }, graph) => {
    if (dataFormat !== 'NHWC') throw new TypeError(`dataFormat ${dataFormat}: expected NHWC`)
    const [n, h, w, c] = x.shape as [number, number, number, number]
    const depth = c / (b * b)
    const moved = transpose(graph, reshape(graph, x, [n, h, w, b, b, depth]), [0, 1, 3, 2, 4, 5])
    return reshape(graph, moved, [n, h * b, w * b, depth])
  }),
}
