import type { Graph, Node, Value } from '../ir.js'
import { fill, float, reduce, reshape, transpose } from '../kernels/kernel.js'
import { blockedOp, joinCorners, type LowerBlocked, type Quad, spread } from './blocked.js'
import { block, unblock } from './layout.js'
import { patches, type Window, windowOf } from './lower-conv.js'

/**
 * dx at the rows and columns ≡ (row, column) modulo the strides sees only every stride-th element of the filter: each
 * such part is a convolution of dy with a smaller filter, reversed. Their number is strides[0] · strides[1].
 */
export const conv2dBackpropInput: LowerBlocked = (node, [dy, filter], graph, b) => {
  const [kh, kw, cin, cout] = filter!.shape as Quad
  const { strides, dilations, pads } = windowOf(node)
  const [n, h, w] = node.outputs[0]!.shape as Quad
  const tiles = strides.every((s) => s === 1) || (strides.every((s) => s === 2) && h % 2 === 0 && w % 2 === 0)
  if (cin % b !== 0 || cout % b !== 0 || !tiles) return undefined
  const source = block(graph, dy!)
  const remainders = strides[0] === 1 ? [0] : [0, 1]
  const parts = remainders.flatMap((row) =>
    remainders.map((column) => {
      const taps = [
        phase({
          remainder: row,
          size: h,
          kernel: kh,
          stride: strides[0],
          dilation: dilations[0],
          pad: pads[0],
          dySize: dy!.shape[1]!,
        }),
        phase({
          remainder: column,
          size: w,
          kernel: kw,
          stride: strides[1],
          dilation: dilations[1],
          pad: pads[1],
          dySize: dy!.shape[2]!,
        }),
      ] as [Phase, Phase]
      const shape: Quad = [n, cin, taps[0].size, taps[1].size]
      return { taps, shape }
    }),
  )
  if (parts.some(({ taps }) => taps.some(({ count, pads }) => count > 0 && pads.some((p) => p < 0)))) return undefined
  const values = parts.map(({ taps, shape }) =>
    convolvePhase(graph, { dy: source, filter: filter!, taps, shape, dilations, b }),
  )
  if (values.length === 1) return values[0] && unblock(graph, values[0])
  // A filter of 1 × 1 reaches only the first part.
  if (values[0] && values.slice(1).every((value) => !value)) return unblock(graph, spread(graph, values[0], strides, b))
  const corners = values.map((value, i) => value ?? fill(graph, 0, float(parts[i]!.shape)))
  return unblock(graph, joinCorners(graph, corners, b))
}

/** One axis of one part of dx. */
interface Phase {
  /** The filter's elements that it sees: `count` of them, `stride` apart, from `first`. */
  first: number
  count: number
  stride: number
  /** Of dy, before and after. */
  pads: [number, number]
  size: number
}

interface Axis {
  remainder: number
  size: number
  kernel: number
  stride: number
  dilation: number
  pad: number
  dySize: number
}

/** Of i = stride · j + remainder, element k of the filter comes from dy at (i + pad - k · dilation) / stride. */
function phase({ remainder, size, kernel, stride, dilation, pad, dySize }: Axis): Phase {
  const first = (remainder + pad) % stride
  const count = Math.max(0, Math.ceil((kernel - first) / stride))
  const part = Math.ceil((size - remainder) / stride)
  const before = (count - 1) * dilation - (remainder + pad - first) / stride
  return { first, count, stride, pads: [before, part - dySize - before + (count - 1) * dilation], size: part }
}

interface PhaseOptions {
  dy: Value
  filter: Value
  taps: [Phase, Phase]
  shape: Quad
  dilations: readonly [number, number]
  b: number
}

function convolvePhase(graph: Graph, { dy, filter, taps, shape, dilations, b }: PhaseOptions): Value | undefined {
  const [rows, columns] = taps
  if (rows.count === 0 || columns.count === 0) return undefined
  const [kh, kw, cin, cout] = filter.shape as Quad
  const reversed = graph.emit('Slice', [filter], float([rows.count, columns.count, cin, cout]), {
    starts: taps.map(({ first, stride, count }) => first + stride * (count - 1)),
    // An end before the first element is counted from the back.
    ends: [kh, kw].map((size, i) => taps[i]!.first - 1 - (taps[i]!.first === 0 ? size : 0)),
    axes: [0, 1],
    steps: taps.map(({ stride }) => -stride),
  })
  const parted = reshape(graph, reversed, [rows.count, columns.count, cin / b, b, cout / b, b])
  const weights = reshape(graph, transpose(graph, parted, [2, 4, 0, 1, 5, 3]), [cin, cout, rows.count, columns.count])
  return graph.emit(blockedOp('Conv'), [dy, weights], float(shape), {
    kernel_shape: [rows.count, columns.count],
    strides: [1, 1],
    dilations: rows.stride === 1 ? dilations : [1, 1],
    pads: [rows.pads[0], columns.pads[0], rows.pads[1], columns.pads[1]],
  })
}

/**
 * The gradient of a filter as a convolution whose channels are the batch: x, as [in, n, h, w], with dy, as
 * [out, n, outHeight, outWidth], for a filter; strides and dilations change places.
 */
export const conv2dBackpropFilter: LowerBlocked = (node, [x, dy], graph, b) => {
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
