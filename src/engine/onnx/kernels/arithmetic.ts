import * as tf from '@tensorflow/tfjs-core'
import type { DType, Graph, Value } from '../ir.js'
import { bool, cast, float, type Kernels, kernel, reshape } from './kernel.js'

type Binary = tf.BinaryInputs

/** Shapes broadcast; an operator that ONNX lacks for bool runs on int32. */
export function binary(graph: Graph, op: string, a: Value, b: Value, dtype: DType = a.dtype): Value {
  const shape = tf.broadcast_util.assertAndGetBroadcastShape([...a.shape], [...b.shape])
  if (a.dtype === 'bool' && dtype === 'bool') {
    const [x, y] = [cast(graph, a, 'int32'), cast(graph, b, 'int32')]
    return cast(graph, graph.emit(op, [x, y], { dtype: 'int32', shape }), 'bool')
  }
  return graph.emit(op, [a, b], { dtype, shape })
}

const direct = (op: string) => kernel<Binary>(({ a, b }, _, graph) => binary(graph, op, a, b))

/** floor(a / b) rounded as in real arithmetic, whatever the signs. */
function floorDiv(graph: Graph, a: Value, b: Value): Value {
  const quotient = binary(graph, 'Div', cast(graph, a, 'float32'), cast(graph, b, 'float32'))
  return cast(graph, graph.emit('Floor', [quotient], quotient), 'int32')
}

/** With the divisor's sign. */
function mod(graph: Graph, a: Value, b: Value): Value {
  if (a.dtype !== 'float32') return binary(graph, 'Mod', a, b)
  const quotient = binary(graph, 'Div', a, b)
  return binary(graph, 'Sub', a, binary(graph, 'Mul', b, graph.emit('Floor', [quotient], quotient)))
}

/** The angle of the point (b, a) in all four quadrants; on the axis b = 0 it is ±π/2, at the origin 0. */
function atan2(graph: Graph, a: Value, b: Value): Value {
  const zero = graph.scalar(0)
  const quotient = binary(graph, 'Div', a, b)
  const type = float(quotient.shape)
  const where = (condition: Value, yes: Value, no: Value) => graph.emit('Where', [condition, yes, no], type)
  const compare = (op: string, x: Value) => graph.emit(op, [x, zero], bool(x.shape))
  const half = graph.emit('Mul', [graph.emit('Sign', [a], a), graph.scalar(Math.PI / 2)], a)
  const turn = where(compare('Less', a), graph.scalar(-Math.PI), graph.scalar(Math.PI))
  const angle = graph.emit('Atan', [quotient], type)
  const left = where(compare('Less', b), binary(graph, 'Add', angle, turn), angle)
  return where(compare('Equal', b), half, left)
}

export const arithmetic: Kernels = {
  Add: direct('Add'),
  Sub: direct('Sub'),
  Multiply: direct('Mul'),
  RealDiv: direct('Div'),
  Pow: direct('Pow'),
  Maximum: direct('Max'),
  Minimum: direct('Min'),
  FloorDiv: kernel<Binary>(({ a, b }, _, graph) => floorDiv(graph, a, b)),
  Mod: kernel<Binary>(({ a, b }, _, graph) => mod(graph, a, b)),
  Atan2: kernel<Binary>(({ a, b }, _, graph) => atan2(graph, a, b)),
  SquaredDifference: kernel<Binary>(({ a, b }, _, graph) => {
    const difference = binary(graph, 'Sub', a, b)
    return binary(graph, 'Mul', difference, difference)
  }),
  BitwiseAnd: kernel<tf.BitwiseAndInputs>(({ a, b }, _, graph) => binary(graph, 'BitwiseAnd', a, b)),
  AddN: kernel<Record<number, tf.TensorInfo>>((inputs, _, graph) =>
    (Object.values(inputs) as Value[]).reduce((sum, x) => binary(graph, 'Add', sum, x)),
  ),
}

const compare = (op: string) => kernel<Binary>(({ a, b }, _, graph) => binary(graph, op, a, b, 'bool'))

/** ONNX compares numbers, not truth values. */
const compareNumbers = (op: string) =>
  kernel<Binary>(({ a, b }, _, graph) => {
    const number = (x: Value) => (x.dtype === 'bool' ? cast(graph, x, 'int32') : x)
    return binary(graph, op, number(a), number(b), 'bool')
  })

function logical(op: string) {
  return kernel<Binary>(({ a, b }, _, graph) => {
    const shape = tf.broadcast_util.assertAndGetBroadcastShape([...a.shape], [...b.shape])
    return graph.emit(op, [cast(graph, a, 'bool'), cast(graph, b, 'bool')], bool(shape))
  })
}

export const comparison: Kernels = {
  Equal: compareNumbers('Equal'),
  NotEqual: kernel<Binary>(({ a, b }, _, graph) => {
    const equal = binary(graph, 'Equal', a, b, 'bool')
    return graph.emit('Not', [equal], equal)
  }),
  Greater: compare('Greater'),
  GreaterEqual: compare('GreaterOrEqual'),
  Less: compare('Less'),
  LessEqual: compare('LessOrEqual'),
  LogicalAnd: logical('And'),
  LogicalOr: logical('Or'),
  LogicalNot: kernel<tf.LogicalNotInputs>(({ x }, _, graph) =>
    graph.emit('Not', [cast(graph, x, 'bool')], bool(x.shape)),
  ),
  Select: kernel<tf.SelectInputs>(({ condition, t, e }, _, graph) => {
    // ONNX Runtime does not choose between truth values.
    const [yes, no] = t.dtype === 'bool' ? [cast(graph, t, 'int32'), cast(graph, e, 'int32')] : [t, e]
    const first = condition.shape.length === 1 && t.shape.length > 1 // a vector chooses whole slices
    const chooser = first
      ? reshape(graph, condition, [...condition.shape, ...t.shape.slice(1).map(() => 1)])
      : condition
    return cast(graph, graph.emit('Where', [cast(graph, chooser, 'bool'), yes, no], yes), t.dtype)
  }),
}
