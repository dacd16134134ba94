import type { Graph, Node, Value } from '../ir.js'
import { fill, float, reduce, reshape, slice, transpose } from '../kernels/kernel.js'
import { partsOf } from './channels.js'
import { first, isFirst, last } from './layout.js'

/** A convolution's window, as its node has it; `pads` are top, left, bottom, right. */
export interface Window {
  kernel: readonly [number, number]
  strides: readonly [number, number]
  dilations: readonly [number, number]
  pads: readonly [number, number, number, number]
}

export function windowOf(node: Node): Window {
  return node.attributes as unknown as Window
}

/** ONNX's attributes, with pads that give exactly the output's size, whichever way tfjs rounded it. */
export function onnxWindow(
  { kernel, strides, dilations, pads }: Window,
  input: readonly number[],
  output: readonly number[],
) {
  const end = [0, 1].map((i) => {
    const reach = (output[i + 1]! - 1) * strides[i]! + (kernel[i]! - 1) * dilations[i]! + 1
    return Math.max(pads[i + 2]!, reach - input[i + 1]! - pads[i]!)
  })
  return { kernel_shape: kernel, strides, dilations, pads: [pads[0], pads[1], ...end] }
}

type Lower = (node: Node, inputs: readonly Value[], graph: Graph) => Value

/** [height, width, in, out] reversed in space. */
function flip(graph: Graph, filter: Value): Value {
  const [h, w] = filter.shape as [number, number]
  if (h * w === 1) return filter
  return graph.emit('Slice', [filter], filter, {
    starts: [-1, -1],
    ends: [-1 - h, -1 - w],
    axes: [0, 1],
    steps: [-1, -1],
  })
}

const conv2d: Lower = (node, [x, filter, ...bias], graph) => {
  const [n, h, w, c] = node.outputs[0]!.shape as [number, number, number, number]
  const weights = transpose(graph, filter!, [3, 2, 0, 1])
  const attributes = onnxWindow(windowOf(node), x!.shape, node.outputs[0]!.shape)
  const y = graph.emit('Conv', [first(graph, x!), weights, ...bias], float([n, c, h, w]), attributes)
  return last(graph, node.attributes.activation === 'Relu' ? graph.emit('Relu', [y], y) : y)
}

const depthwise: Lower = (node, [x, filter, ...bias], graph) => {
  const [n, h, w, c] = node.outputs[0]!.shape as [number, number, number, number]
  const [kh, kw, channels] = filter!.shape as [number, number, number, number]
  const weights = reshape(graph, transpose(graph, filter!, [2, 3, 0, 1]), [c, 1, kh, kw])
  const attributes = { ...onnxWindow(windowOf(node), x!.shape, node.outputs[0]!.shape), group: channels }
  return last(graph, graph.emit('Conv', [first(graph, x!), weights, ...bias], float([n, c, h, w]), attributes))
}

/** What a gradient with respect to the input is made of: the filter for a Conv, and for a ConvTranspose. */
interface InputGradient {
  correlate: () => Value
  scatter: () => Value
  group: number
}

/** A stride of 1 is a convolution of dy with the reversed filter; any other a transposed convolution. */
function backpropInput(node: Node, dy: Value, graph: Graph, { correlate, scatter, group }: InputGradient): Value {
  const window = windowOf(node)
  const { kernel, strides, dilations, pads } = window
  const [n, h, w, c] = node.outputs[0]!.shape as [number, number, number, number]
  const reach = [0, 1].map((i) => (kernel[i]! - 1) * dilations[i]!)
  const inverse = [0, 1, 2, 3].map((i) => reach[i % 2]! - pads[i]!)
  const type = float([n, c, h, w])
  const sizes = [h, w].map(
    (size, i) => (dy.shape[i + 1]! - 1) * strides[i]! + reach[i]! + 1 - pads[i]! - pads[i + 2]! - size,
  )
  if (strides.every((s) => s === 1) && inverse.every((p) => p >= 0) && sizes.every((extra) => extra === 0)) {
    const attributes = { kernel_shape: kernel, strides, dilations, pads: inverse, group }
    return last(graph, graph.emit('Conv', [first(graph, dy), correlate()], type, attributes))
  }
  const attributes = {
    kernel_shape: kernel,
    strides,
    dilations,
    pads,
    group,
    output_padding: sizes.map((extra) => Math.max(0, -extra)),
  }
  return last(graph, graph.emit('ConvTranspose', [first(graph, dy), scatter()], type, attributes))
}

const conv2dBackpropInput: Lower = (node, [dy, filter], graph) =>
  backpropInput(node, dy!, graph, {
    correlate: () => transpose(graph, flip(graph, filter!), [2, 3, 0, 1]),
    scatter: () => transpose(graph, filter!, [3, 2, 0, 1]),
    group: 1,
  })

const depthwiseBackpropInput: Lower = (node, [dy, filter], graph) => {
  const [kh, kw, channels, multiplier] = filter!.shape as [number, number, number, number]
  return backpropInput(node, dy!, graph, {
    correlate: () => transpose(graph, flip(graph, filter!), [2, 3, 0, 1]),
    scatter: () => reshape(graph, transpose(graph, filter!, [2, 3, 0, 1]), [channels * multiplier, 1, kh, kw]),
    group: channels,
  })
}

/** The input's elements under each place of the window: one [n, outHeight, outWidth, c] a place, row by row. */
export function patches(
  graph: Graph,
  x: Value,
  window: Window,
  options: { size: readonly number[]; outside: number },
): Value[] {
  const { kernel, strides, dilations, pads } = window
  const [outHeight, outWidth] = options.size as [number, number]
  const ends = (row: number, column: number) => [
    row * dilations[0] + (outHeight - 1) * strides[0] + 1,
    column * dilations[1] + (outWidth - 1) * strides[1] + 1,
  ]
  const needed = ends(kernel[0] - 1, kernel[1] - 1)
  const after = [0, 1].map((i) => Math.max(0, needed[i]! - x.shape[i + 1]! - pads[i]!))
  const padded = padSpace(graph, x, [pads[0], pads[1], after[0]!, after[1]!], options.outside)
  return places(kernel).map(([row, column]) =>
    slice(graph, padded, {
      starts: [row * dilations[0], column * dilations[1]],
      ends: ends(row, column),
      axes: [1, 2],
      steps: [...strides],
    }),
  )
}

/** Places of a window, row by row. */
export function places([height, width]: readonly [number, number]): [row: number, column: number][] {
  return Array.from({ length: height * width }, (_, i) => [Math.floor(i / width), i % width])
}

export function padSpace(graph: Graph, x: Value, pads: readonly number[], value: number): Value {
  if (pads.every((p) => p === 0)) return x
  const [n, h, w, c] = x.shape as [number, number, number, number]
  const [top, left, bottom, right] = pads as [number, number, number, number]
  const constant = fill(graph, value, float([]))
  return graph.emit('Pad', [x, constant], float([n, h + top + bottom, w + left + right, c]), {
    pads: [0, top, left, 0, 0, bottom, right, 0],
  })
}

/** dW = patchesᵀ · dy: one product of [n·pixels, kernel·in] and [n·pixels, out]. */
const conv2dBackpropFilter: Lower = (node, [x, dy], graph) => {
  const [kh, kw, cin, cout] = node.outputs[0]!.shape as [number, number, number, number]
  const [n, h, w] = dy!.shape as [number, number, number, number]
  const rows = n * h * w
  const columns = patches(graph, x!, windowOf(node), { size: [h, w], outside: 0 })
  const width = kh * kw * cin
  const all = columns.length === 1 ? columns[0]! : graph.emit('Concat', columns, float([n, h, w, width]), { axis: 3 })
  const sides = [reshape(graph, all, [rows, width]), reshape(graph, dy!, [rows, cout])]
  const product = graph.emit('Gemm', sides, float([width, cout]), { transA: 1, transB: 0 })
  return reshape(graph, product, [kh, kw, cin, cout])
}

const depthwiseBackpropFilter: Lower = (node, [x, dy], graph) => {
  const [kh, kw, channels, multiplier] = node.outputs[0]!.shape as [number, number, number, number]
  const [n, h, w] = dy!.shape as [number, number, number, number]
  const rows = n * h * w
  const gradient = reshape(graph, dy!, [rows, channels, multiplier])
  const taps = patches(graph, x!, windowOf(node), { size: [h, w], outside: 0 }).map((patch) => {
    const product = graph.emit('Mul', [reshape(graph, patch, [rows, channels, 1]), gradient], gradient)
    return reduce(graph, 'ReduceSum', product, [0], true)
  })
  const all =
    taps.length === 1 ? taps[0]! : graph.emit('Concat', taps, float([kh * kw, channels, multiplier]), { axis: 0 })
  return reshape(graph, all, [kh, kw, channels, multiplier])
}

/** Where nothing better is known: products and sums. */
const scaleShift: Lower = (node, inputs, graph) => {
  const { image, scale, shift, plus } = partsOf(node, inputs)
  const vector = (x: Value) => reshape(graph, x, [x.shape[0]!, 1, 1])
  const inFirst = isFirst(image) || (plus !== undefined && isFirst(plus))
  const [take, give, spread] = inFirst ? [first, last, vector] : [keepLast, keepLast, (x: Value) => x]
  const terms = [shift && spread(shift), plus && take(graph, plus)].flatMap((term) => (term ? [term] : []))
  const source = take(graph, image)
  const product = graph.emit('Mul', [source, spread(scale)], source)
  const sum = terms.reduce((total, term) => graph.emit('Add', [total, term], source), product)
  return give(graph, node.attributes.activation === 'Relu' ? graph.emit('Relu', [sum], sum) : sum)
}

function keepLast(_: Graph, x: Value): Value {
  return x
}

export const convolutionRules: Readonly<Record<string, Lower>> = {
  conv2d,
  scaleShift,
  conv2dBackpropInput,
  conv2dBackpropFilter,
  depthwiseConv2d: depthwise,
  depthwiseConv2dBackpropInput: depthwiseBackpropInput,
  depthwiseConv2dBackpropFilter: depthwiseBackpropFilter,
}
