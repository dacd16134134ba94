import * as tf from '@tensorflow/tfjs-core'
import type { Graph, Value } from '../ir.js'
import { formulas } from './formula.js'
import { cast, constant, float, type Kernels, kernel, reshape, slice } from './kernel.js'

/** Where to read images: which image, row and column, each float32 and broadcast to [n, height, width]. */
interface Places {
  batch: Value
  y: Value
  x: Value
}

/** The pixels [n, height, width, c] at whole coordinates; `outside` where there is no image. */
function read(graph: Graph, image: Value, { batch, y, x }: Places, outside: Value | number): Value {
  const [n, h, w, c] = image.shape as [number, number, number, number]
  const { add, mul, min, max, lessEqual, and, where } = formulas(graph)
  const within = (at: Value, size: number) => max(min(at, size - 1), 0)
  const index = add(mul(add(mul(within(batch, n), h), within(y, h)), w), within(x, w))
  const places = cast(graph, index, 'int32')
  const pixels = graph.emit(
    'Gather',
    [reshape(graph, cast(graph, image, 'float32'), [n * h * w, c]), places],
    float([...index.shape, c]),
    { axis: 0 },
  )
  const inside = and(lessEqual(0, y), lessEqual(y, h - 1), lessEqual(0, x), lessEqual(x, w - 1))
  return where(reshape(graph, inside, [...inside.shape, 1]), pixels, outside)
}

/** Between the four pixels around fractional coordinates. */
function readLinear(graph: Graph, image: Value, places: Places, outside: number): Value {
  const { add, sub, mul, floor } = formulas(graph)
  const weight = (part: Value) => reshape(graph, part, [...part.shape, 1])
  const [top, left] = [floor(places.y), floor(places.x)]
  const [down, right] = [weight(sub(places.y, top)), weight(sub(places.x, left))]
  const at = (dy: number, dx: number) =>
    read(graph, image, { batch: places.batch, y: add(top, dy), x: add(left, dx) }, outside)
  const row = (dy: number) => add(mul(at(dy, 0), sub(1, right)), mul(at(dy, 1), right))
  return add(mul(row(0), sub(1, down)), mul(row(1), down))
}

/** Column `i` of a matrix [n, k], as [n, 1, 1]. */
function column(graph: Graph, x: Value, i: number): Value {
  return reshape(graph, slice(graph, x, { starts: [i], ends: [i + 1], axes: [1] }), [x.shape[0]!, 1, 1])
}

function range(graph: Graph, count: number, shape: readonly number[]): Value {
  return constant(
    graph,
    Array.from({ length: count }, (_, i) => i),
    float(shape),
  )
}

const cropAndResize = kernel<tf.CropAndResizeInputs, tf.CropAndResizeAttrs>((inputs, attributes, graph) => {
  const { image, boxes, boxInd } = inputs
  const { cropSize, method, extrapolationValue } = attributes
  const [batch, h, w] = image.shape as [number, number, number, number]
  const { add, sub, mul, less, lessEqual, and, where, round } = formulas(graph)
  const along = (low: Value, high: Value, size: number, crop: number, shape: number[]) =>
    crop > 1
      ? add(mul(low, size - 1), mul(range(graph, crop, shape), mul(sub(high, low), (size - 1) / (crop - 1))))
      : mul(add(low, high), (size - 1) / 2)
  const [y1, x1, y2, x2] = [0, 1, 2, 3].map((i) => column(graph, boxes, i)) as [Value, Value, Value, Value]
  const y = along(y1, y2, h, cropSize[0], [1, cropSize[0], 1])
  const x = along(x1, x2, w, cropSize[1], [1, 1, cropSize[1]])
  const of = reshape(graph, cast(graph, boxInd, 'float32'), [boxes.shape[0]!, 1, 1])
  const pixels =
    method === 'bilinear'
      ? readLinear(graph, image, { batch: of, y, x }, 0)
      : read(graph, image, { batch: of, y: round(y), x: round(x) }, 0)
  const inside = and(lessEqual(0, y), lessEqual(y, h - 1), lessEqual(0, x), lessEqual(x, w - 1))
  const spread = (mask: Value) => reshape(graph, mask, [...mask.shape, 1])
  const cropped = where(spread(inside), pixels, extrapolationValue)
  return where(spread(less(of, batch)), cropped, 0) // as tfjs: boxes of images that do not exist are black
})

/** Brings coordinates back into [0, size - 1], as tfjs's fill mode says. */
function wrapInto(graph: Graph, at: Value, size: number, mode: string): Value {
  const { add, sub, mul, div, min, max, less, where, trunc } = formulas(graph)
  const clamp = (x: Value) => max(min(x, size - 1), 0)
  const whenOutside = (below: Value, above: Value) =>
    clamp(where(less(at, 0), below, where(less(size - 1, at), above, at)))
  if (mode === 'nearest') return clamp(at)
  if (mode === 'reflect') {
    if (size <= 1) return mul(clamp(at), 0)
    const period = 2 * size
    const lifted = add(mul(trunc(div(sub(0, at), period)), period), at)
    const below = where(less(lifted, -size), add(lifted, period), sub(sub(0, lifted), 1))
    const lowered = sub(at, mul(trunc(div(at, period)), period))
    return whenOutside(below, where(less(lowered, size), lowered, sub(period - 1, lowered)))
  }
  if (mode === 'wrap') {
    if (size <= 1) return mul(clamp(at), 0)
    const below = add(at, mul(add(trunc(div(sub(0, at), size - 1)), 1), size))
    return whenOutside(below, sub(at, mul(trunc(div(at, size - 1)), size)))
  }
  return at // constant: what lies outside is read as the fill value
}

const transform = kernel<tf.TransformInputs, tf.TransformAttrs>(({ image, transforms }, attributes, graph) => {
  const { interpolation, fillMode, fillValue, outputShape } = attributes
  const [batch, h, w] = image.shape as [number, number, number, number]
  const [height, width] = outputShape ?? [h, w]
  const { add, mul, div, equal, where, round } = formulas(graph)
  const [x, y] = [range(graph, width, [1, 1, width]), range(graph, height, [1, height, 1])]
  const plane = (first: number, last: Value | number) =>
    add(add(mul(column(graph, transforms, first), x), mul(column(graph, transforms, first + 1), y)), last)
  const projection = plane(6, 1)
  const infinite = equal(projection, 0)
  const coordinate = (first: number, size: number) => {
    const quotient = div(plane(first, column(graph, transforms, first + 2)), projection)
    return wrapInto(graph, where(infinite, 0, quotient), size, fillMode)
  }
  const of = range(graph, batch, [batch, 1, 1])
  const places = { batch: of, x: coordinate(0, w), y: coordinate(3, h) }
  const pixels =
    interpolation === 'bilinear'
      ? readLinear(graph, image, places, fillValue)
      : read(graph, image, { batch: of, x: round(places.x), y: round(places.y) }, fillValue)
  const filled = where(reshape(graph, infinite, [...infinite.shape, 1]), fillValue, pixels)
  return cast(graph, filled, image.dtype)
})

const rotate = kernel<tf.RotateWithOffsetInputs, tf.RotateWithOffsetAttrs>(({ image }, attributes, graph) => {
  const { radians, fillValue, center } = attributes
  const [batch, h, w, c] = image.shape as [number, number, number, number]
  const [centerX, centerY] = tf.backend_util.getImageCenter(center, h, w)
  const rotated = (f: (dx: number, dy: number) => number) =>
    constant(
      graph,
      Array.from({ length: h * w }, (_, i) => Math.round(f((i % w) - centerX, Math.floor(i / w) - centerY))),
      float([1, h, w]),
    )
  const [sin, cos] = [Math.sin(radians), Math.cos(radians)]
  const places = {
    batch: range(graph, batch, [batch, 1, 1]),
    x: rotated((dx, dy) => dx * cos - dy * sin + centerX),
    y: rotated((dx, dy) => dx * sin + dy * cos + centerY),
  }
  const opaque = 255
  const outside =
    typeof fillValue === 'number'
      ? fillValue
      : constant(
          graph,
          Array.from({ length: c }, (_, i) => (i === 3 ? opaque : fillValue[i]!)),
          float([c]),
        )
  return cast(graph, read(graph, image, places, outside), image.dtype)
})

export const samplings: Kernels = {
  CropAndResize: cropAndResize,
  Transform: transform,
  RotateWithOffset: rotate,
  FlipLeftRight: kernel<tf.FlipLeftRightInputs>(({ image }, _, graph) =>
    graph.emit('Slice', [image], image, { starts: [-1], ends: [-1 - image.shape[2]!], axes: [2], steps: [-1] }),
  ),
}
