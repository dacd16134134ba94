import { elementTypes } from '../../onnx/dtypes.js'
import type { GraphBuilder } from '../../onnx/graph-builder.js'
import { type Attributes, isDynamic, type Node, sortNodes, type Value } from './ir.js'

/**
 * Writes the nodes that `values` depend on into `builder`; gives the name that each value has there.
 * `outside` names what is not to be written: inputs, variables, whatever an outer graph has already. `preferred` names
 * values that the graph gives.
 */
export function encode(
  builder: GraphBuilder,
  values: readonly Value[],
  outside: (node: Node) => string | undefined,
  preferred: ReadonlyMap<Value, string> = new Map(),
): Map<Value, string> {
  const names = new Map<Value, string>()
  for (const node of sortNodes(values)) {
    const known = outside(node)
    const outputs = known === undefined ? encodeNode(builder, node, { names, preferred }) : [known]
    for (const [index, value] of node.outputs.entries()) names.set(value, outputs[index]!)
  }
  return names
}

interface Naming {
  names: ReadonlyMap<Value, string>
  preferred: ReadonlyMap<Value, string>
}

function encodeNode(builder: GraphBuilder, node: Node, { names, preferred }: Naming): string[] {
  const first = node.outputs[0]!
  if (node.data) return [builder.constant(first.dtype, node.data, first.shape, String(node.attributes.name ?? 'c'))]
  const dot = node.op.lastIndexOf('.')
  const outputs = node.outputs.map(
    (value) => preferred.get(value) ?? builder.fresh(node.op.slice(dot + 1).toLowerCase()),
  )
  const options = { outputs, domain: node.op.slice(0, Math.max(dot, 0)) }
  const inputs = node.inputs.map((input) => names.get(input)!)
  const { moved, kept } = splitAttributes(builder, node)
  return builder.nodeOf(node.op.slice(dot + 1), [...inputs.slice(0, 1), ...moved, ...inputs.slice(1)], kept, options)
}

/** Attributes of ours that are inputs in ONNX, in the order in which they follow the node's first input. */
const inputAttributes: Readonly<Record<string, readonly string[]>> = {
  ReduceSum: ['axes'],
  ReduceMean: ['axes'],
  ReduceMax: ['axes'],
  ReduceMin: ['axes'],
  ReduceProd: ['axes'],
  Slice: ['starts', 'ends', 'axes', 'steps'],
  Pad: ['pads'],
  Tile: ['repeats'],
  Split: ['split'],
  TopK: ['k'],
  CumSum: ['axis'],
}

function splitAttributes(builder: GraphBuilder, node: Node): { moved: string[]; kept: Attributes } {
  const { dtype, shape } = node.outputs[0]!
  if (node.op === 'Reshape') {
    const sizes = shape.map((d) => (isDynamic(d) ? -1 : d))
    // Else a size of 0 stands for the input's.
    return { moved: [builder.i64(sizes)], kept: sizes.includes(0) ? { allowzero: 1 } : {} }
  }
  if (node.op === 'Expand') return { moved: node.inputs.length > 1 ? [] : [builder.i64(shape)], kept: {} }
  if (node.op === 'Cast') return { moved: [], kept: { to: elementTypes[dtype] } }
  const names = inputAttributes[node.op] ?? []
  const moved = names.map((name) => {
    const value = node.attributes[name] as number | readonly number[]
    return builder.i64(node.op === 'TopK' ? [value as number] : value)
  })
  return { moved, kept: Object.fromEntries(Object.entries(node.attributes).filter(([name]) => !names.includes(name))) }
}
