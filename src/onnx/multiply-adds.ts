import type { ModelProto, NodeProto } from 'onnx-buf'
import { builtNodes, integerOf, operatorOf } from './edit-graph.js'
import { GraphBuilder } from './graph-builder.js'
import { copyWith, valueNames } from './walk-graph.js'

const product = (sizes: readonly number[]) => sizes.reduce((all, n) => all * n, 1)

/** Multiply-adds of a node from the shapes of its first two inputs, a and b, and of its output. */
const formulas: Record<string, (shapes: { a: number[]; b: number[]; y: number[] }, node: NodeProto) => number> = {
  // b: [filters, channels of a group, ...kernel]
  Conv: ({ b, y }) => product(y) * product(b.slice(1)),
  // b: [channels, filters of a group, ...kernel]
  ConvTranspose: ({ a, b }) => product(a) * product(b.slice(1)),
  MatMul: ({ a, y }) => product(y) * a.at(-1)!,
  Gemm: ({ a, y }, node) => product(y) * a[integerOf(node, 'transA') ? 0 : 1]!,
}

export interface CountedModel {
  /** The model with shapes, int64 vectors, for outputs. */
  proto: ModelProto
  outputs: string[]
  /** Multiply-adds from the outputs' values: of convolutions and matrix products, what all common counts are of. */
  count(shapes: readonly number[][]): number
}

/**
 * A copy of a model that tells, for the input that it is run with, how many multiply-adds that is. Shapes come from running it: models
 * seldom declare them, and no shape inference is needed so. Bodies of loops and branches are not counted.
 */
export function countedModel(proto: ModelProto): CountedModel {
  const graph = proto.graph!
  const builder = new GraphBuilder({ prefix: 'decant/', taken: valueNames(graph) })
  const outputs: string[] = []
  const found = new Map<string, number>()
  const shapeOf = (value: string): number => {
    if (!found.has(value)) {
      const name = builder.node('Shape', [value])
      builder.output(name, 'int64', [null])
      found.set(value, outputs.push(name) - 1)
    }
    return found.get(value)!
  }
  const counted = graph.node.flatMap((node) => {
    const formula = formulas[operatorOf(node)]
    if (!formula) return []
    const [a, b, y] = [shapeOf(node.input[0]!), shapeOf(node.input[1]!), shapeOf(node.output[0]!)]
    return [(shapes: readonly number[][]) => formula({ a: shapes[a]!, b: shapes[b]!, y: shapes[y]! }, node)]
  })
  return {
    proto: copyWith(proto, {
      graph: copyWith(graph, { node: [...graph.node, ...builtNodes(builder)], output: builder.outputs }),
    }),
    outputs,
    count: (shapes) => counted.reduce((sum, count) => sum + count(shapes), 0),
  }
}
