import type { GraphProto, NodeProto } from 'onnx-buf'
import { describeValue } from './describe-model.js'
import type { ElementName } from './dtypes.js'
import { builtNodes, GraphIndex, integerOf, integersOf, operatorOf, printNode, readBy } from './edit-graph.js'
import { GraphBuilder, makeValueInfo } from './graph-builder.js'
import { copyWith, valueNames } from './walk-graph.js'

/** A value whose first axis is the batch, or the batch times a constant (`exact` false), each row's part contiguous. */
interface Rows {
  rank: number
  exact: boolean
}

/**
 * Makes the batch axis of a graph dynamic that was exported with a fixed one. Follows the axis from the input on: every
 * operator that it meets must treat rows alike and keep them in front, and a Reshape to constant sizes gets its first
 * one left open. What is not known to be safe would mix rows silently: there, returns in words which node that is.
 */
export function freeBatch(
  graph: GraphProto,
  options: { inputs: readonly string[]; batch: string },
): GraphProto | string {
  const { inputs, batch } = options
  const index = new GraphIndex(graph)
  const builder = new GraphBuilder({ prefix: 'decant/', taken: valueNames(graph) })
  const shapes = inputs.map((input) => index.info(input)?.shape ?? [])
  const fixed = Number(shapes[0]?.[0])
  const rows = new Map<string, Rows>(inputs.map((input, i) => [input, { rank: shapes[i]!.length, exact: true }]))
  const node: NodeProto[] = []
  for (const current of graph.node) {
    if (!readBy(current).some((name) => rows.has(name))) {
      node.push(current)
      continue
    }
    const followed = follow({ index, rows, fixed }, current)
    if (typeof followed === 'string') return `${printNode(current)} ${followed}`
    const { sizes, ...carried } = followed
    for (const name of current.output) if (name) rows.set(name, carried)
    node.push(sizes ? reshapeTo(current, builder.i64(sizes)) : current)
  }
  const free = (info: GraphProto['input'][number]) => {
    const { name, dtype, shape } = describeValue(info)
    return rows.has(name) && shape ? makeValueInfo(name, dtype as ElementName, [batch, ...shape.slice(1)]) : info
  }
  return copyWith(graph, {
    node: [...builtNodes(builder), ...node],
    input: graph.input.map(free),
    output: graph.output.map(free),
    valueInfo: [], // they repeat the fixed batch; ONNX Runtime infers them again
  })
}

const words = (text: string) => new Set(text.split(/\s+/))

/** One input carries rows, the others are parameters, and the rank stays. */
const rowwise = words(
  `AveragePool BatchNormalization Cast Clip Conv ConvTranspose DepthToSpace DequantizeLinear Dropout
   GlobalAveragePool GlobalLpPool GlobalMaxPool GroupNormalization InstanceNormalization LRN LpPool MaxPool
   QuantizeLinear SpaceToDepth`,
)
/** Element by element, inputs broadcast. */
const elementwise = words(
  `Abs Add And Ceil Celu Cos Div Elu Equal Erf Exp Floor Gelu Greater GreaterOrEqual HardSigmoid HardSwish Identity
   LeakyRelu Less LessOrEqual Log Max Mean Min Mish Mul Neg Not Or PRelu Pow Reciprocal Relu Round Selu Sigmoid Sign Sin
   Softplus Softsign Sqrt Sub Sum Tanh ThresholdedRelu Where Xor`,
)
/** Along one axis, by the attribute `axis`; the rank stays. */
const axiswise = words('Concat Hardmax LayerNormalization LogSoftmax LpNormalization Softmax Split')

interface Walk {
  index: GraphIndex
  rows: ReadonlyMap<string, Rows>
  /** The batch size that the graph was exported with. */
  fixed: number
}

/** What a node makes of rows (for a Reshape its new `sizes`), or in a few words why that is not known to be safe. */
function follow({ index, rows, fixed }: Walk, node: NodeProto): (Rows & { sizes?: number[] }) | string {
  const op = operatorOf(node)
  const inputs = node.input.filter((name) => name !== '')
  const [first = '', second = ''] = node.input
  const data = rows.get(first)
  const mixes = 'may mix the rows of a batch'
  const rankOf = (name: string) => rows.get(name)?.rank ?? index.constantShape(name)?.length
  const carried = inputs.flatMap((name) => rows.get(name) ?? [])

  if (elementwise.has(op)) {
    const rank = Math.max(...carried.map((r) => r.rank))
    const aligned = inputs.every((name) =>
      rows.has(name) ? rankOf(name) === rank : (rankOf(name) ?? Infinity) <= rank,
    )
    return aligned ? { rank, exact: carried.every((r) => r.exact) } : mixes
  }
  if (op === 'MatMul') {
    const ranks = [rankOf(first), rankOf(second)]
    const rank = Math.max(...ranks.map((r) => r ?? Infinity))
    // Rows may be the rows of the left matrix; otherwise they must be in front of both matrices.
    const safe = data ? data.rank === rank && (!rows.has(second) || (rank > 2 && ranks[1] === rank)) : rank > 2
    return safe && carried.some((r) => r.rank === rank) && rank < Infinity ? { rank, exact: carried[0]!.exact } : mixes
  }
  if (op === 'Concat' && (carried.length < inputs.length || carried.some((r) => r.rank !== carried[0]!.rank)))
    return mixes
  // rows of ids pick rows of a table
  const embeds = op === 'Gather' && index.isConstant(first) && (integerOf(node, 'axis') ?? 0) === 0
  if (embeds) return { ...carried[0]!, rank: carried[0]!.rank + index.constantShape(first)!.length - 1 }
  if (!data || (op !== 'Concat' && carried.length > 1)) return mixes
  const behindFirst = (axis: number, rank = data.rank) => (axis < 0 ? axis + rank : axis) > 0

  if (rowwise.has(op)) return integerOf(node, 'training_mode') ? mixes : data
  if (axiswise.has(op)) {
    const axis = integerOf(node, 'axis') ?? (op === 'Split' ? 0 : -1)
    return behindFirst(axis) ? data : mixes
  }
  if (/^Reduce|^Squeeze$|^Unsqueeze$|^Slice$/.test(op)) {
    const axes = integersOf(node, 'axes') ?? index.integers(node.input[op === 'Slice' ? 3 : 1]) ?? []
    const dropped = op === 'Slice' || (op.startsWith('Reduce') && integerOf(node, 'keepdims') !== 0) ? 0 : axes.length
    const rank = op === 'Unsqueeze' ? data.rank + axes.length : data.rank - dropped
    const safe = axes.length > 0 && axes.every((axis) => behindFirst(axis, Math.max(rank, data.rank)))
    return safe ? { ...data, rank } : mixes
  }
  switch (op) {
    case 'Gemm':
      return integerOf(node, 'transA') ? mixes : { ...data, rank: 2 }
    case 'Flatten':
      return (integerOf(node, 'axis') ?? 1) === 1 ? { ...data, rank: 2 } : mixes
    case 'Transpose':
      return integersOf(node, 'perm')?.[0] === 0 ? data : 'moves the batch axis'
    case 'Pad': {
      const pads = integersOf(node, 'pads') ?? index.integers(second) ?? []
      return pads.length === 2 * data.rank && pads[0] === 0 && pads[data.rank] === 0 ? data : mixes
    }
    case 'Gather': {
      const picked = index.constantShape(second)
      return picked && behindFirst(integerOf(node, 'axis') ?? 0)
        ? { ...data, rank: data.rank - 1 + picked.length }
        : mixes
    }
    case 'Reshape':
      return reshapeRows({ data, fixed, sizes: index.integers(second), literal: integerOf(node, 'allowzero') === 1 })
    default:
      return 'is not known to treat rows alike'
  }
}

interface Reshaping {
  data: Rows
  fixed: number
  sizes: number[] | undefined
  /** `allowzero`: a size of 0 is meant as such, and does not copy the data's size. */
  literal: boolean
}

/** Row-major sizes whose first is the batch, times something: left open, it takes any batch. */
function reshapeRows({ data, fixed, sizes, literal }: Reshaping): (Rows & { sizes?: number[] }) | string {
  const [front, ...rest] = sizes ?? []
  if (front === undefined) return 'reshapes to sizes that are computed'
  if (literal && sizes?.includes(0)) return 'gives no rows'
  const rank = rest.length + 1
  if (front === 0) return { rank, exact: data.exact }
  if (front === -1) return { rank, exact: false }
  if (rest.includes(-1)) {
    return data.exact && front === fixed ? { rank, exact: true, sizes: [0, ...rest] } : 'may mix the rows of a batch'
  }
  // A 0 among the rest copies the data's size at its place, which is behind the batch and stays.
  return front % fixed === 0 ? { rank, exact: front === fixed, sizes: [-1, ...rest] } : 'joins the rows of a batch'
}

function reshapeTo(node: NodeProto, sizes: string): NodeProto {
  const attribute = node.attribute.filter(({ name }) => name !== 'allowzero')
  return copyWith(node, { input: [node.input[0]!, sizes], attribute })
}
