import { type Graph, type Node, type Shape, sameShape, sizeOf, type Value } from '../ir.js'
import { cast, float, reduce, reshape, transpose } from '../kernels/kernel.js'

/**
 * Values in another memory layout inside a channels-last program. Every value keeps tfjs's NHWC shape; one that was
 * computed in another layout is the node that converts it back, and whoever can use that layout takes it from below.
 *
 * `first` is ONNX's NCHW. `blocked` is ONNX Runtime's own layout for its cpu convolutions, [n, c / b, h, w, b] in memory
 * under an NCHW shape; its operators (domain com.microsoft.nchwc) load in any model, for the cpu provider only.
 */
const toLast = [0, 2, 3, 1]
const toFirst = [0, 3, 1, 2]
export const blockedDomain = 'com.microsoft.nchwc'

export function isFirst(x: Value): boolean {
  return x.node.op === 'Transpose' && sameShape(x.node.attributes.perm as readonly number[], toLast)
}

export function isBlocked(x: Value): boolean {
  return peel(x) !== undefined
}

/** The blocked value below a conversion. ReorderOutput knows only float32: others are converted around it. */
function peel(x: Value): Value | undefined {
  const { op, inputs, attributes } = x.node
  if (op === `${blockedDomain}.ReorderOutput`) return attributes.channels_last === 1 ? inputs[0] : undefined
  const inner = op === 'Cast' ? peel(inputs[0]!) : undefined
  return inner?.node.op === 'Cast' && inner.node.inputs[0]!.dtype === x.dtype ? inner.node.inputs[0] : undefined
}

type Quad = [number, number, number, number]

/** `x`, NHWC, as NCHW. */
export function first(graph: Graph, x: Value): Value {
  if (isFirst(x)) return x.node.inputs[0]!
  const [n, h, w, c] = x.shape as Quad
  const blocked = peel(x)
  if (blocked?.dtype === 'float32') {
    return graph.emit(`${blockedDomain}.ReorderOutput`, [blocked], float([n, c, h, w]), { channels: c })
  }
  // One channel, or one pixel, lies in memory the same way.
  return c === 1 || h * w === 1 ? reshape(graph, x, [n, c, h, w]) : transpose(graph, x, toFirst)
}

/** `x`, NCHW, as NHWC. */
export function last(graph: Graph, x: Value): Value {
  return transpose(graph, x, toLast)
}

/** `x`, NHWC, blocked; its channels must divide into blocks. */
export function block(graph: Graph, x: Value): Value {
  const blocked = peel(x)
  if (blocked) return blocked
  const [n, h, w, c] = x.shape as Quad
  const number = cast(graph, x, 'float32')
  const [source, channels_last] = isFirst(number) ? [number.node.inputs[0]!, 0] : [number, 1]
  const attributes = { channels_last }
  return cast(graph, graph.emit(`${blockedDomain}.ReorderInput`, [source], float([n, c, h, w]), attributes), x.dtype)
}

/** `x`, blocked, as NHWC. */
export function unblock(graph: Graph, x: Value): Value {
  const [n, c, h, w] = x.shape as Quad
  const attributes = { channels: c, channels_last: 1 }
  const number = cast(graph, x, 'float32')
  return cast(graph, graph.emit(`${blockedDomain}.ReorderOutput`, [number], float([n, h, w, c]), attributes), x.dtype)
}

const elementwise = new Set(
  `Add Sub Mul Div Max Min Pow Relu Sigmoid Tanh Exp Log Sqrt Neg Abs Elu LeakyRelu Selu Softplus Reciprocal Clip
   Greater Less GreaterOrEqual LessOrEqual Equal Not And Or Where Cast Erf`.split(/\s+/),
)

/**
 * Computes in another layout what has an operand in it, so that conversions move towards the outputs and meet.
 * `size` is that of a block, where the provider has the blocked layout.
 */
export function followLayout(
  node: Node,
  inputs: readonly Value[],
  graph: Graph,
  size: number | undefined,
): Value | undefined {
  const blocked = inputs.some(isBlocked)
  if (!blocked && !inputs.some(isFirst)) return undefined
  const b = blocked ? size! : 1
  if (node.op === 'ReduceSum' || node.op === 'ReduceMean') return reduceInLayout(node, inputs[0]!, graph, b)
  const type = node.outputs[0]!
  if (!elementwise.has(node.op) || type.shape.length !== 4) return undefined
  const [n, h, w, c] = type.shape as Quad
  // A vector over the channels broadcasts in [n, c / b, pixels, b], and in NCHW.
  const hasVector = inputs.some((x) => sizeOf(x.shape) > 1 && !sameShape(x.shape, type.shape))
  const view: Quad = blocked && hasVector ? [n, c / b, h * w, b] : [n, c, h, w]
  const operands = inputs.map((input) => operandInLayout(graph, input, { view, like: type.shape, blocked }))
  if (operands.some((operand) => operand === undefined)) return undefined
  const result = graph.emit(node.op, operands as Value[], { dtype: type.dtype, shape: view }, node.attributes)
  const whole = reshape(graph, result, [n, c, h, w])
  return blocked ? unblock(graph, whole) : last(graph, whole)
}

interface Place {
  view: Quad
  like: Shape
  blocked: boolean
}

function operandInLayout(graph: Graph, x: Value, { view, like, blocked }: Place): Value | undefined {
  if (sizeOf(x.shape) === 1) return reshape(graph, x, [])
  if (sameShape(x.shape, like)) return reshape(graph, blocked ? block(graph, x) : first(graph, x), view)
  const [n, , , channels] = like as Quad
  const places = blocked ? [view[1], 1, view[3]] : [channels, 1, 1]
  if (x.shape.at(-1) === channels && sizeOf(x.shape) === channels) return reshape(graph, x, places)
  return sameShape(x.shape, [n, 1, 1, channels]) ? reshape(graph, x, [n, ...places]) : undefined
}

/** Sums over the pixels, of each image or of the whole batch. */
function reduceInLayout(node: Node, x: Value, graph: Graph, b: number): Value | undefined {
  const axes = (node.attributes.axes as readonly number[]).join()
  if (x.shape.length !== 4 || (axes !== '0,1,2' && axes !== '1,2')) return undefined
  const type = node.outputs[0]!
  if (node.attributes.keepdims) return undefined
  const [n, h, w, c] = x.shape as Quad
  const source = isBlocked(x) ? block(graph, x) : first(graph, x)
  if (axes === '1,2' && b === 1) return reduce(graph, node.op, source, [2, 3])
  if (axes === '1,2') {
    return reshape(graph, reduce(graph, node.op, reshape(graph, source, [(n * c) / b, h * w, b]), [1]), type.shape)
  }
  // Two sums, each along an axis that lies well in memory, are several times as fast as one.
  const batch = reduce(graph, 'ReduceSum', reshape(graph, source, [n, c * h * w]), [0])
  const total = reshape(graph, reduce(graph, 'ReduceSum', reshape(graph, batch, [c / b, h * w, b]), [1]), type.shape)
  return node.op === 'ReduceSum' ? total : graph.emit('Mul', [total, graph.scalar(1 / (n * h * w))], type)
}
