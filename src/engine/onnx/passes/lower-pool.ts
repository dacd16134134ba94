import type { Graph, Node, Value } from '../ir.js'
import { constant, fill, float, reshape, slice } from '../kernels/kernel.js'
import { first, last } from './layout.js'
import { onnxWindow, padSpace, patches, places, type Window, windowOf } from './lower-conv.js'

type Lower = (node: Node, inputs: readonly Value[], graph: Graph) => Value

function pool(op: 'MaxPool' | 'AveragePool'): Lower {
  return (node, [x], graph) => {
    const [n, h, w, c] = node.outputs[0]!.shape as [number, number, number, number]
    const { kernel_shape, strides, pads } = onnxWindow(windowOf(node), x!.shape, node.outputs[0]!.shape)
    if (pads.some((p, i) => p! >= kernel_shape[i % 2]!))
      return poolWide(graph, op, x!, { node, pads: pads as number[] })
    return last(graph, graph.emit(op, [first(graph, x!)], float([n, c, h, w]), { kernel_shape, strides, pads }))
  }
}

/** Windows may lie wholly outside of the image, which ONNX does not allow: the border is made, then. */
function poolWide(
  graph: Graph,
  op: 'MaxPool' | 'AveragePool',
  x: Value,
  { node, pads }: { node: Node; pads: readonly number[] },
): Value {
  const { kernel, strides } = windowOf(node)
  const type = node.outputs[0]!
  const [n, h, w, c] = type.shape as [number, number, number, number]
  const padded = padSpace(graph, x, pads, op === 'MaxPool' ? Number.NEGATIVE_INFINITY : 0)
  const attributes = { kernel_shape: kernel, strides, pads: [0, 0, 0, 0] }
  const pooled = last(graph, graph.emit(op, [first(graph, padded)], float([n, c, h, w]), attributes))
  if (op === 'MaxPool') return pooled
  // The average is of what lies inside.
  const inside = (axis: 0 | 1) =>
    Array.from({ length: type.shape[axis + 1]! }, (_, i) => {
      const start = i * strides[axis] - pads[axis]!
      return Math.min(start + kernel[axis], x.shape[axis + 1]!) - Math.max(start, 0)
    })
  const [rows, columns] = [inside(0), inside(1)]
  const factors = rows.flatMap((row) =>
    columns.map((column) => (row > 0 && column > 0 ? (kernel[0] * kernel[1]) / (row * column) : 0)),
  )
  return graph.emit('Mul', [pooled, constant(graph, factors, float([h, w, 1]))], type)
}

/** The first of the largest elements of a window takes its dy: what one place takes is no longer there for the next. */
const maxPoolGrad: Lower = (node, [dy, input, output], graph) => {
  const window = windowOf(node)
  const [, h, w] = dy!.shape as [number, number, number, number]
  const zero = graph.scalar(0)
  let rest = dy!
  const taken = patches(graph, input!, window, { size: [h, w], outside: Number.NEGATIVE_INFINITY }).map((patch) => {
    const hit = graph.emit('Equal', [patch, output!], { dtype: 'bool', shape: dy!.shape })
    const part = graph.emit('Where', [hit, rest, zero], dy!)
    rest = graph.emit('Sub', [rest, part], dy!)
    return part
  })
  return scatter(graph, taken, window, node.outputs[0]!.shape)
}

/** As tfjs: every place gets dy / (height · width) of its window, also where the window hangs over the edge. */
const avgPoolGrad: Lower = (node, [dy], graph) => {
  const window = windowOf(node)
  const [height, width] = window.kernel
  const share = graph.emit('Mul', [dy!, graph.scalar(1 / (height * width))], dy!)
  return scatter(
    graph,
    places(window.kernel).map(() => share),
    window,
    node.outputs[0]!.shape,
  )
}

/** Adds each place's [n, outHeight, outWidth, c] to where the place lies in the input: the transpose of `patches`. */
export function scatter(graph: Graph, parts: readonly Value[], window: Window, shape: readonly number[]): Value {
  const { kernel, strides, dilations, pads } = window
  const [, h, w] = shape as [number, number, number, number]
  const dense = dilations.every((dilation) => dilation === 1)
  const tiles = dense && kernel.every((size, i) => size === strides[i]) && pads[0] === 0 && pads[1] === 0
  const whole = tiles ? interleave(graph, parts, kernel) : overlap(graph, parts, window, [h, w])
  return cropTo(graph, whole, { top: tiles ? 0 : pads[0], left: tiles ? 0 : pads[1], height: h, width: w })
}

/** Windows side by side: the places of a window become neighbours. */
function interleave(graph: Graph, parts: readonly Value[], [height, width]: readonly [number, number]): Value {
  const [n, h, w, c] = parts[0]!.shape as [number, number, number, number]
  const rows = Array.from({ length: height }, (_, row) => {
    const columns = parts.slice(row * width, (row + 1) * width).map((part) => reshape(graph, part, [n * h, w, c]))
    return width === 1 ? columns[0]! : graph.emit('Concat', columns, float([n * h, w, width * c]), { axis: 2 })
  })
  const flat = rows.map((row) => reshape(graph, row, [n * h, w * width * c]))
  const all = height === 1 ? flat[0]! : graph.emit('Concat', flat, float([n * h, height * w * width * c]), { axis: 1 })
  return reshape(graph, all, [n, h * height, w * width, c])
}

/** Windows that overlap, or leave gaps: the sum over places of dy spread by the strides and moved to the place. */
function overlap(
  graph: Graph,
  parts: readonly Value[],
  { kernel, strides, dilations, pads }: Window,
  size: readonly [number, number],
): Value {
  const [n, h, w, c] = parts[0]!.shape as [number, number, number, number]
  const [sh, sw] = strides
  const spread = (part: Value) => {
    if (sh * sw === 1) return part
    const cells = reshape(graph, part, [n * h, 1, w, c])
    const padded = graph.emit('Pad', [cells, fill(graph, 0, float([]))], float([n * h, sh, w, sw * c]), {
      pads: [0, 0, 0, 0, 0, sh - 1, 0, (sw - 1) * c],
    })
    return reshape(graph, padded, [n, h * sh, w * sw, c])
  }
  const height = Math.max(h * sh + (kernel[0] - 1) * dilations[0], size[0] + pads[0])
  const width = Math.max(w * sw + (kernel[1] - 1) * dilations[1], size[1] + pads[1])
  return places(kernel)
    .map(([y, x]) => [y * dilations[0], x * dilations[1]] as const)
    .map(([row, column], i) =>
      padSpace(graph, spread(parts[i]!), [row, column, height - h * sh - row, width - w * sw - column], 0),
    )
    .reduce((sum, part) => graph.emit('Add', [sum, part], sum))
}

/** Cuts, or fills with zeros, to the input's size. */
function cropTo(graph: Graph, x: Value, to: { top: number; left: number; height: number; width: number }): Value {
  const [, h, w] = x.shape as [number, number, number, number]
  const { top, left, height, width } = to
  const missing = [Math.max(0, top + height - h), Math.max(0, left + width - w)]
  const padded = padSpace(graph, x, [0, 0, ...missing], 0)
  if (padded.shape[1] === height && padded.shape[2] === width) return padded
  return slice(graph, padded, { starts: [top, left], ends: [top + height, left + width], axes: [1, 2] })
}

export const poolRules: Readonly<Record<string, Lower>> = {
  maxPool: pool('MaxPool'),
  avgPool: pool('AveragePool'),
  maxPoolGrad,
  avgPoolGrad,
}
