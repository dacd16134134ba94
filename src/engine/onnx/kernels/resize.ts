import type * as tf from '@tensorflow/tfjs-core'
import { type Axis, linear, nearest, type Taps } from '../../tfjs/resize-taps.js'
import type { Graph, Value } from '../ir.js'
import { cast, constant, float, type Kernels, kernel, reshape, transpose } from './kernel.js'

/** The weights as a matrix [to, from]; its transpose is the gradient. */
function matrix(graph: Graph, taps: readonly Taps[], from: number): Value {
  const weights = new Float32Array(taps.length * from)
  for (const [row, list] of taps.entries()) for (const { index, weight } of list) weights[row * from + index]! += weight
  return constant(graph, weights, float([taps.length, from]))
}

/** Multiplies height and width of [n, h, w, c] by a matrix each. */
function multiplySpace(graph: Graph, x: Value, [rows, columns]: readonly [Value, Value]): Value {
  const [n, h, w, c] = x.shape as [number, number, number, number]
  const [height, width] = [rows.shape[0]!, columns.shape[0]!]
  const tall = graph.emit('MatMul', [rows, reshape(graph, x, [n, h, w * c])], float([n, height, w * c]))
  const flat = reshape(graph, tall, [n * height, w, c])
  const wide = graph.emit('MatMul', [columns, flat], float([n * height, width, c]))
  return reshape(graph, wide, [n, height, width, c])
}

function backprop(axis: Axis) {
  return kernel<tf.ResizeBilinearGradInputs, tf.ResizeBilinearGradAttrs>(({ images, dy }, sampling, graph) => {
    const matrices = [1, 2].map((i) => {
      const [from, to] = [images.shape[i]!, dy.shape[i]!]
      return transpose(graph, matrix(graph, axis(from, to, sampling), from), [1, 0])
    })
    return multiplySpace(graph, dy, matrices as [Value, Value])
  })
}

/** tfjs's resizing is a linear map of the rows and one of the columns. */
export const resizes: Kernels = {
  ResizeBilinear: kernel<tf.ResizeBilinearInputs, tf.ResizeBilinearAttrs>(({ images }, attributes, graph) => {
    const matrices = [0, 1].map((i) => {
      const from = images.shape[i + 1]!
      return matrix(graph, linear(from, attributes.size[i]!, attributes), from)
    })
    return multiplySpace(graph, cast(graph, images, 'float32'), matrices as [Value, Value])
  }),
  ResizeBilinearGrad: backprop(linear),
  ResizeNearestNeighbor: kernel<tf.ResizeNearestNeighborInputs, tf.ResizeNearestNeighborAttrs>(
    ({ images }, attributes, graph) =>
      [1, 2].reduce((x, axis) => {
        const to = attributes.size[axis - 1]!
        const taps = nearest(x.shape[axis]!, to, attributes).map(([tap]) => tap!.index)
        const places = constant(graph, taps, { dtype: 'int32', shape: [to] })
        const shape = x.shape.map((d, i) => (i === axis ? to : d))
        return graph.emit('Gather', [x, places], { dtype: x.dtype, shape }, { axis })
      }, images),
  ),
  ResizeNearestNeighborGrad: backprop(nearest),
}
