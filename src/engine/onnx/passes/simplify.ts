import { type Data, type Graph, type Node, sameShape, sizeOf, splatOf, type Value } from '../ir.js'
import { cast, constant, reshape, transpose } from '../kernels/kernel.js'
import { foldable, foldElementwise, foldTranspose } from './fold.js'
import { type Context, type Outputs, type Rule, rewrite } from './rewrite.js'

/** Computes what is constant, and leaves out what changes nothing. The values stay the same to the last bit. */
export function simplify(outputs: Outputs): Outputs {
  return rewrite(outputs, simplifyNode)
}

export const simplifyNode: Rule = (node, inputs, context) => {
  let found = simplifyOnce(node, inputs, context)
  // What a rule makes may be simplified again.
  while (found) {
    const again = found.node.outputs.length === 1 ? simplifyOnce(found.node, found.node.inputs, context) : undefined
    if (!again || again === found) return found
    found = again
  }
  return undefined
}

function simplifyOnce(node: Node, inputs: readonly Value[], context: Context): Value | undefined {
  return rules[node.op]?.(node, inputs, context) ?? fold(node, inputs, context.graph)
}

/** Operands of what commutes are put in order, so that a ∘ b and b ∘ a are one. */
function sortOperands(node: Node, inputs: readonly Value[], { graph }: Context): Value | undefined {
  const [a, b] = inputs as [Value, Value]
  if (!commutative.has(node.op) || a.node.id <= b.node.id) return undefined
  return graph.emit(node.op, [b, a], node.outputs[0]!, node.attributes)
}

const commutative = new Set(['Add', 'Mul', 'Max', 'Min', 'Equal', 'And', 'Or'])

/** What a node computes from small constants only. */
function fold(node: Node, inputs: readonly Value[], graph: Graph): Value | undefined {
  if (!foldable(node.op) || node.outputs.length !== 1 || inputs.length === 0) return undefined
  return foldElementwise(graph, node, inputs)
}

type Local = (node: Node, inputs: readonly Value[], context: Context) => Value | undefined

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

function expand(graph: Graph, x: Value, shape: readonly number[]): Value {
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

/** An operator with numbers works below a reshape of its one tensor. */
function raiseReshape(node: Node, inputs: readonly Value[], { graph }: Context): Value | undefined {
  const type = node.outputs[0]!
  const at = inputs.findIndex((input) => sizeOf(input.shape) > 1)
  const source = inputs[at]?.node.op === 'Reshape' ? inputs[at].node.inputs[0]! : undefined
  // A last axis of size 1 is what a reshape was made to avoid.
  if (!source || source.shape.at(-1) === 1 || sizeOf(type.shape) !== sizeOf(source.shape)) return undefined
  if (!inputs.every((input, i) => i === at || sizeOf(input.shape) === 1)) return undefined
  const operands = inputs.map((input, i) => (i === at ? source : reshape(graph, input, [])))
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

const elementwise: Local = (node, inputs, context) =>
  (node.op in neutral ? dropNeutral(node, inputs, context) : undefined) ??
  raiseExpand(node, inputs, context) ??
  dropExpand(node, inputs, context) ??
  dropFirstOnes(node, inputs, context) ??
  raiseReshape(node, inputs, context) ??
  dropLastOnes(node, inputs, context) ??
  sortOperands(node, inputs, context)

/** Reductions over axes of one element only move the data. */
const reduction: Local = (node, [x], { graph }) => {
  const axes = node.attributes.axes as readonly number[]
  return axes.every((axis) => x!.shape[axis] === 1) ? reshape(graph, x!, node.outputs[0]!.shape) : undefined
}

/** A conversion of a conversion, where the first one loses nothing. */
const castRule: Local = (node, [x], { graph }) => {
  const { dtype } = node.outputs[0]!
  if (x!.dtype === dtype) return x
  const lossless = x!.node.op === 'Cast' && ['bool', 'uint8'].includes(x!.node.inputs[0]!.dtype) && x!.dtype !== 'bool'
  if (lossless) return cast(graph, x!.node.inputs[0]!, dtype)
  const data = x!.node.data
  if (!data || dtype === 'bool' || data.length > foldedElements) return undefined
  return constant(graph, Array.from(data as ArrayLike<number | bigint>, Number), node.outputs[0]!)
}

const foldedElements = 4096

const reshapeRule: Local = (node, [x], { graph }) => {
  const type = node.outputs[0]!
  if (sameShape(x!.shape, type.shape)) return x
  if (x!.node.op === 'Reshape') return reshape(graph, x!.node.inputs[0]!, type.shape)
  if (x!.node.op === 'Expand' && sizeOf(x!.node.inputs[0]!.shape) === 1) {
    return expand(graph, reshapeScalar(graph, x!.node.inputs[0]!), type.shape)
  }
  return x!.node.data ? graph.constant(x!.node.data, type, nameOf(x!)) : undefined
}

function nameOf(constant: Value): string | undefined {
  return constant.node.attributes.name as string | undefined
}

function reshapeScalar(graph: Graph, x: Value): Value {
  return x.node.data ? graph.constant(x.node.data, { dtype: x.dtype, shape: [] }) : reshape(graph, x, [])
}

const transposeRule: Local = (node, [x], { graph }) => {
  const perm = node.attributes.perm as readonly number[]
  const type = node.outputs[0]!
  if (perm.every((axis, i) => axis === i)) return x
  if (x!.node.op === 'Transpose') {
    const inner = x!.node.attributes.perm as readonly number[]
    const both = perm.map((axis) => inner[axis]!)
    return both.every((axis, i) => axis === i) ? x!.node.inputs[0]! : transpose(graph, x!.node.inputs[0]!, both)
  }
  const moved = perm.filter((axis) => x!.shape[axis] !== 1)
  if (moved.every((axis, i) => i === 0 || axis > moved[i - 1]!)) return reshape(graph, x!, type.shape)
  const { data } = x!.node
  return data
    ? graph.constant(foldTranspose(data as Exclude<Data, BigInt64Array>, x!.shape, perm), type, nameOf(x!))
    : undefined
}

const expandRule: Local = (node, [x], { graph }) => {
  const type = node.outputs[0]!
  if (sameShape(x!.shape, type.shape)) return x
  if (x!.node.op === 'Expand') return expand(graph, x!.node.inputs[0]!, type.shape)
  return sizeOf(x!.shape) === sizeOf(type.shape) ? reshape(graph, x!, type.shape) : undefined
}

/** A product of matrices takes a transposed side as it is. */
const gemm: Local = (node, inputs, { graph }) => {
  const [a, b, ...bias] = inputs as [Value, Value, ...Value[]]
  const flip = (side: Value, flag: 'transA' | 'transB') =>
    side.node.op === 'Transpose' ? { [flag]: node.attributes[flag] ? 0 : 1 } : {}
  const flips = { ...flip(a, 'transA'), ...flip(b, 'transB') }
  if (Object.keys(flips).length === 0) return undefined
  const source = (side: Value) => (side.node.op === 'Transpose' ? side.node.inputs[0]! : side)
  return graph.emit('Gemm', [source(a), source(b), ...bias], node.outputs[0]!, { ...node.attributes, ...flips })
}

/** A product, or a convolution, that nothing else uses takes a bias along. */
const addRule: Local = (node, inputs, context) => {
  const found = elementwise(node, inputs, context)
  if (found) return found
  const type = node.outputs[0]!
  for (const at of [0, 1]) {
    const [product, bias] = [inputs[at]!, inputs[1 - at]!]
    if (!biased.has(product.node.op) || product.node.inputs.length !== 2) continue
    if (context.uses(node.inputs[at]!) !== 1 || !sameShape(product.shape, type.shape)) continue
    if (product.node.op !== 'Gemm' && (bias.shape.length !== 1 || bias.shape[0] !== type.shape.at(-1))) continue
    return context.graph.emit(product.node.op, [...product.node.inputs, bias], product, product.node.attributes)
  }
  return undefined
}

const biased = new Set(['Gemm', 'conv2d', 'depthwiseConv2d'])

const rules: Readonly<Record<string, Local>> = {
  ...Object.fromEntries(
    [
      'Sub',
      'Mul',
      'Div',
      'Pow',
      'Max',
      'Min',
      'Where',
      'Equal',
      'Greater',
      'Less',
      'Neg',
      'Sqrt',
      'Reciprocal',
      'Exp',
      'Log',
    ].map((op) => [op, elementwise]),
  ),
  Add: addRule,
  ReduceSum: reduction,
  ReduceMean: reduction,
  ReduceMax: reduction,
  ReduceMin: reduction,
  ReduceProd: reduction,
  Cast: castRule,
  Reshape: reshapeRule,
  Transpose: transposeRule,
  Expand: expandRule,
  Gemm: gemm,
}
