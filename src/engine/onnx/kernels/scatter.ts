import type * as tf from '@tensorflow/tfjs-core'
import { type Graph, sizeOf, type Value } from '../ir.js'
import { bool, cast, constant, fill, type Kernels, kernel, reshape, slice } from './kernel.js'

/** Indices as ONNX wants them: [..., how many axes they index]. A vector indexes the first axis. */
function rows(graph: Graph, indices: Value): Value {
  const matrix = indices.shape.length < 2 ? reshape(graph, indices, [sizeOf(indices.shape), 1]) : indices
  return cast(graph, matrix, 'int64')
}

export const scatters: Kernels = {
  ScatterNd: kernel<tf.ScatterNdInputs, tf.ScatterNdAttrs>(({ indices, updates }, { shape }, graph) => {
    const zeros = fill(graph, 0, { dtype: updates.dtype, shape })
    return graph.emit('ScatterND', [zeros, rows(graph, indices), updates], zeros, { reduction: 'add' })
  }),
  SparseToDense: kernel<tf.SparseToDenseInputs, tf.SparseToDenseAttrs>((inputs, { outputShape }, graph) => {
    const { sparseIndices, sparseValues, defaultValue } = inputs
    const dtype = sparseValues.dtype
    const indices = rows(graph, sparseIndices)
    const shape = [...indices.shape.slice(0, -1), ...outputShape.slice(indices.shape.at(-1)!)]
    const updates = graph.emit('Expand', [sparseValues], { dtype, shape })
    const background = graph.emit('Expand', [reshape(graph, defaultValue, [])], { dtype, shape: outputShape })
    return graph.emit('ScatterND', [background, indices, updates], background)
  }),
  TensorScatterUpdate: kernel<tf.TensorScatterUpdateInputs>(({ tensor, indices, updates }, _, graph) =>
    graph.emit('ScatterND', [tensor, rows(graph, indices), updates], tensor),
  ),
  /** tfjs: sums of the slices of x whose segment is the same; axis 0, segments a vector. */
  UnsortedSegmentSum: kernel<tf.UnsortedSegmentSumInputs, tf.UnsortedSegmentSumAttrs>(
    ({ x, segmentIds }, { numSegments }, graph) => {
      const inner = x.shape.slice(1)
      const number = (value: number) => constant(graph, value, { dtype: 'int32', shape: [] })
      const ids = cast(graph, segmentIds, 'int32')
      const negative = graph.emit('Less', [ids, number(0)], bool(ids.shape))
      // Negative ids are left out: their slices go to one segment more, which is cut off.
      const places = graph.emit('Where', [negative, number(numSegments), ids], ids)
      const zeros = fill(graph, 0, { dtype: x.dtype, shape: [numSegments + 1, ...inner] })
      const sums = graph.emit('ScatterND', [zeros, rows(graph, places), x], zeros, { reduction: 'add' })
      return slice(graph, sums, { starts: [0], ends: [numSegments], axes: [0] })
    },
  ),
  Diag: kernel<tf.DiagInputs>(({ x }, _, graph) => {
    const n = sizeOf(x.shape)
    const eye = constant(
      graph,
      Array.from({ length: n * n }, (_, i) => (i % (n + 1) === 0 ? 1 : 0)),
      bool([n, n]),
    )
    const shape = [...x.shape, ...x.shape]
    const column = reshape(graph, x, [n, 1])
    if (x.dtype === 'bool') return reshape(graph, graph.emit('And', [eye, column], bool([n, n])), shape)
    const zero = constant(graph, 0, { dtype: x.dtype, shape: [] })
    return reshape(graph, graph.emit('Where', [eye, column, zero], { dtype: x.dtype, shape: [n, n] }), shape)
  }),
}
