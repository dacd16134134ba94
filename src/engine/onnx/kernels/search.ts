import * as tf from '@tensorflow/tfjs-core'
import { type Graph, sizeOf, type Value } from '../ir.js'
import { binary } from './arithmetic.js'
import { bool, cast, constant, type Kernels, kernel, reduce, reshape } from './kernel.js'

/** How often each of 0 ... size - 1 is in the last axis of x, each time counted as its weight if there are weights. */
function count(
  graph: Graph,
  x: Value,
  weights: Value,
  { size, once = false }: { size: number; once?: boolean },
): Value {
  const numbers = constant(
    graph,
    Array.from({ length: size }, (_, i) => i),
    { dtype: x.dtype, shape: [size] },
  )
  const shape = [...x.shape, size]
  const hit = graph.emit('Equal', [reshape(graph, x, [...x.shape, 1]), numbers], bool(shape))
  const axis = x.shape.length - 1
  const dtype = weights.dtype
  if (once) return reduce(graph, 'ReduceMax', cast(graph, hit, dtype), [axis])
  const hits = cast(graph, hit, dtype)
  const weighted = weights.shape.includes(0)
    ? hits
    : binary(graph, 'Mul', hits, reshape(graph, weights, [...weights.shape, 1]))
  return reduce(graph, 'ReduceSum', weighted, [axis])
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

export const searches: Kernels = {
  Bincount: kernel<tf.BincountInputs, tf.BincountAttrs>(({ x, weights }, { size }, graph) => {
    const flat = (value: Value) => reshape(graph, value, [sizeOf(value.shape)])
    return count(graph, flat(x), flat(weights), { size })
  }),
  DenseBincount: kernel<tf.DenseBincountInputs, tf.DenseBincountAttrs>(({ x, weights }, attributes, graph) =>
    count(graph, x, weights, { size: attributes.size, once: attributes.binaryOutput }),
  ),
  /** How many elements of a row, which is sorted, come before a value. */
  SearchSorted: kernel<tf.SearchSortedInputs, tf.SearchSortedAttrs>(({ sortedSequence, values }, { side }, graph) => {
    const [rows, n] = sortedSequence.shape as [number, number]
    const m = values.shape[1]!
    const sides = [reshape(graph, sortedSequence, [rows, 1, n]), reshape(graph, values, [rows, m, 1])]
    const before = graph.emit(side === 'left' ? 'Less' : 'LessOrEqual', sides, bool([rows, m, n]))
    return reduce(graph, 'ReduceSum', cast(graph, before, 'int32'), [2])
  }),
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
  Einsum: kernel<Record<number, tf.TensorInfo>, tf.EinsumAttrs>((inputs, { equation }, graph) => {
    const tensors = Object.values(inputs) as Value[]
    const { allDims, idDims } = tf.backend_util.decodeEinsumEquation(equation, tensors.length)
    tf.backend_util.checkEinsumDimSizes(allDims.length, idDims, tensors as unknown as tf.Tensor[])
    const sizes = new Map(idDims.flatMap((dims, i) => dims.map((dim, axis) => [dim, tensors[i]!.shape[axis]!])))
    const rank = equation.split('->')[1]!.trim().length
    const shape = allDims.slice(0, rank).map((_, dim) => sizes.get(dim)!)
    return graph.emit('Einsum', tensors, { dtype: tensors[0]!.dtype, shape }, { equation })
  }),
  Diag: kernel<tf.DiagInputs>(({ x }, _, graph) => {
    const n = x.shape.reduce((size, d) => size * d, 1)
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
  SparseToDense: kernel<tf.SparseToDenseInputs, tf.SparseToDenseAttrs>((inputs, { outputShape }, graph) => {
    const { sparseIndices, sparseValues, defaultValue } = inputs
    const dtype = sparseValues.dtype
    const count = sizeOf(sparseIndices.shape)
    const indices = sparseIndices.shape.length < 2 ? reshape(graph, sparseIndices, [count, 1]) : sparseIndices
    const shape = [indices.shape.slice(0, -1), outputShape.slice(indices.shape.at(-1)!)].flat()
    const updates = graph.emit('Expand', [sparseValues], { dtype, shape })
    const background = graph.emit('Expand', [reshape(graph, defaultValue, [])], { dtype, shape: outputShape })
    return graph.emit('ScatterND', [background, cast(graph, indices, 'int64'), updates], background)
  }),
  TensorScatterUpdate: kernel<tf.TensorScatterUpdateInputs>(({ tensor, indices, updates }, _, graph) =>
    graph.emit('ScatterND', [tensor, cast(graph, indices, 'int64'), updates], tensor),
  ),
  BitwiseAnd: kernel<tf.BitwiseAndInputs>(({ a, b }, _, graph) => binary(graph, 'BitwiseAnd', a, b)),
}
