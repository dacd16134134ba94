import type { ModelProto, NodeProto } from 'onnx-buf'
import { describeValue, fedInputs } from './describe-model.js'
import { GraphIndex, operatorOf } from './edit-graph.js'
import { rolesOf } from './emit-tokens.js'

/** They give the same ids, in another shape or type. */
export const moving = new Set([
  'Identity',
  'Cast',
  'Reshape',
  'Flatten',
  'Squeeze',
  'Unsqueeze',
  'Slice',
  'Expand',
  'Transpose',
])
/** They give the same table, in another type. */
const retyping = new Set(['Identity', 'Cast', 'DequantizeLinear'])
/** Look-ups: which input is the table, and which the ids. ONNX Runtime's own come from its optimizer and quantizer. */
const lookups: Readonly<Record<string, { table: number; ids: number }>> = {
  Gather: { table: 0, ids: 1 },
  'com.microsoft.GatherBlockQuantized': { table: 0, ids: 1 },
  'com.microsoft.EmbedLayerNormalization': { table: 2, ids: 0 },
}

/**
 * How many ids a teacher of tokens knows: they are 0 to that - 1. The rows of the first table in which its graph looks them up, less what it adds to them
 * before, as decant's own students do; undefined where no table shows.
 */
export function findVocabulary({ graph }: ModelProto): number | undefined {
  const index = new GraphIndex(graph!)
  const ids = rolesOf(fedInputs(graph!).map(describeValue)).find(([role]) => role === 'input_ids' || role === 'tokens')
  /** By value: the number that was added to the ids in it. */
  const added = new Map([[ids?.[1].name ?? '', 0]])
  for (const node of graph!.node) {
    const op = operatorOf(node)
    const lookup = lookups[op]
    const shift = lookup && added.get(node.input[lookup.ids] ?? '')
    const rows = shift === undefined ? undefined : rowsOf(index, node.input[lookup!.table] ?? '')
    if (rows !== undefined) return rows - shift!
    const moved = movedBy(index, node, added)
    if (moved !== undefined) added.set(node.output[0]!, moved)
  }
  return undefined
}

function movedBy(index: GraphIndex, node: NodeProto, added: ReadonlyMap<string, number>): number | undefined {
  const [first = '', second = ''] = node.input
  const op = operatorOf(node)
  if (moving.has(op)) return added.get(first)
  if (op !== 'Add') return undefined
  const [ids, constant] = added.has(first) ? [first, second] : [second, first]
  const [shift, ...more] = index.numbers(constant) ?? []
  const before = added.get(ids)
  return before === undefined || shift === undefined || more.length > 0 ? undefined : before + shift
}

function rowsOf(index: GraphIndex, table: string): number | undefined {
  const node = index.producer(table)
  return (
    index.constantShape(table)?.[0] ??
    (node && retyping.has(operatorOf(node)) ? index.constantShape(node.input[0] ?? '')?.[0] : undefined)
  )
}
