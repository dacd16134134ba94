import type { Graph, Node, Value } from '../ir.js'
import { fill, float, reduce, reshape, transpose } from '../kernels/kernel.js'
import { partsOf } from './channels.js'
import { block, blockedDomain, first, isBlocked, unblock } from './layout.js'
import { flip, onnxWindow, patches, type Window, windowOf } from './lower-conv.js'

/** A rule for blocks of `b` channels; undefined where it does not apply, and NCHW has to do. */
type LowerBlocked = (node: Node, inputs: readonly Value[], graph: Graph, b: number) => Value | undefined
type Quad = [number, number, number, number]

const blockedOp = (op: string) => `${blockedDomain}.${op}`

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

/** A convolution of dy, with zeros between its elements where the stride is 2, with the reversed filter. */
const conv2dBackpropInput: LowerBlocked = (node, [dy, filter], graph, b) => {
  const [kh, kw, cin, cout] = filter!.shape as Quad
  const { kernel, strides, dilations, pads } = windowOf(node)
  if (cin % b !== 0 || cout % b !== 0) return undefined
  const [n, h, w] = node.outputs[0]!.shape as Quad
  const spread = spreadBlocked(graph, dy!, strides, b)
  const begin = [0, 1].map((i) => (kernel[i]! - 1) * dilations[i]! - pads[i]!)
  // The gradient's size fixes what is padded, or cut, at the end.
  const end = [h, w].map((size, i) => size + (kernel[i]! - 1) * dilations[i]! - spread.shape[i + 2]! - begin[i]!)
  if ([...begin, ...end].some((p) => p < 0)) return undefined
  const parted = reshape(graph, flip(graph, filter!), [kh, kw, cin / b, b, cout / b, b])
  const weights = reshape(graph, transpose(graph, parted, [2, 4, 0, 1, 5, 3]), [cin, cout, kh, kw])
  const attributes = { kernel_shape: kernel, strides: [1, 1], dilations, pads: [...begin, ...end] }
  return unblock(graph, graph.emit(blockedOp('Conv'), [spread, weights], float([n, cin, h, w]), attributes))
}

/** [n, c, h, w] blocked to [n, c, h·sh, w·sw]: zeros after every element. */
function spreadBlocked(graph: Graph, x: Value, [sh, sw]: readonly [number, number], b: number): Value {
  const source = block(graph, x)
  if (sh * sw === 1) return source
  const [n, c, h, w] = source.shape as Quad
  const cells = reshape(graph, source, [(n * c * h) / b, 1, w, b])
  const padded = graph.emit('Pad', [cells, fill(graph, 0, float([]))], float([(n * c * h) / b, sh, w, sw * b]), {
    pads: [0, 0, 0, 0, 0, sh - 1, 0, (sw - 1) * b],
  })
  return reshape(graph, padded, [n, c, h * sh, w * sw])
}

/**
 * The gradient of a filter as a convolution whose channels are the batch: x, as [in, n, h, w], with dy, as
 * [out, n, outHeight, outWidth], for a filter; strides and dilations change places.
 */
const conv2dBackpropFilter: LowerBlocked = (node, [x, dy], graph, b) => {
  const [kh, kw, cin, cout] = node.outputs[0]!.shape as Quad
  const [n, oh, ow] = dy!.shape as Quad
  const window = windowOf(node)
  if (cin === 1 && cout % b === 0) return filterOfOneChannel(node, [x!, dy!], graph, b)
  if (cin % b !== 0 || cout % b !== 0 || n % b !== 0) return undefined
  const source = padBlocked(graph, block(graph, x!), window, { size: [oh, ow], b })
  const [, , h, w] = source.shape as Quad
  const plain = graph.emit(blockedOp('ReorderOutput'), [source], float([n, cin, h, w]), { channels: cin })
  const swapped = transpose(graph, plain, [1, 0, 2, 3])
  const images = graph.emit(blockedOp('ReorderInput'), [swapped], swapped)
  const parted = reshape(graph, block(graph, dy!), [n / b, b, cout / b, oh * ow, b])
  const filter = reshape(graph, transpose(graph, parted, [2, 0, 3, 1, 4]), [cout, n, oh, ow])
  const { strides, dilations } = window
  const attributes = { kernel_shape: [oh, ow], strides: dilations, dilations: strides, pads: [0, 0, 0, 0] }
  const gradient = graph.emit(blockedOp('Conv'), [images, filter], float([cin, cout, kh, kw]), attributes)
  const last = graph.emit(blockedOp('ReorderOutput'), [gradient], float([cin, kh, kw, cout]), {
    channels: cout,
    channels_last: 1,
  })
  return transpose(graph, last, [1, 2, 0, 3])
}

/** Pads, or cuts, a blocked input so that exactly kernel × kernel positions fit; beforehand, as the convolution is slow at it. */
function padBlocked(graph: Graph, x: Value, window: Window, { size, b }: { size: [number, number]; b: number }): Value {
  const [n, c, h, w] = x.shape as Quad
  const { kernel, strides, dilations, pads } = window
  const [height, width] = [0, 1].map((i) => (size[i]! - 1) * strides[i]! + (kernel[i]! - 1) * dilations[i]! + 1) as [
    number,
    number,
  ]
  const [bottom, right] = [height - h - pads[0], width - w - pads[1]]
  if (pads[0] === 0 && pads[1] === 0 && bottom === 0 && right === 0) return x
  const images = reshape(graph, x, [(n * c) / b, h, w, b])
  const type = float([(n * c) / b, height, width, b])
  // Negative pads cut.
  const padded = graph.emit('Pad', [images, fill(graph, 0, float([]))], type, {
    pads: [0, pads[0], pads[1], 0, 0, bottom, right, 0],
  })
  return reshape(graph, padded, [n, c, height, width])
}

/** One channel in: the window's places, [n, 1, kernel, pixels], times dy, [n, out / b, pixels, b], image by image. */
function filterOfOneChannel(node: Node, [x, dy]: [Value, Value], graph: Graph, b: number): Value {
  const [kh, kw, , cout] = node.outputs[0]!.shape as Quad
  const [n, oh, ow] = dy.shape as Quad
  const rows = patches(graph, x, windowOf(node), { size: [oh, ow], outside: 0 }).map((patch) =>
    reshape(graph, patch, [n, 1, oh * ow]),
  )
  const columns = rows.length === 1 ? rows[0]! : graph.emit('Concat', rows, float([n, kh * kw, oh * ow]), { axis: 1 })
  const sides = [
    reshape(graph, columns, [n, 1, kh * kw, oh * ow]),
    reshape(graph, block(graph, dy), [n, cout / b, oh * ow, b]),
  ]
  const products = graph.emit('MatMul', sides, float([n, cout / b, kh * kw, b]))
  const sum = reduce(graph, 'ReduceSum', products, [0])
  return reshape(graph, transpose(graph, sum, [1, 0, 2]), [kh, kw, 1, cout])
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

/** Windows of 2 × 2 side by side: the four places as four tensors, and back; the first maximum takes dy. */
const maxPoolGrad: LowerBlocked = (node, [dy, input, output], graph, b) => {
  const { kernel, strides } = windowOf(node)
  const [n, h, w, c] = input!.shape as Quad
  const tiles = [...kernel, ...strides].every((size) => size === 2) && h % 2 === 0 && w % 2 === 0
  if (!tiles || c % b !== 0) return undefined
  const rows = (n * c * h) / (2 * b)
  const part = float([rows, 1, w / 2, b])
  const source = reshape(graph, block(graph, input!), [rows, 2, w / 2, 2 * b])
  const halves = (x: Value, axis: number, shape: number[]) =>
    graph.emitAll('Split', [x], [float(shape), float(shape)], { axis, split: [shape[axis]!, shape[axis]!] })
  const quarters = halves(source, 1, [rows, 1, w / 2, 2 * b]).flatMap((half) => halves(half, 3, [...part.shape]))
  const largest = reshape(graph, block(graph, output!), part.shape)
  const zero = graph.scalar(0)
  let rest = reshape(graph, block(graph, dy!), part.shape)
  const parts = quarters.slice(0, 3).map((quarter) => {
    const hit = graph.emit('Equal', [quarter, largest], { dtype: 'bool', shape: part.shape })
    const taken = graph.emit('Where', [hit, rest, zero], part)
    rest = graph.emit('Sub', [rest, taken], part)
    return taken
  })
  const columns = [parts.slice(0, 2), [parts[2]!, rest]].map((pair) =>
    graph.emit('Concat', pair, float([rows, 1, w / 2, 2 * b]), { axis: 3 }),
  )
  const whole = graph.emit('Concat', columns, float([rows, 2, w / 2, 2 * b]), { axis: 1 })
  return unblock(graph, reshape(graph, whole, [n, c, h, w]))
}

export const blockedRules: Readonly<Record<string, LowerBlocked>> = {
  conv2d,
  scaleShift,
  conv2dBackpropInput,
  conv2dBackpropFilter,
  maxPool,
  maxPoolGrad,
}
