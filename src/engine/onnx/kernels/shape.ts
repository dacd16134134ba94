import * as tf from '@tensorflow/tfjs-core'
import { type Graph, type Shape, sizeOf, type Value } from '../ir.js'
import { cast, constant, dtypeOf, fill, type Kernels, kernel, reshape, slice, transpose } from './kernel.js'

type Many = Record<number, tf.TensorInfo>
const list = (inputs: object) => Object.values(inputs) as Value[]
const axisOf = (axis: number, x: Value) => tf.util.parseAxisParam(axis, [...x.shape])[0]!

function concat(graph: Graph, parts: readonly Value[], axis: number): Value {
  tf.backend_util.assertParamsConsistent(
    parts.map((part) => [...part.shape]),
    axis,
  )
  const filled = parts.filter((part) => sizeOf(part.shape) > 0)
  if (filled.length === 1) return filled[0]!
  const joined = filled.length > 0 ? filled : parts
  const [first] = joined
  const shape = [...first!.shape]
  shape[axis] = joined.reduce((sum, part) => sum + part.shape[axis]!, 0)
  if (filled.length === 0) return constant(graph, [], { dtype: first!.dtype, shape })
  return graph.emit('Concat', joined, { dtype: first!.dtype, shape }, { axis })
}

/** `size` elements from `begin` along each axis. */
function block(graph: Graph, x: Value, begin: readonly number[], size: readonly number[]): Value {
  const axes = x.shape.flatMap((d, axis) => (size[axis] === d ? [] : [axis]))
  if (axes.length === 0) return x
  const starts = axes.map((axis) => begin[axis]!)
  return slice(graph, x, { starts, ends: axes.map((axis, i) => starts[i]! + size[axis]!), axes })
}

function split(graph: Graph, x: Value, sizes: readonly number[], axis: number): readonly Value[] {
  const types = sizes.map((size) => ({ dtype: x.dtype, shape: x.shape.map((d, i) => (i === axis ? size : d)) }))
  return graph.emitAll('Split', [x], types, { axis, split: sizes })
}

function without(shape: Shape, axis: number): number[] {
  return shape.filter((_, i) => i !== axis)
}

function pad(
  graph: Graph,
  x: Value,
  paddings: readonly [number, number][],
  options: { value?: Value; mode?: string },
): Value {
  const shape = x.shape.map((d, axis) => d + paddings[axis]![0] + paddings[axis]![1])
  const pads = [...paddings.map(([before]) => before), ...paddings.map(([, after]) => after)]
  return graph.emit(
    'Pad',
    options.value ? [x, options.value] : [x],
    { dtype: x.dtype, shape },
    { mode: options.mode, pads },
  )
}

/** Each axis grows by a border: `reflect` without its edge, `symmetric` with it, which ONNX lacks, so from slices. */
function mirror(graph: Graph, x: Value, paddings: readonly [number, number][], mode: 'reflect' | 'symmetric'): Value {
  if (mode === 'reflect') return pad(graph, x, paddings, { mode: 'reflect' })
  return paddings.reduce((padded, [before, after], axis) => {
    const d = padded.shape[axis]!
    // From an element back to before another; what ends before the first ends at -1 - d, since -1 is the last.
    const flipped = (from: number, to: number) =>
      slice(graph, padded, { starts: [from], ends: [to < 0 ? -1 - d : to], axes: [axis], steps: [-1] })
    const parts = [padded]
    if (before > 0) parts.unshift(flipped(before - 1, -1))
    if (after > 0) parts.push(flipped(d - 1, d - 1 - after))
    return concat(graph, parts, axis)
  }, x)
}

function reverse(graph: Graph, x: Value, axes: readonly number[]): Value {
  if (axes.length === 0) return x
  return graph.emit('Slice', [x], x, {
    starts: axes.map(() => -1),
    ends: axes.map((axis) => -1 - x.shape[axis]!),
    axes,
    steps: axes.map(() => -1),
  })
}

export const shapes: Kernels = {
  Reshape: kernel<tf.ReshapeInputs, tf.ReshapeAttrs>(({ x }, { shape }, graph) =>
    reshape(graph, x, tf.util.inferFromImplicitShape(shape, sizeOf(x.shape))),
  ),
  ExpandDims: kernel<tf.ExpandDimsInputs, tf.ExpandDimsAttrs>(({ input }, { dim }, graph) => {
    const at = dim < 0 ? input.shape.length + dim + 1 : dim
    if (at < 0 || at > input.shape.length) throw new TypeError(`axis ${dim} of [${input.shape}]: there is no such axis`)
    return reshape(graph, input, [...input.shape.slice(0, at), 1, ...input.shape.slice(at)])
  }),
  Transpose: kernel<tf.TransposeInputs, tf.TransposeAttrs>(({ x }, { perm }, graph) => transpose(graph, x, perm)),
  Tile: kernel<tf.TileInputs, tf.TileAttrs>(({ x }, { reps }, graph) => {
    const shape = x.shape.map((d, axis) => d * reps[axis]!)
    const spreads = x.shape.every((d, axis) => d === 1 || reps[axis] === 1)
    return graph.emit(spreads ? 'Expand' : 'Tile', [x], { dtype: x.dtype, shape }, spreads ? {} : { repeats: reps })
  }),
  BroadcastTo: kernel<tf.BroadcastToInputs, tf.BroadCastToAttrs>(({ x }, { shape }, graph) =>
    graph.emit('Expand', [x], { dtype: x.dtype, shape }),
  ),
  Concat: kernel<Many, tf.ConcatAttrs>((inputs, { axis }, graph) =>
    concat(graph, list(inputs), axisOf(axis, list(inputs)[0]!)),
  ),
  Pack: kernel<Many, tf.PackAttrs>((inputs, { axis }, graph) => {
    const parts = list(inputs)
    const at = axis < 0 ? axis + parts[0]!.shape.length + 1 : axis
    const expand = (x: Value) => reshape(graph, x, [...x.shape.slice(0, at), 1, ...x.shape.slice(at)])
    return concat(graph, parts.map(expand), at)
  }),
  Unpack: kernel<tf.UnpackInputs, tf.UnpackAttrs>(({ value }, attributes, graph) => {
    const axis = axisOf(attributes.axis, value)
    const ones = Array.from({ length: value.shape[axis]! }, () => 1)
    return split(graph, value, ones, axis).map((part) => reshape(graph, part, without(value.shape, axis)))
  }),
  SplitV: kernel<tf.SplitVInputs, tf.SplitVAttrs>(({ x }, { numOrSizeSplits, axis }, graph) => {
    const at = axisOf(axis, x)
    const sizes = tf.backend_util.prepareSplitSize({ shape: [...x.shape] } as tf.Tensor, numOrSizeSplits, at)
    return split(graph, x, sizes, at)
  }),
  Slice: kernel<tf.SliceInputs, tf.SliceAttrs>(({ x }, { begin, size }, graph) => {
    const shaped = { shape: [...x.shape], rank: x.shape.length } as tf.Tensor
    const [starts, sizes] = tf.slice_util.parseSliceParams(shaped, begin, size)
    tf.slice_util.assertParamsValid(shaped, starts!, sizes!)
    return block(graph, x, starts!, sizes!)
  }),
  StridedSlice: kernel<tf.StridedSliceInputs, tf.StridedSliceAttrs>(({ x }, a, graph) => {
    const info = tf.slice_util.sliceInfo(
      [...x.shape],
      a.begin,
      a.end,
      a.strides,
      a.beginMask,
      a.endMask,
      a.ellipsisMask,
      a.newAxisMask,
      a.shrinkAxisMask,
    )
    const { begin, end, strides, finalShape, finalShapeSparse } = info
    if (sizeOf(finalShape) === 0) return constant(graph, [], { dtype: x.dtype, shape: finalShape })
    // A negative stride that runs past the first element ends "before 0", which ONNX writes as -1 - d.
    const ends = end.map((to, axis) => (to < 0 ? -1 - x.shape[axis]! : to))
    const axes = x.shape.map((_, axis) => axis)
    const type = { dtype: x.dtype, shape: finalShapeSparse }
    const sliced = info.isIdentity ? x : graph.emit('Slice', [x], type, { starts: begin, ends, axes, steps: strides })
    return reshape(graph, sliced, finalShape)
  }),
  Reverse: kernel<tf.ReverseInputs, tf.ReverseAttrs>(({ x }, { dims }, graph) =>
    reverse(graph, x, tf.util.parseAxisParam(dims, [...x.shape])),
  ),
  PadV2: kernel<tf.PadV2Inputs, tf.PadV2Attrs>(({ x }, { paddings, constantValue }, graph) =>
    pad(graph, x, paddings, { value: constant(graph, constantValue, { dtype: x.dtype, shape: [] }) }),
  ),
  MirrorPad: kernel<tf.MirrorPadInputs, tf.MirrorPadAttrs>(({ x }, { paddings, mode }, graph) =>
    mirror(graph, x, paddings, mode),
  ),
  GatherV2: kernel<tf.GatherV2Inputs, tf.GatherV2Attrs>(({ x, indices }, { axis, batchDims }, graph) => {
    const at = axisOf(axis, x)
    const [source, places] = [x, indices].map(({ shape }) => ({ shape: [...shape] }) as tf.Tensor)
    const info = tf.backend_util.segment_util.collectGatherOpShapeInfo(source!, places!, at, batchDims ?? 0)
    const { batchSize, outerSize, dimSize, sliceSize, outputShape } = info
    const index = cast(graph, indices, 'int32')
    if (!batchDims) return graph.emit('Gather', [x, index], { dtype: x.dtype, shape: outputShape }, { axis: at })
    const count = sizeOf(index.shape) / batchSize
    const typed = (shape: number[]) => ({ dtype: x.dtype, shape })
    const moved = transpose(graph, reshape(graph, x, [batchSize, outerSize, dimSize, sliceSize]), [0, 2, 1, 3])
    const chosen = cast(graph, reshape(graph, index, [batchSize, count, 1]), 'int64')
    const type = typed([batchSize, count, outerSize, sliceSize])
    const gathered = graph.emit('GatherND', [moved, chosen], type, { batch_dims: 1 })
    return reshape(graph, transpose(graph, gathered, [0, 2, 1, 3]), outputShape)
  }),
  GatherNd: kernel<tf.GatherNdInputs>(({ params, indices }, _, graph) => {
    const shape = [...indices.shape.slice(0, -1), ...params.shape.slice(indices.shape.at(-1)!)]
    return graph.emit('GatherND', [params, cast(graph, indices, 'int64')], { dtype: params.dtype, shape })
  }),
  OneHot: kernel<tf.OneHotInputs, tf.OneHotAttrs>(({ indices }, { depth, onValue, offValue, dtype }, graph) => {
    const shape = [...indices.shape, depth]
    const places = constant(
      graph,
      Int32Array.from({ length: depth }, (_, i) => i),
      { dtype: 'int32', shape: [depth] },
    )
    const hit = graph.emit('Equal', [reshape(graph, cast(graph, indices, 'int32'), [...indices.shape, 1]), places], {
      dtype: 'bool',
      shape,
    })
    const type = { dtype: dtypeOf(dtype), shape }
    if (onValue === 1 && offValue === 0) return cast(graph, hit, type.dtype)
    const value = (x: number) => constant(graph, x, { dtype: type.dtype, shape: [] })
    return graph.emit('Where', [hit, value(onValue), value(offValue)], type)
  }),
}

export const creations: Kernels = {
  Fill: kernel<object, tf.FillAttrs>((_, { shape, value, dtype }, graph) =>
    fill(graph, Number(value), { dtype: dtypeOf(dtype ?? 'float32'), shape }),
  ),
  ZerosLike: kernel<tf.ZerosLikeInputs>(({ x }, _, graph) => fill(graph, 0, x)),
  OnesLike: kernel<tf.OnesLikeInputs>(({ x }, _, graph) => fill(graph, 1, x)),
  Range: kernel<object, tf.RangeAttrs>((_, { start, stop, step, dtype }, graph) => {
    const stride = stop < start && step === 1 ? -1 : step // tfjs's default of 1 counts down, too
    const length = Math.max(0, Math.ceil((stop - start) / stride))
    const values = Array.from({ length }, (_, i) => start + i * stride)
    return constant(graph, values, { dtype, shape: [values.length] })
  }),
  LinSpace: kernel<object, tf.LinSpaceAttrs>((_, { start, stop, num }, graph) => {
    const step = num > 1 ? (stop - start) / (num - 1) : 0
    return constant(
      graph,
      Array.from({ length: num }, (_, i) => start + i * step),
      { dtype: 'float32', shape: [num] },
    )
  }),
}
