import type { GraphProto, ModelProto, NodeProto } from 'onnx-buf'
import { fedInputs, opsetOf } from './describe-model.js'
import { GraphIndex, integerOf, integersOf, operatorOf, printNode, readBy } from './edit-graph.js'
import { graphsOf } from './walk-graph.js'

/** Nodes that may be why a row's logits are not a function of that row, in words, in the order of the graph. */
export interface Mixing {
  /** They draw at random. */
  chance: string[]
  /** They compute over all rows of a call. */
  batch: string[]
}

/**
 * Says where the graph shows that logits depend on chance or on the other rows of a call. It is no proof: axis 0 may be another one than the batch at
 * that place, and a runtime may leave out what has no effect; values are to be compared first.
 */
export function findMixing(proto: ModelProto): Mixing {
  const opset = opsetOf(proto)
  const local = proto.functions.flatMap(({ node }) => node)
  const index = new GraphIndex(proto.graph!)
  const nodes = [...graphsOf(proto.graph!).flatMap(({ node }) => node), ...local]
  const fed = dependents(proto.graph!)
  const sees = (node: NodeProto) => local.includes(node) || readBy(node).some((name) => fed.has(name))
  return {
    chance: nodes.filter((node) => draws(node, index)).map(printNode),
    batch: nodes.filter((node) => sees(node) && isOverBatch(node, index, opset)).map(printNode),
  }
}

/** The values that depend on the fed ones, and not on their shapes alone. */
function dependents(graph: GraphProto): Set<string> {
  const names = new Set(fedInputs(graph).map(({ name }) => name))
  for (const node of graphsOf(graph).flatMap(({ node }) => node)) {
    if (node.opType === 'Shape' || node.opType === 'Size') continue
    if (readBy(node).some((name) => names.has(name))) for (const name of node.output) if (name) names.add(name)
  }
  return names
}

const randoms = /^(Random(Normal|Uniform)(Like)?|Bernoulli|Multinomial)$/

/** Dropout draws where its third input, training_mode, says so. */
function draws(node: NodeProto, index: GraphIndex): boolean {
  if (node.opType === 'Dropout') return !!node.input[2] && index.numbers(node.input[2])?.[0] !== 0
  return randoms.test(node.opType)
}

/** Statistics of the batch in place of learnt ones; one scale for the whole tensor; a reduction over axis 0. */
function isOverBatch(node: NodeProto, index: GraphIndex, opset: number): boolean {
  const op = operatorOf(node)
  if (op === 'BatchNormalization')
    return integerOf(node, 'training_mode') === 1 || (opset < 14 && node.output.filter(Boolean).length > 1)
  if (/^(com\.microsoft\.)?DynamicQuantize/.test(op)) return true
  if (op.startsWith('Reduce')) {
    const axes = integersOf(node, 'axes') ?? index.integers(node.input[1])
    return axes?.length ? axes.includes(0) : integerOf(node, 'noop_with_empty_axes') !== 1
  }
  if (op === 'CumSum') return index.integers(node.input[1])?.[0] === 0
  if (op === 'ArgMax' || op === 'ArgMin') return (integerOf(node, 'axis') ?? 0) === 0
  return /^(Softmax|LogSoftmax|Hardmax|TopK|LpNormalization)$/.test(op) && integerOf(node, 'axis') === 0
}
