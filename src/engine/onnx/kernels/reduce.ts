import * as tf from '@tensorflow/tfjs-core'
import type { Graph, Value } from '../ir.js'
import { binary } from './arithmetic.js'
import { cast, constant, type Kernels, kernel, reduce } from './kernel.js'

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

/** `distance` elements further along an axis; those that come from outside are 1. */
function shift(graph: Graph, x: Value, axis: number, distance: number): Value {
  const d = x.shape[axis]!
  const [before, after] = distance > 0 ? [distance, 0] : [0, -distance]
  const pads = [...x.shape.map((_, i) => (i === axis ? before : 0)), ...x.shape.map((_, i) => (i === axis ? after : 0))]
  const one = constant(graph, 1, { dtype: x.dtype, shape: [] })
  const shape = x.shape.map((size, i) => (i === axis ? size + before + after : size))
  const padded = graph.emit('Pad', [x, one], { dtype: x.dtype, shape }, { pads })
  return graph.emit('Slice', [padded], x, { starts: [after], ends: [after + d], axes: [axis], steps: [1] })
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
  /** Products of 1, 2, 4, ... neighbours: a scan in log n passes (Hillis and Steele 1986). */
  Cumprod: kernel<tf.CumprodInputs, tf.CumprodAttrs>(({ x }, { axis, exclusive, reverse }, graph) => {
    const at = tf.util.parseAxisParam(axis, [...x.shape])[0]!
    const sign = reverse ? -1 : 1
    let product = exclusive ? shift(graph, x, at, sign) : x
    for (let step = 1; step < x.shape[at]!; step *= 2) {
      product = binary(graph, 'Mul', product, shift(graph, product, at, sign * step))
    }
    return product
  }),
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
}
