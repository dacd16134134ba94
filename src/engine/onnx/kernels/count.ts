import type * as tf from '@tensorflow/tfjs-core'
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

export const counts: Kernels = {
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
}
