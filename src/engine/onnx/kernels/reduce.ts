import * as tf from '@tensorflow/tfjs-core'
import type { Graph, Value } from '../ir.js'
import { bool, cast, constant, fill, type Kernels, kernel, reduce, reshape, slice } from './kernel.js'

const axesOf = (axis: number | number[], x: Value) => tf.util.parseAxisParam(axis, [...x.shape])

/** Truth values are reduced as 0 and 1. */
function reduceBool(op: string) {
  return kernel<tf.AllInputs, tf.AllAttrs>(({ x }, { axis, keepDims }, graph) =>
    cast(graph, reduce(graph, op, cast(graph, x, 'int32'), axesOf(axis, x), keepDims), 'bool'),
  )
}

function argument(op: 'ArgMax' | 'ArgMin') {
  return kernel<tf.ArgMaxInputs, tf.ArgMaxAttrs>(({ x }, attributes, graph) => {
    const axis = axesOf(attributes.axis, x)[0]!
    const shape = x.shape.filter((_, i) => i !== axis)
    const number = x.dtype === 'bool' ? cast(graph, x, 'int32') : x
    return cast(graph, graph.emit(op, [number], { dtype: 'int64', shape }, { axis, keepdims: 0 }), 'int32')
  })
}

/** A reduction of the last axis. */
function softmax(graph: Graph, op: 'Softmax' | 'LogSoftmax', x: Value, axis: number): Value {
  return graph.emit(op, [x], x, { axis: axis < 0 ? axis + x.shape.length : axis })
}

export const reductions: Kernels = {
  Sum: kernel<tf.SumInputs, tf.SumAttrs>(({ x }, { axis, keepDims }, graph) =>
    reduce(graph, 'ReduceSum', x.dtype === 'bool' ? cast(graph, x, 'int32') : x, axesOf(axis, x), keepDims),
  ),
  Mean: kernel<tf.MeanInputs, tf.MeanAttrs>(({ x }, { axis, keepDims }, graph) =>
    reduce(graph, 'ReduceMean', cast(graph, x, 'float32'), axesOf(axis, x), keepDims),
  ),
  Max: kernel<tf.MaxInputs, tf.MaxAttrs>(({ x }, { reductionIndices, keepDims }, graph) =>
    reduce(graph, 'ReduceMax', x, axesOf(reductionIndices, x), keepDims),
  ),
  Min: kernel<tf.MinInputs, tf.MinAttrs>(({ x }, { axis, keepDims }, graph) =>
    reduce(graph, 'ReduceMin', x, axesOf(axis, x), keepDims),
  ),
  Prod: kernel<tf.ProdInputs, tf.ProdAttrs>(({ x }, { axis, keepDims }, graph) =>
    reduce(graph, 'ReduceProd', x.dtype === 'bool' ? cast(graph, x, 'int32') : x, axesOf(axis, x), keepDims),
  ),
  All: reduceBool('ReduceMin'),
  Any: reduceBool('ReduceMax'),
  ArgMax: argument('ArgMax'),
  ArgMin: argument('ArgMin'),
  Softmax: kernel<tf.SoftmaxInputs, tf.SoftmaxAttrs>(({ logits }, { dim }, graph) =>
    softmax(graph, 'Softmax', logits, dim),
  ),
  LogSoftmax: kernel<tf.LogSoftmaxInputs, tf.LogSoftmaxAttrs>(({ logits }, { axis }, graph) =>
    softmax(graph, 'LogSoftmax', logits, axis),
  ),
  Cumsum: kernel<tf.CumsumInputs, tf.CumsumAttrs>(({ x }, { axis, exclusive, reverse }, graph) =>
    graph.emit('CumSum', [x], x, {
      axis: axesOf(axis, x)[0]!,
      exclusive: exclusive ? 1 : 0,
      reverse: reverse ? 1 : 0,
    }),
  ),
  TopK: kernel<tf.TopKInputs, tf.TopKAttrs>(({ x }, { k }, graph) => {
    const shape = [...x.shape.slice(0, -1), k]
    // As tfjs: in order also where that is not asked for.
    const [values, indices] = graph.emitAll(
      'TopK',
      [x],
      [
        { dtype: x.dtype, shape },
        { dtype: 'int64', shape },
      ],
      { k, sorted: 1 },
    )
    return [values!, cast(graph, indices!, 'int32')]
  }),
  /** tfjs: sums of the slices of x whose segment is the same; axis 0, segments a vector. */
  UnsortedSegmentSum: kernel<tf.UnsortedSegmentSumInputs, tf.UnsortedSegmentSumAttrs>(
    ({ x, segmentIds }, { numSegments }, graph) => {
      const count = segmentIds.shape[0]!
      const inner = x.shape.slice(1)
      const number = (value: number) => constant(graph, value, { dtype: 'int32', shape: [] })
      const ids = cast(graph, segmentIds, 'int32')
      const negative = graph.emit('Less', [ids, number(0)], bool(ids.shape))
      // Negative ids are left out: their slices go to one segment more, which is cut off.
      const places = graph.emit('Where', [negative, number(numSegments), ids], ids)
      const segments = cast(graph, reshape(graph, places, [count, 1]), 'int64')
      const zeros = fill(graph, 0, { dtype: x.dtype, shape: [numSegments + 1, ...inner] })
      const sums = graph.emit('ScatterND', [zeros, segments, x], zeros, { reduction: 'add' })
      return slice(graph, sums, { starts: [0], ends: [numSegments], axes: [0] })
    },
  ),
}
