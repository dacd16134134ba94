import { DecantError } from '../../../errors.js'
import { Graph, type Node, type Shape, sortNodes, type Value } from '../ir.js'

/** Two primes, so that no other size of a model is a multiple of one as it is of the other. */
const batches = [5, 7] as const

/**
 * One program for every batch size from a function that gives the program for one: in a dimension that is k times the
 * batch in both of two samples, the program has -k. A program that depends on the batch in another way is refused.
 */
export function mergeBatch(programFor: (batch: number) => Value, place: string): Value {
  const [a, b] = batches.map(programFor) as [Value, Value]
  const [left, right] = [sortNodes([a]), sortNodes([b])]
  const graph = new Graph()
  const merged = new Map<Value, Value>()
  const refuse = (node: Node) =>
    new DecantError(`${place}: ${node.op} depends on the batch size in a way that has no form for any size`)

  if (left.length !== right.length) throw refuse(left.at(-1)!)
  for (const [i, node] of left.entries()) {
    const other = right[i]!
    if (!sameNode(node, other)) throw refuse(node)
    const inputs = node.inputs.map((input) => merged.get(input)!)
    const types = node.outputs.map(({ dtype, shape }, j) => ({
      dtype,
      shape: mergeShapes(shape, other.outputs[j]!.shape),
    }))
    if (types.some(({ shape }) => shape.some(Number.isNaN)) || !expressible(node, types[0]!.shape)) throw refuse(node)
    const outputs = node.data
      ? [graph.constant(node.data, types[0]!, node.attributes.name as string)]
      : graph.emitAll(node.op, inputs, types, node.attributes)
    for (const [j, value] of node.outputs.entries()) merged.set(value, outputs[j]!)
  }
  return merged.get(a)!
}

function sameNode(a: Node, b: Node): boolean {
  const data = a.data?.length === b.data?.length && (a.data?.every((x, i) => Object.is(x, b.data![i])) ?? true)
  return a.op === b.op && data && JSON.stringify(a.attributes) === JSON.stringify(b.attributes)
}

function mergeShapes(a: Shape, b: Shape): Shape {
  const merge = (d: number, e: number) => {
    if (d === e) return d
    const times = d / batches[0]
    return Number.isInteger(times) && times === e / batches[1] ? -times : Number.NaN
  }
  return a.length === b.length ? a.map((d, i) => merge(d, b[i]!)) : [Number.NaN]
}

/** A shape is a constant in a graph; one unknown size of it can be left to Reshape. */
function expressible(node: Node, shape: Shape): boolean {
  const unknown = shape.filter((d) => d < 0).length
  if (node.op === 'Reshape') return unknown <= 1
  return unknown === 0 || !['Expand', 'Constant'].includes(node.op)
}
