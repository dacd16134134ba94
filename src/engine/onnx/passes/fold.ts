import { type Data, type Graph, type Node, type Shape, sizeOf, type Value } from '../ir.js'

/** Operators that are computed here, in float32, when all their operands are single numbers. */
const functions: Readonly<Record<string, (...operands: number[]) => number>> = {
  Add: (a, b) => a! + b!,
  Sub: (a, b) => a! - b!,
  Mul: (a, b) => a! * b!,
  Div: (a, b) => a! / b!,
  Neg: (a) => -a!,
  Sqrt: (a) => Math.sqrt(a!),
  Reciprocal: (a) => 1 / a!,
}

export function foldable(op: string): boolean {
  return op in functions
}

export function foldElementwise(graph: Graph, node: Node, inputs: readonly Value[]): Value | undefined {
  const type = node.outputs[0]!
  const numbers = inputs.flatMap((input) => (input.node.data?.length === 1 ? [Number(input.node.data[0])] : []))
  // Only float32 rounds as one operation of float64 and a rounding do.
  if (type.dtype !== 'float32' || sizeOf(type.shape) !== 1 || numbers.length !== inputs.length) return undefined
  return graph.constant(Float32Array.of(functions[node.op]!(...numbers)), type)
}

export function foldTranspose<T extends Exclude<Data, BigInt64Array>>(
  data: T,
  shape: Shape,
  perm: readonly number[],
): T {
  const strides = shape.map((_, axis) => sizeOf(shape.slice(axis + 1)))
  const moved = perm.map((axis) => strides[axis]!)
  const sizes = perm.map((axis) => shape[axis]!)
  const result = data.slice() as T
  const index = sizes.map(() => 0)
  for (let i = 0, from = 0; i < result.length; i++) {
    result[i] = data[from]!
    for (let axis = sizes.length - 1; axis >= 0; axis--) {
      from += moved[axis]!
      if (++index[axis]! < sizes[axis]!) break
      from -= moved[axis]! * sizes[axis]!
      index[axis] = 0
    }
  }
  return result
}
