import { type Graph, type Node, sameShape, sizeOf, splatOf, type Value } from '../ir.js'
import { reshape } from '../kernels/kernel.js'
import type { Context } from './rewrite.js'

/** A rule for nodes with one output. */
export type Local = (node: Node, inputs: readonly Value[], context: Context) => Value | undefined

/** Adding this number, or multiplying by it, changes nothing. */
const neutral: Readonly<Record<string, number>> = { Add: 0, Sub: 0, Mul: 1, Div: 1 }

/** x ∘ neutral is x, spread to the result's shape; only Add and Mul have it on either side. */
function dropNeutral(node: Node, inputs: readonly Value[], { graph }: Context): Value | undefined {
  const [a, b] = inputs as [Value, Value]
  const type = node.outputs[0]!
  if (a.dtype !== type.dtype) return undefined
  if (neutralTo(node.op, b)) return expand(graph, a, type.shape)
  if ((node.op === 'Add' || node.op === 'Mul') && neutralTo(node.op, a)) return expand(graph, b, type.shape)
  return undefined
}

function neutralTo(op: string, value: Value): boolean {
  const number = splatOf(value.node.op === 'Expand' ? value.node.inputs[0]! : value)
  return number !== undefined && number === neutral[op]
}

export function expand(graph: Graph, x: Value, shape: readonly number[]): Value {
  if (sameShape(x.shape, shape)) return x
  return sizeOf(x.shape) === sizeOf(shape)
    ? reshape(graph, x, shape)
    : graph.emit('Expand', [x], { dtype: x.dtype, shape })
}

/** An operand that was expanded for an operator that broadcasts by itself. */
function dropExpand(node: Node, inputs: readonly Value[], { graph }: Context): Value | undefined {
  const shape = node.outputs[0]!.shape
  for (const [i, input] of inputs.entries()) {
    if (input.node.op !== 'Expand') continue
    const source = input.node.inputs[0]!
    const shapes = inputs.map((other, j) => (i === j ? source.shape : other.shape))
    if (!broadcastsTo(shapes, shape)) continue
    return graph.emit(
      node.op,
      inputs.map((other, j) => (i === j ? source : other)),
      node.outputs[0]!,
      node.attributes,
    )
  }
  return undefined
}

function broadcastsTo(shapes: readonly (readonly number[])[], shape: readonly number[]): boolean {
  return shape.every((d, axis) => {
    const fromEnd = shape.length - axis
    const sizes = shapes.map((s) => s[s.length - fromEnd] ?? 1)
    return sizes.includes(d)
  })
}

/**
 * One number against a tensor that ends in axes of size 1: ONNX Runtime loops over the last axis, so that an image with
 * one channel would take forty times as long.
 */
function dropLastOnes(node: Node, inputs: readonly Value[], { graph }: Context): Value | undefined {
  const type = node.outputs[0]!
  if (type.shape.at(-1) !== 1 || sizeOf(type.shape) === 1) return undefined
  if (!inputs.some(({ shape }) => sizeOf(shape) === 1)) return undefined
  if (!inputs.every(({ shape }) => sizeOf(shape) === 1 || sameShape(shape, type.shape))) return undefined
  const shape = type.shape.filter((d) => d !== 1)
  const operands = inputs.map((input) => reshape(graph, input, sizeOf(input.shape) === 1 ? [] : shape))
  const result = graph.emit(node.op, operands, { dtype: type.dtype, shape }, node.attributes)
  return reshape(graph, result, type.shape)
}

/** An operator over expanded operands only works below the expansion. */
function raiseExpand(node: Node, inputs: readonly Value[], { graph }: Context): Value | undefined {
  const type = node.outputs[0]!
  const sources = inputs.map((input) => (input.node.op === 'Expand' ? input.node.inputs[0]! : input))
  if (!inputs.some((input) => input.node.op === 'Expand')) return undefined
  const shape = sources.map((source) => source.shape).reduce(broadcast)
  if (sizeOf(shape) === sizeOf(type.shape)) return undefined
  return expand(graph, graph.emit(node.op, sources, { dtype: type.dtype, shape }, node.attributes), type.shape)
}

function broadcast(a: readonly number[], b: readonly number[]): number[] {
  const rank = Math.max(a.length, b.length)
  const at = (shape: readonly number[], i: number) => shape[shape.length - rank + i] ?? 1
  return Array.from({ length: rank }, (_, i) => (at(a, i) === 1 ? at(b, i) : at(a, i)))
}

/** An operator with numbers, or with a vector over the last axis, works below a reshape of its one tensor. */
function raiseReshape(node: Node, inputs: readonly Value[], { graph }: Context): Value | undefined {
  const type = node.outputs[0]!
  const at = inputs.findIndex((input) => input.node.op === 'Reshape' && sizeOf(input.shape) === sizeOf(type.shape))
  const source = inputs[at]?.node.inputs[0]
  // A last axis of size 1 is what a reshape was made to avoid.
  if (!source || source.shape.at(-1) === 1 || sizeOf(type.shape) === 1) return undefined
  const last = source.shape.at(-1)
  const isVector = ({ shape }: Value) => shape.length === 1 && shape[0] === last && last === type.shape.at(-1)
  if (!inputs.every((input, i) => i === at || sizeOf(input.shape) === 1 || isVector(input))) return undefined
  const operands = inputs.map((input, i) =>
    i === at ? source : sizeOf(input.shape) === 1 ? reshape(graph, input, []) : input,
  )
  return reshape(
    graph,
    graph.emit(node.op, operands, { dtype: type.dtype, shape: source.shape }, node.attributes),
    type.shape,
  )
}

/** [1, 1, 1, c] against a tensor of full rank is [c]. */
function dropFirstOnes(node: Node, inputs: readonly Value[], { graph }: Context): Value | undefined {
  const type = node.outputs[0]!
  const full = inputs.filter((input) => input.shape.length === type.shape.length && input.shape[0] !== 1)
  const spare = inputs.map((input) => input.shape.length > 1 && input.shape[0] === 1)
  if (full.length === 0 || !spare.includes(true)) return undefined
  const operands = inputs.map((input, i) => (spare[i] ? reshape(graph, input, withoutFirstOnes(input.shape)) : input))
  return graph.emit(node.op, operands, type, node.attributes)
}

function withoutFirstOnes(shape: readonly number[]): readonly number[] {
  const start = shape.findIndex((d) => d !== 1)
  return start < 0 ? [] : shape.slice(start)
}

/** Rules for operators that broadcast their operands. */
export const simplifyElementwise: Local = (node, inputs, context) =>
  (node.op in neutral ? dropNeutral(node, inputs, context) : undefined) ??
  raiseExpand(node, inputs, context) ??
  dropExpand(node, inputs, context) ??
  dropFirstOnes(node, inputs, context) ??
  raiseReshape(node, inputs, context) ??
  dropLastOnes(node, inputs, context) ??
  sortOperands(node, inputs, context)

/** Operands of what commutes are put in order, so that a ∘ b and b ∘ a are one. */
function sortOperands(node: Node, inputs: readonly Value[], { graph }: Context): Value | undefined {
  const [a, b] = inputs as [Value, Value]
  if (!commutative.has(node.op) || a.node.id <= b.node.id) return undefined
  return graph.emit(node.op, [b, a], node.outputs[0]!, node.attributes)
}

const commutative = new Set(['Add', 'Mul', 'Max', 'Min', 'Equal', 'And', 'Or'])
