import type { BackendValues, DataType } from '@tensorflow/tfjs-core'
import { type Data, type DType, type Graph, type Shape, sameShape, sizeOf, type Type, type Value } from '../ir.js'

/** One tfjs kernel as nodes: its inputs as values under tfjs's names, its attributes; gives the value(s) that tfjs expects. */
export type Kernel = (inputs: never, attributes: never, graph: Graph) => Value | readonly Value[]

/** tfjs's type of a kernel's inputs, with values in place of tensors. */
type Recorded<Inputs> = { [Name in keyof Inputs as string extends Name ? never : Name]: Value }

/** Types a kernel by tfjs's own declarations of its inputs and attributes. */
export function kernel<Inputs, Attributes = object>(
  record: (inputs: Recorded<Inputs>, attributes: Attributes, graph: Graph) => Value | readonly Value[],
): Kernel {
  return record as Kernel
}

export type Kernels = Readonly<Record<string, Kernel>>

export function float(shape: Shape): Type {
  return { dtype: 'float32', shape }
}

export function bool(shape: Shape): Type {
  return { dtype: 'bool', shape }
}

/** tfjs's element type as ours; strings and complex numbers have no place in a program. */
export function dtypeOf(type: DataType): DType {
  if (type === 'float32' || type === 'int32' || type === 'bool') return type
  throw new TypeError(`dtype ${type}: expected float32, int32 or bool`)
}

export function cast(graph: Graph, x: Value, dtype: DType): Value {
  return x.dtype === dtype ? x : graph.emit('Cast', [x], { dtype, shape: x.shape })
}

export function reshape(graph: Graph, x: Value, shape: Shape): Value {
  const source = x.node.op === 'Reshape' ? x.node.inputs[0]! : x
  return sameShape(source.shape, shape) ? source : graph.emit('Reshape', [source], { dtype: x.dtype, shape })
}

export function transpose(graph: Graph, x: Value, perm: readonly number[]): Value {
  if (perm.every((axis, i) => axis === i)) return x
  return graph.emit('Transpose', [x], { dtype: x.dtype, shape: perm.map((axis) => x.shape[axis]!) }, { perm })
}

const arrays = { float32: Float32Array, int32: Int32Array, bool: Uint8Array, uint8: Uint8Array, uint32: Uint32Array }

/** Elements as tfjs has them, as the array that the runtime takes. */
export function toData(values: BackendValues, dtype: DType): Data {
  const wanted = arrays[dtype as keyof typeof arrays]
  return values instanceof wanted ? values : wanted.from(values as ArrayLike<number>)
}

export function constant(graph: Graph, values: number | ArrayLike<number>, type: Type): Value {
  const data: Data =
    type.dtype === 'int64'
      ? BigInt64Array.from(typeof values === 'number' ? [values] : Array.from(values), BigInt)
      : arrays[type.dtype as keyof typeof arrays].from(typeof values === 'number' ? [values] : values)
  return graph.constant(data, type)
}

/** A tensor of one number; large ones are expanded from a scalar when the program is loaded. */
export function fill(graph: Graph, value: number, type: Type): Value {
  const scalar = constant(graph, value, { dtype: type.dtype, shape: [] })
  return sizeOf(type.shape) === 1 ? constant(graph, value, type) : graph.emit('Expand', [scalar], type)
}

export function slice(
  graph: Graph,
  x: Value,
  bounds: { starts: number[]; ends: number[]; axes: number[]; steps?: number[] },
): Value {
  const steps = bounds.steps ?? bounds.axes.map(() => 1)
  const shape = [...x.shape]
  for (const [i, axis] of bounds.axes.entries()) {
    const [start, end, step] = [bounds.starts[i]!, bounds.ends[i]!, steps[i]!]
    // Going backwards, what ends before the first element has a negative end.
    shape[axis] = Math.max(0, Math.ceil(((step < 0 ? Math.max(end, -1) : end) - start) / step))
  }
  return graph.emit('Slice', [x], { dtype: x.dtype, shape }, { ...bounds, steps })
}

export function reduce(graph: Graph, op: string, x: Value, axes: readonly number[], keep = false): Value {
  const shape = x.shape.flatMap((d, axis) => (axes.includes(axis) ? (keep ? [1] : []) : [d]))
  if (axes.length === 0) return x
  return graph.emit(op, [x], { dtype: x.dtype, shape }, { axes, keepdims: keep ? 1 : 0 })
}
