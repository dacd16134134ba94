import type { ModelProto, NodeProto } from 'onnx-buf'
import { describeValue, fedInputs } from './describe-model.js'
import { elementTypes } from './dtypes.js'
import { GraphIndex, integerOf, operatorOf } from './edit-graph.js'
import { rolesOf } from './emit-tokens.js'
import { moving } from './find-vocabulary.js'

/** What the graph of a teacher of tokens says of its ids. */
export interface IdsInGraph {
  /** Ids that it takes for padding: constants that it compares its ids with, each once. */
  padding: number[]
}

/**
 * Classifiers of transformers find a sequence's last token by `input_ids != pad`, and RoBERTa's number its positions by it, whatever the
 * attention mask says. A comparison that only looks for where a token is (the end of a text, for BART and CLIP) is none with padding.
 * Undefined where the teacher takes the tokens with their padding as -1, as decant's own students do.
 */
export function findPadding({ graph }: ModelProto): IdsInGraph | undefined {
  const index = new GraphIndex(graph!)
  const ids = rolesOf(fedInputs(graph!).map(describeValue)).find(([role]) => role === 'input_ids')?.[1].name
  if (ids === undefined) return undefined
  const consumers = consumersOf(graph!.node)
  const same = new Set([ids])
  const padding = new Set<number>()
  for (const node of graph!.node) {
    const compared = comparedId(index, node, same)
    if (compared !== undefined && !isSearch(consumers, node.output[0]!)) padding.add(compared)
    else if (moving.has(operatorOf(node)) && same.has(node.input[0] ?? '')) same.add(node.output[0]!)
  }
  return { padding: [...padding] }
}

/** The one id that a node tells from the others: ids == c, ids > 0, or ids as booleans. */
function comparedId(index: GraphIndex, node: NodeProto, ids: ReadonlySet<string>): number | undefined {
  const [first = '', second = ''] = node.input
  const constant = (value: string) => oneValue(index, value)
  switch (operatorOf(node)) {
    case 'Equal':
      return ids.has(first) ? constant(second) : ids.has(second) ? constant(first) : undefined
    case 'Greater':
      return ids.has(first) && constant(second) === 0 ? 0 : undefined
    case 'Less':
      return ids.has(second) && constant(first) === 0 ? 0 : undefined
    case 'Cast':
      return ids.has(first) && integerOf(node, 'to') === elementTypes.bool ? 0 : undefined
    default:
      return undefined
  }
}

/** The value that all elements of an integer constant have, itself or through a node that changes its shape or type. */
function oneValue(index: GraphIndex, value: string): number | undefined {
  const values = index.integers(value)
  if (values) return values.every((one) => one === values[0]) ? values[0] : undefined
  const node = index.producer(value)
  return node && moving.has(operatorOf(node)) ? oneValue(index, node.input[0] ?? '') : undefined
}

/**
 * Whether all that is made of a comparison is where it holds: NonZero, or ArgMax without the subtraction that makes it the place before.
 */
function isSearch(consumers: Consumers, value: string): boolean {
  const nodes = consumers.get(value) ?? []
  return (
    nodes.length > 0 &&
    nodes.every((node) => {
      const op = operatorOf(node)
      if (moving.has(op)) return isSearch(consumers, node.output[0]!)
      return op === 'NonZero' || (op === 'ArgMax' && !isShifted(consumers, node.output[0]!))
    })
  )
}

function isShifted(consumers: Consumers, value: string): boolean {
  return (consumers.get(value) ?? []).some((node) => {
    const op = operatorOf(node)
    return op === 'Sub' || op === 'Add' || (moving.has(op) && isShifted(consumers, node.output[0]!))
  })
}

type Consumers = ReadonlyMap<string, NodeProto[]>

function consumersOf(nodes: readonly NodeProto[]): Consumers {
  const consumers = new Map<string, NodeProto[]>()
  for (const node of nodes)
    for (const value of new Set(node.input)) consumers.set(value, [...(consumers.get(value) ?? []), node])
  return consumers
}
