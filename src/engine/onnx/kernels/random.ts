import type * as tf from '@tensorflow/tfjs-core'
import { type UniformAttrs, uniformKernel } from '../../random.js'
import { type Graph, sizeOf, type Value } from '../ir.js'
import { cast, constant, float, type Kernels, kernel, reshape } from './kernel.js'

/** The first of the three numbers of pcg3d (Jarzynski and Olano, JCGT 2020) for (element, step, key), element by element. */
function pcg3d(graph: Graph, step: Value, { shape, key }: UniformAttrs): Value {
  const uint = (value: number) => constant(graph, value >>> 0, { dtype: 'uint32', shape: [] })
  const emit = (op: string, a: Value, b: Value) =>
    graph.emit(op, [a, b], { dtype: 'uint32', shape: a.shape.length > b.shape.length ? a.shape : b.shape })
  const add = (a: Value, b: Value) => emit('Add', a, b)
  const multiply = (a: Value, b: Value) => emit('Mul', a, b)
  const scramble = (v: Value) => add(multiply(v, uint(1664525)), uint(1013904223))
  const fold = (v: Value) => {
    const shifted = graph.emit('BitShift', [v, uint(16)], v, { direction: 'RIGHT' })
    return graph.emit('BitwiseXor', [v, shifted], v)
  }

  let a = scrambledElements(graph, sizeOf(shape))
  let b = scramble(cast(graph, step, 'uint32'))
  let c = scramble(uint(key))
  const mix = () => {
    a = add(a, multiply(b, c))
    b = add(b, multiply(c, a))
    c = add(c, multiply(a, b))
  }
  mix()
  a = fold(a)
  b = fold(b)
  c = fold(c)
  mix()
  return a
}

const rowLength = 1024

/** i · 1664525 + 1013904223 for i = 0, 1, ..., as [size]; rows and columns are constants, their sum is not stored. */
function scrambledElements(graph: Graph, size: number): Value {
  const scramble = (i: number) => (Math.imul(i, 1664525) + 1013904223) >>> 0
  const columns = Uint32Array.from({ length: Math.min(size, rowLength) }, (_, i) => scramble(i))
  const row = graph.constant(columns, { dtype: 'uint32', shape: [columns.length] })
  if (size <= rowLength) return row
  const count = Math.ceil(size / rowLength)
  const starts = Uint32Array.from({ length: count }, (_, i) => Math.imul(i * rowLength, 1664525) >>> 0)
  const column = graph.constant(starts, { dtype: 'uint32', shape: [count, 1] })
  const all = graph.emit('Add', [column, row], { dtype: 'uint32', shape: [count, rowLength] })
  const flat = reshape(graph, all, [count * rowLength])
  if (size === count * rowLength) return flat
  return graph.emit(
    'Slice',
    [flat],
    { dtype: 'uint32', shape: [size] },
    { starts: [0], ends: [size], axes: [0], steps: [1] },
  )
}

export const randoms: Kernels = {
  [uniformKernel]: kernel<{ step: tf.TensorInfo }, UniformAttrs>(({ step }, attributes, graph) => {
    const bits = pcg3d(graph, step, attributes)
    const eight = constant(graph, 8, { dtype: 'uint32', shape: [] })
    const top = graph.emit('BitShift', [bits, eight], bits, { direction: 'RIGHT' })
    const unit = graph.emit('Mul', [cast(graph, top, 'float32'), graph.scalar(2 ** -24)], float(bits.shape))
    return reshape(graph, unit, attributes.shape)
  }),
}
