import type { Graph, Value } from '../ir.js'
import { fill, float, reshape, transpose } from '../kernels/kernel.js'
import { blockedOp, joinCorners, type LowerBlocked, type Quad, splitCorners } from './blocked.js'
import { conv2dBackpropFilter, conv2dBackpropInput } from './blocked-gradient.js'
import { partsOf } from './channels.js'
import { block, first, isBlocked, unblock } from './layout.js'
import { onnxWindow, windowOf } from './lower-conv.js'

/** A filter [kh, kw, in, out] as the blocked convolution reads it: O I h w, then i and o within their blocks. */
function blockFilter(graph: Graph, filter: Value, b: number): Value {
  const [kh, kw, cin, cout] = filter.shape as Quad
  const parted =
    cin % b === 0
      ? transpose(graph, reshape(graph, filter, [kh, kw, cin / b, b, cout / b, b]), [4, 2, 0, 1, 3, 5])
      : transpose(graph, reshape(graph, filter, [kh, kw, cin, cout / b, b]), [3, 2, 0, 1, 4])
  return reshape(graph, parted, [cout, cin, kh, kw])
}

/** The few channels of an image are read as they are, NCHW. */
const conv2d: LowerBlocked = (node, [x, filter, ...bias], graph, b) => {
  const [, , cin, cout] = filter!.shape as Quad
  if (cout % b !== 0 || (cin % b !== 0 && cin >= b)) return undefined
  const [n, h, w] = node.outputs[0]!.shape as Quad
  const source = cin % b === 0 ? block(graph, x!) : first(graph, x!)
  const attributes = {
    ...onnxWindow(windowOf(node), x!.shape, node.outputs[0]!.shape),
    activation: node.attributes.activation,
  }
  const inputs = [source, blockFilter(graph, filter!, b), ...bias]
  return unblock(graph, graph.emit(blockedOp('Conv'), inputs, float([n, cout, h, w]), attributes))
}

/** A convolution of 1 × 1 with one group a channel. */
const scaleShift: LowerBlocked = (node, inputs, graph, b) => {
  const { image, scale, shift, plus } = partsOf(node, inputs)
  const [n, h, w, c] = node.outputs[0]!.shape as Quad
  if (c % b !== 0 || ![image, plus].some((x) => x && isBlocked(x))) return undefined
  const filter = reshape(graph, scale, [c, 1, 1, 1])
  const operands = [block(graph, image), filter]
  if (shift || plus) operands.push(shift ?? fill(graph, 0, float([c])))
  if (plus) operands.push(block(graph, plus))
  const attributes = { kernel_shape: [1, 1], strides: [1, 1], dilations: [1, 1], pads: [0, 0, 0, 0], group: c }
  const { activation } = node.attributes
  return unblock(graph, graph.emit(blockedOp('Conv'), operands, float([n, c, h, w]), { ...attributes, activation }))
}

const maxPool: LowerBlocked = (node, [x], graph, b) => {
  const [n, h, w, c] = node.outputs[0]!.shape as Quad
  if (c % b !== 0) return undefined
  const attributes = onnxWindow(windowOf(node), x!.shape, node.outputs[0]!.shape)
  return unblock(graph, graph.emit(blockedOp('MaxPool'), [block(graph, x!)], float([n, c, h, w]), attributes))
}

/** Windows of 2 × 2 side by side: the first maximum takes dy, what it took is no longer there for the next. */
const maxPoolGrad: LowerBlocked = (node, [dy, input, output], graph, b) => {
  const { kernel, strides } = windowOf(node)
  const [, h, w, c] = input!.shape as Quad
  const tiles = [...kernel, ...strides].every((size) => size === 2) && h % 2 === 0 && w % 2 === 0
  if (!tiles || c % b !== 0) return undefined
  const largest = block(graph, output!)
  let rest = block(graph, dy!)
  const zero = graph.scalar(0)
  const parts = splitCorners(graph, block(graph, input!), b)
    .slice(0, 3)
    .map((corner) => {
      const hit = graph.emit('Equal', [corner, largest], { dtype: 'bool', shape: largest.shape })
      const taken = graph.emit('Where', [hit, rest, zero], rest)
      rest = graph.emit('Sub', [rest, taken], rest)
      return taken
    })
  return unblock(graph, joinCorners(graph, [...parts, rest], b))
}

export const blockedRules: Readonly<Record<string, LowerBlocked>> = {
  conv2d,
  scaleShift,
  conv2dBackpropInput,
  conv2dBackpropFilter,
  maxPool,
  maxPoolGrad,
}
