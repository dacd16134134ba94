import * as tf from '@tensorflow/tfjs-core'
import type { Graph, Shape, Value } from '../ir.js'
import { binary } from './arithmetic.js'
import { bool, cast } from './kernel.js'

function broadcast(a: Shape, b: Shape): Shape {
  return tf.broadcast_util.assertAndGetBroadcastShape([...a], [...b])
}

type Operand = Value | number

/** Arithmetic on float32 values and numbers; shapes broadcast. */
export function formulas(graph: Graph) {
  const value = (x: Operand) => (typeof x === 'number' ? graph.scalar(x) : x)
  const two = (op: string) => (a: Operand, b: Operand) => binary(graph, op, value(a), value(b))
  const one = (op: string) => (x: Value) => graph.emit(op, [x], x)
  const compare = (op: string) => (a: Operand, b: Operand) => binary(graph, op, value(a), value(b), 'bool')
  return {
    add: two('Add'),
    sub: two('Sub'),
    mul: two('Mul'),
    div: two('Div'),
    max: two('Max'),
    min: two('Min'),
    pow: two('Pow'),
    floor: one('Floor'),
    ceil: one('Ceil'),
    abs: one('Abs'),
    /** Towards zero. */
    trunc: (x: Value) => cast(graph, cast(graph, x, 'int32'), 'float32'),
    /** Halves up, as JavaScript's Math.round. */
    round: (x: Value) => one('Floor')(two('Add')(x, 0.5)),
    less: compare('Less'),
    lessEqual: compare('LessOrEqual'),
    equal: compare('Equal'),
    and: (...conditions: Value[]) =>
      conditions.reduce((all, condition) =>
        graph.emit('And', [all, condition], bool(broadcast(all.shape, condition.shape))),
      ),
    where: (condition: Value, yes: Operand, no: Operand) => {
      const shape = [yes, no].reduce<Shape>(
        (all, x) => (typeof x === 'number' ? all : broadcast(all, x.shape)),
        condition.shape,
      )
      return graph.emit('Where', [condition, value(yes), value(no)], { dtype: 'float32', shape })
    },
  }
}
