import { Graph, type Node, sortNodes, type Value } from '../ir.js'

/** The values that a program gives, by name; what they depend on is the program. */
export type Outputs = Readonly<Record<string, Value>>

export interface Context {
  readonly graph: Graph
  /** How many inputs of nodes, and outputs, an old value is. */
  uses(value: Value): number
  /** The old nodes that have an old value as an input. */
  users(value: Value): readonly Node[]
}

/** What becomes of a node whose inputs were rewritten; undefined keeps it as it is. */
export type Rule = (node: Node, inputs: readonly Value[], context: Context) => readonly Value[] | Value | undefined

/**
 * Builds a program anew, each node after its inputs, in a graph of its own: what nothing depends on is left out,
 * equal nodes become one.
 */
export function rewrite(outputs: Outputs, rule: Rule): Outputs {
  const nodes = sortNodes(Object.values(outputs))
  const users = new Map<Value, Node[]>()
  for (const node of nodes) {
    for (const input of node.inputs) users.set(input, [...(users.get(input) ?? []), node])
  }
  const given = (value: Value) => Object.values(outputs).filter((output) => output === value).length

  const renewed = new Map<Value, Value>()
  const context: Context = {
    graph: new Graph(),
    users: (value) => users.get(value) ?? [],
    uses: (value) => (users.get(value)?.length ?? 0) + given(value),
  }
  for (const node of nodes) {
    const inputs = node.inputs.map((input) => renewed.get(input)!)
    const result = rule(node, inputs, context) ?? keep(context.graph, node, inputs)
    const values = Array.isArray(result) ? (result as readonly Value[]) : [result as Value]
    for (const [index, value] of node.outputs.entries()) renewed.set(value, values[index]!)
  }
  return Object.fromEntries(Object.entries(outputs).map(([name, value]) => [name, renewed.get(value)!]))
}

/** The same node over other inputs. */
export function keep(graph: Graph, node: Node, inputs: readonly Value[]): readonly Value[] {
  if (node.data) return [graph.constant(node.data, node.outputs[0]!, node.attributes.name as string | undefined)]
  return graph.emitAll(node.op, inputs, node.outputs, node.attributes)
}
