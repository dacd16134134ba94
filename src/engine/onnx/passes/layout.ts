import { type Graph, type Node, sameShape, sizeOf, type Value } from '../ir.js'
import { reduce, reshape, transpose } from '../kernels/kernel.js'
import type { Context } from './rewrite.js'

/**
 * Channels-first values inside a channels-last program. Every value keeps tfjs's NHWC shape; one that was computed
 * channels first is a Transpose of that, and whoever can use it channels first takes it from below the Transpose.
 */
const toLast = [0, 2, 3, 1]
const toFirst = [0, 3, 1, 2]

export function isFirst(x: Value): boolean {
  const perm = x.node.op === 'Transpose' ? (x.node.attributes.perm as readonly number[]) : []
  return sameShape(perm, toLast)
}

/** `x`, NHWC, as NCHW. */
export function first(graph: Graph, x: Value): Value {
  if (isFirst(x)) return x.node.inputs[0]!
  const [n, h, w, c] = x.shape as [number, number, number, number]
  // One channel, or one pixel, lies in memory the same way.
  return c === 1 || h * w === 1 ? reshape(graph, x, [n, c, h, w]) : transpose(graph, x, toFirst)
}

/** `x`, NCHW, as NHWC. */
export function last(graph: Graph, x: Value): Value {
  return transpose(graph, x, toLast)
}

const elementwise = new Set(
  `Add Sub Mul Div Max Min Pow Relu Sigmoid Tanh Exp Log Sqrt Neg Abs Elu LeakyRelu Selu Softplus Reciprocal Clip
   Greater Less GreaterOrEqual LessOrEqual Equal Not And Or Where Cast Erf`.split(/\s+/),
)

/** Computes channels first what has an operand that is, so that its Transpose moves towards the outputs. */
export function followLayout(node: Node, inputs: readonly Value[], { graph }: Context): Value | undefined {
  const type = node.outputs[0]!
  if (node.op === 'ReduceSum' || node.op === 'ReduceMean') return reduceFirst(node, inputs[0]!, graph)
  if (!elementwise.has(node.op) || type.shape.length !== 4 || !inputs.some(isFirst)) return undefined
  const operands = inputs.map((input) => operandFirst(graph, input, type.shape))
  if (operands.some((operand) => operand === undefined)) return undefined
  const [n, h, w, c] = type.shape as [number, number, number, number]
  return last(
    graph,
    graph.emit(node.op, operands as Value[], { dtype: type.dtype, shape: [n, c, h, w] }, node.attributes),
  )
}

function operandFirst(graph: Graph, x: Value, shape: readonly number[]): Value | undefined {
  if (sizeOf(x.shape) === 1) return x.shape.length <= 4 ? reshape(graph, x, []) : undefined
  if (sameShape(x.shape, shape)) return first(graph, x)
  // A vector over the channels.
  const channels = x.shape.at(-1)!
  return sizeOf(x.shape) === channels ? reshape(graph, x, [channels, 1, 1]) : undefined
}

function reduceFirst(node: Node, x: Value, graph: Graph): Value | undefined {
  if (!isFirst(x) || node.attributes.keepdims) return undefined
  const axes = (node.attributes.axes as readonly number[]).map((axis) => toLast[axis]!)
  // The axes that stay must keep their order, which channels before or after pixels decide.
  const stay = toLast.filter((axis) => !axes.includes(axis))
  if (!stay.every((axis, i) => i === 0 || axis > stay[i - 1]!)) return undefined
  return reduce(graph, node.op, x.node.inputs[0]!, axes.sort())
}
