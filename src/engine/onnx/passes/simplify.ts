import { type Data, type Graph, type Node, sameShape, sizeOf, type Value } from '../ir.js'
import { cast, constant, reshape, transpose } from '../kernels/kernel.js'
import { foldable, foldElementwise, foldTranspose } from './fold.js'
import { type Context, type Outputs, type Rule, rewrite } from './rewrite.js'
import { expand, type Local, simplifyElementwise } from './simplify-elementwise.js'

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

/** What a node computes from small constants only. */
function fold(node: Node, inputs: readonly Value[], graph: Graph): Value | undefined {
  if (!foldable(node.op) || node.outputs.length !== 1 || inputs.length === 0) return undefined
  return foldElementwise(graph, node, inputs)
}

/** Reductions over axes of one element only move the data. */
const reduction: Local = (node, [x], { graph }) => {
  const axes = node.attributes.axes as readonly number[]
  return axes.every((axis) => x!.shape[axis] === 1) ? reshape(graph, x!, node.outputs[0]!.shape) : undefined
}

/** A conversion of a conversion, where the first one loses nothing. */
const castRule: Local = (node, [x], { graph }) => {
  const { dtype } = node.outputs[0]!
  if (x!.dtype === dtype) return x
  const lossless =
    x!.node.op === 'Cast' && ['bool', 'uint8', 'uint16'].includes(x!.node.inputs[0]!.dtype) && x!.dtype !== 'bool'
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
  const found = simplifyElementwise(node, inputs, context)
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
    ].map((op) => [op, simplifyElementwise]),
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
