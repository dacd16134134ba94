import type { NodeProto } from 'onnx-buf'
import { type GraphIndex, integerOf, integersOf, operatorOf } from './edit-graph.js'
import type { Dimension } from './graph-builder.js'

/** What is looked at: values that are rows of C, [N, C], perhaps with axes of one beside them. */
export interface Rows {
  index: GraphIndex
  opset: number
  /** The values are [N, L, C], a row of C for each position. */
  positions?: boolean
}

/** Does a Softmax normalise a whole row [C] of its row-major [N, ...]? Unknown counts as no. `reshaped`: its shape is not that of the output. */
export function normalisesRow(rows: Rows, node: NodeProto, reshaped: boolean): boolean {
  const coerced = rows.opset < 13 // Softmax-1 and -11 treat their input as 2-D: [d0·…, d_axis·…]
  const axis = integerOf(node, 'axis') ?? (coerced ? 1 : -1)
  const shape = rows.index.info(node.output[0])?.shape ?? rows.index.info(node.input[0])?.shape
  if (!shape && reshaped) return coerced && axis === 1 && !rows.positions
  return coversAxis(rows, shape, axis, coerced)
}

/** Is the node one of `ops` over a row of C, and of nothing else? */
export function isRowReduction(rows: Rows, node: NodeProto | undefined, ops: readonly string[]): boolean {
  if (!node || !ops.includes(operatorOf(node))) return false
  const axes = axesOf(rows.index, node)
  return axes?.length === 1 && coversAxis(rows, rows.index.info(node.input[0])?.shape, axes[0]!)
}

/** Where a reduction's axes are constants. They became an input in opset 13 (ReduceSum) and 18 (the others). */
export const axesOf = (index: GraphIndex, node: NodeProto): number[] | undefined =>
  integersOf(node, 'axes') ?? index.integers(node.input[1])

function coversAxis(
  { positions }: Rows,
  known: readonly Dimension[] | undefined,
  axis: number,
  coerced = false,
): boolean {
  const shape = known ?? (positions ? [null, null, null] : [null, null])
  const at = axis < 0 ? axis + shape.length : axis
  if (positions) return shape.length === 3 && at === 2
  const alone = (dim: Dimension, i: number) => i === 0 || i === at || dim === 1 || (coerced && i > at)
  return at >= 1 && at < shape.length && shape.every(alone)
}

/** What may stand between a row's reduction and its use without changing what it is. */
const broadcasting = new Set(['Identity', 'Cast', 'Expand', 'Unsqueeze', 'Squeeze', 'Reshape'])

/** The node that computes a value, past nodes that only give it another shape or type. */
export function throughBroadcast(index: GraphIndex, value: string | undefined): NodeProto | undefined {
  let node = index.producer(value)
  for (let i = 0; node && i < MAX_DEPTH && broadcasting.has(node.opType); i++) node = index.producer(node.input[0])
  return node
}

const combining = new Set(
  'Add Sub Mul Div Max Min Clip Not Equal Greater GreaterOrEqual Less LessOrEqual Where Reciprocal'.split(' '),
)

/** Is the value one number a row: a sum or a maximum over it, perhaps guarded against 0? */
export function isRowConstant(rows: Rows, value: string | undefined, depth = 0): boolean {
  const { index } = rows
  const node = throughBroadcast(index, value)
  if (!node || depth > MAX_GUARDS) return false
  if (isRowReduction(rows, node, ['ReduceSum', 'ReduceL1', 'ReduceMax'])) return true
  const computed = node.input.filter((name) => name !== '' && index.numbers(name)?.length !== 1)
  return (
    combining.has(node.opType) && computed.length > 0 && computed.every((name) => isRowConstant(rows, name, depth + 1))
  )
}

/** Is the value log Σ exp z over a row? */
export function isLogSumExp(rows: Rows, value: string | undefined, z: string): boolean {
  const { index } = rows
  const node = throughBroadcast(index, value)
  if (isRowReduction(rows, node, ['ReduceLogSumExp'])) return node?.input[0] === z
  if (node?.opType !== 'Log') return false
  const sum = throughBroadcast(index, node.input[0])
  const exp = index.producer(sum?.input[0])
  return exp?.opType === 'Exp' && exp.input[0] === z && isRowReduction(rows, sum, ['ReduceSum', 'ReduceL1'])
}

/** Is a reduction over axes of one value each: an average of one? */
export function isOverOne(index: GraphIndex, node: NodeProto): boolean {
  const axes = axesOf(index, node) ?? []
  const isOne = (axis: number, name: string, depth = 0): boolean => {
    const made = index.producer(name)
    if (made?.opType === 'Concat' && made.input.length === 1)
      return depth < MAX_GUARDS && isOne(axis, made.input[0]!, depth + 1)
    if (made?.opType === 'Reshape') return axis >= 0 && index.integers(made.input[1])?.[axis] === 1
    if (made?.opType === 'Unsqueeze') return axesOf(index, made)?.includes(axis) === true
    return index.info(name)?.shape?.at(axis) === 1
  }
  return axes.length > 0 && axes.every((axis) => isOne(axis, node.input[0] ?? ''))
}

/** Bounds walks in hostile graphs; real heads are a few nodes. */
export const MAX_DEPTH = 200
/** Nodes that guard a divisor, one behind the other. */
const MAX_GUARDS = 8
