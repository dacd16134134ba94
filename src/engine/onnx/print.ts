import { type Node, sortNodes, type Type, type Value } from './ir.js'

/** A program before it is lowered, one line a node: `%3: float32[128,10] = Gemm(%1, w, %2) transB=1`. */
export function printValues(outputs: Record<string, Value>): string {
  const nodes = sortNodes(Object.values(outputs))
  const names = new Map<Value, string>()
  const nameOf = (value: Value) => names.get(value)!
  const lines: string[] = []
  for (const node of nodes) {
    for (const value of node.outputs) {
      const outside = node.op === 'Input' || node.op === 'Variable'
      names.set(value, outside ? String(node.attributes.name) : `%${names.size}`)
    }
    lines.push(
      `${node.outputs.map((value) => `${nameOf(value)}: ${printType(value)}`).join(', ')} = ${printNode(node, nameOf)}`,
    )
  }
  for (const [name, value] of Object.entries(outputs)) lines.push(`-> ${name} = ${nameOf(value)}`)
  return lines.join('\n')
}

function printNode(node: Node, nameOf: (value: Value) => string): string {
  if (node.data) {
    const shown = Array.from(node.data.subarray(0, 6) as ArrayLike<number | bigint>, (x) =>
      Number(Number(x).toPrecision(6)),
    )
    return `[${shown.join(', ')}${node.data.length > 6 ? ', ...' : ''}]`
  }
  if (node.op === 'Input' || node.op === 'Variable') return node.op
  const attributes = Object.entries(node.attributes).flatMap(([name, value]) =>
    value === undefined ? [] : [` ${name}=${typeof value === 'object' ? JSON.stringify(value) : value}`],
  )
  return `${node.op}(${node.inputs.map(nameOf).join(', ')})${attributes.join('')}`
}

function printType({ dtype, shape }: Type): string {
  return `${dtype}[${shape.join(',')}]`
}
