import { DecantError } from '../../../errors.js'
import { type Data, Graph, isDynamic, type Node, type Shape, sizeOf, sortNodes, type Value } from '../ir.js'
import { constant } from '../kernels/kernel.js'

/** Two primes that are hardly ever sizes of a model: then no other size is one of them, or a multiple of one as it is of the other. */
const batches = [53, 59] as const

/**
 * One program for every batch size from a function that gives the program for one: in a dimension that is k times the
 * batch in both of two samples, the program has -k. A program that depends on the batch in another way is refused.
 */
export function mergeBatch(programFor: (batch: number) => Value, place: string): Value {
  const [a, b] = batches.map(programFor) as [Value, Value]
  const [left, right] = [nodesOf(a), nodesOf(b)]
  const graph = new Graph()
  const merged = new Map<Value, Value>()
  const refuse = (node: Node) =>
    new DecantError(`${place}: ${node.op} depends on the batch size in a way that has no form for any size`)

  if (left.length !== right.length) throw refuse(left.at(-1)!)
  const input = left.find(isInput)?.outputs[0]
  for (const [i, node] of left.entries()) {
    const other = right[i]!
    if (!sameNode(node, other)) throw refuse(node)
    const inputs = node.inputs.map((input) => merged.get(input)!)
    const types = node.outputs.map(({ dtype, shape }, j) => ({
      dtype,
      shape: mergeShapes(shape, other.outputs[j]!.shape),
    }))
    if (types.some(({ shape }) => shape.some(Number.isNaN))) throw refuse(node)
    const { shape } = types[0]!
    const unknown = shape.flatMap((d, axis) => (isDynamic(d) ? [axis] : []))
    if (node.op === 'Reshape' && unknown.length > 1) throw refuse(node) // a shape is a constant in a graph, one size of it may be left out
    const kept = node.data && withoutCopies(node, unknown)
    if (node.data && !(kept && sameElements(kept, withoutCopies(other, unknown)))) throw refuse(node)
    const source = kept
      ? graph.constant(kept, { ...types[0]!, shape: shape.map((d) => (isDynamic(d) ? 1 : d)) }, nameOf(node))
      : inputs[0]!
    const spread = (kept || node.op === 'Expand') && unknown.length > 0
    if (spread && !input) throw refuse(node)
    const outputs = spread
      ? [expand(graph, source, { shape, batchOf: merged.get(input!)! })]
      : kept
        ? [source]
        : graph.emitAll(node.op, inputs, types, node.attributes)
    for (const [j, value] of node.outputs.entries()) merged.set(value, outputs[j]!)
  }
  return merged.get(a)!
}

const isInput = ({ op }: Node) => op === 'Input'

/** What a value depends on, the input first: its batch is asked for. */
function nodesOf(value: Value): Node[] {
  const nodes = sortNodes([value])
  return [...nodes.filter(isInput), ...nodes.filter((node) => !isInput(node))]
}

const nameOf = (constant: Node) => constant.attributes.name as string | undefined

function sameNode(a: Node, b: Node): boolean {
  return a.op === b.op && JSON.stringify(a.attributes) === JSON.stringify(b.attributes)
}

function sameElements(a: Data, b: Data | undefined): boolean {
  return a.length === b?.length && a.every((x, i) => Object.is(x, b[i]))
}

/**
 * The elements of a constant, of which one is kept along each of `axes`, as of the zeros [batch, units] that a recurrent layer starts from;
 * undefined where those along an axis differ.
 */
function withoutCopies({ data, outputs }: Node, axes: readonly number[]): Data | undefined {
  if (axes.length === 0) return data
  const { shape } = outputs[0]!
  const strides = shape.map((_, axis) => sizeOf(shape.slice(axis + 1)))
  const first = (i: number) =>
    strides.reduce(
      (at, stride, axis) => at + (axes.includes(axis) ? 0 : (Math.floor(i / stride) % shape[axis]!) * stride),
      0,
    )
  const elements = data as Exclude<Data, BigInt64Array>
  if (!elements.every((x, i) => Object.is(x, elements[first(i)]))) return undefined
  return elements.filter((_, i) => first(i) === i)
}

/** Spreads to a shape with batches in it; `batchOf` begins with the batch. */
function expand(graph: Graph, x: Value, { shape, batchOf }: { shape: Shape; batchOf: Value }): Value {
  const sizes = (values: number[]) => constant(graph, values, { dtype: 'int64', shape: [values.length] })
  const batch = graph.emit('Shape', [batchOf], { dtype: 'int64', shape: [1] }, { start: 0, end: 1 })
  const parts = shape.map((d) =>
    d === -1 ? batch : isDynamic(d) ? graph.emit('Mul', [batch, sizes([-d])], batch) : sizes([d]),
  )
  const whole = graph.emit('Concat', parts, { dtype: 'int64', shape: [shape.length] }, { axis: 0 })
  return graph.emit('Expand', [x, whole], { dtype: x.dtype, shape })
}

function mergeShapes(a: Shape, b: Shape): Shape {
  const merge = (d: number, e: number) => {
    if (d === e) return d
    const times = d / batches[0]
    return Number.isInteger(times) && times === e / batches[1] ? -times : Number.NaN
  }
  return a.length === b.length ? a.map((d, i) => merge(d, b[i]!)) : [Number.NaN]
}
