import type { NodeProto } from 'onnx-buf'
import { type GraphIndex, integerOf, integersOf, operatorOf, stringOf } from './edit-graph.js'
import type { Dimension } from './graph-builder.js'
import { copyWith } from './walk-graph.js'

/** How a value comes about, as far as the graph's structure says so. */
export type Origin =
  /** `of` gives the same rows up to one constant a row, once `reshapes` are applied to it again. */
  | { kind: 'softmax' | 'log-softmax'; of: string; reshapes: NodeProto[]; replace?: { node: NodeProto; by: NodeProto } }
  /** The value is the probabilities `of`, or their logarithm. */
  | { kind: 'probabilities'; of: string }
  /** The value is the sigmoid of `of`, or its logarithm. */
  | { kind: 'sigmoid'; of: string; reshapes: NodeProto[] }
  | { kind: 'other' }

export interface Search {
  index: GraphIndex
  opset: number
  /** The value is [N, L, C], a row of C for each position. */
  positions?: boolean
}

/** Shapes change, values and their order do not. */
const reshaping = new Set(['Reshape', 'Flatten', 'Squeeze', 'Unsqueeze'])
const passing = new Set(['Identity', 'Dropout', 'Cast'])

/** Follows a value [N, C] back to the Softmax or LogSoftmax over C that it is, written as one node or as its formula. */
export function findOrigin(search: Search, value: string, depth = 0): Origin {
  const { index } = search
  const reshapes: NodeProto[] = []
  let current = value
  for (; depth < maxDepth; depth++) {
    const node = index.producer(current)
    if (!node) return { kind: 'other' }
    const op = operatorOf(node)
    if (reshaping.has(op)) reshapes.unshift(node)
    else if (!passing.has(op) || node.output[0] !== current) break
    current = node.input[0] ?? ''
  }
  const node = index.producer(current)
  if (!node || depth >= maxDepth) return { kind: 'other' }
  const [input = ''] = node.input
  switch (operatorOf(node)) {
    case 'Softmax':
    case 'LogSoftmax': {
      const kind = node.opType === 'Softmax' ? 'softmax' : 'log-softmax'
      if (coversRow(search, node, reshapes.length > 0)) return { kind, of: input, reshapes }
      return kind === 'softmax' ? { kind: 'probabilities', of: value } : { kind: 'other' }
    }
    case 'Log': {
      const inner = findOrigin(search, input, depth + 1)
      if (inner.kind === 'softmax') return { ...inner, kind: 'log-softmax', reshapes: [...inner.reshapes, ...reshapes] }
      if (inner.kind === 'sigmoid') return { ...inner, reshapes: [...inner.reshapes, ...reshapes] }
      return inner.kind === 'probabilities' && reshapes.length === 0 ? inner : { kind: 'other' }
    }
    case 'Sigmoid':
      return { kind: 'sigmoid', of: input, reshapes }
    case 'Exp': {
      const inner = findOrigin(search, input, depth + 1)
      if (inner.kind === 'log-softmax') return { ...inner, kind: 'softmax', reshapes: [...inner.reshapes, ...reshapes] }
      break
    }
    case 'Div':
    case 'Mul': {
      const of = softmaxFormula(search, node)
      if (of) return { kind: 'softmax', of, reshapes }
      break
    }
    case 'Sub': {
      const of = logSoftmaxFormula(search, node)
      if (of) return { kind: 'log-softmax', of, reshapes }
      break
    }
    case 'ai.onnx.ml.LinearClassifier':
    case 'ai.onnx.ml.TreeEnsembleClassifier':
    case 'ai.onnx.ml.SVMClassifier':
      if (node.output[1] === current && stringOf(node, 'post_transform') === 'SOFTMAX') {
        return { kind: 'softmax', of: current, reshapes, replace: { node, by: withoutTransform(node) } }
      }
      break
  }
  return isProbability(search, current) ? { kind: 'probabilities', of: value } : { kind: 'other' }
}

/** Bounds the walk in hostile graphs; real heads are a few nodes. */
const maxDepth = 200

/** Does it normalise a whole row [C] of its row-major [N, ...]? Unknown counts as no. */
function coversRow(search: Search, node: NodeProto, reshaped: boolean): boolean {
  const coerced = search.opset < 13 // Softmax-1 and -11 treat their input as 2-D: [d0·…, d_axis·…]
  const axis = integerOf(node, 'axis') ?? (coerced ? 1 : -1)
  const shape = search.index.info(node.output[0])?.shape ?? search.index.info(node.input[0])?.shape
  if (!shape && reshaped) return coerced && axis === 1 && !search.positions
  return coversAxis(search, shape, axis, coerced)
}

function coversAxis(
  { positions }: Search,
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

/** z of exp(z - c) / Σ exp(z - c), c the row's maximum or nothing. */
function softmaxFormula(search: Search, node: NodeProto): string | undefined {
  const { index } = search
  const [value, divisor] = node.input
  const exp = index.producer(value)
  if (exp?.opType !== 'Exp') return undefined
  const sum =
    node.opType === 'Div'
      ? through(index, divisor, broadcasting)
      : through(index, reciprocal(index, divisor), broadcasting)
  return isRowReduction(search, sum, ['ReduceSum', 'ReduceL1'], value) ? withoutShift(search, exp.input[0]) : undefined
}

/** z of z - c - log Σ exp(z - c). */
function logSoftmaxFormula(search: Search, node: NodeProto): string | undefined {
  const { index } = search
  const [value, divisor] = node.input
  const found = through(index, divisor, broadcasting)
  if (isRowReduction(search, found, ['ReduceLogSumExp'], value)) return withoutShift(search, value)
  if (found?.opType !== 'Log') return undefined
  const sum = through(index, found.input[0], broadcasting)
  const exp = index.producer(sum?.input[0])
  const matches = exp?.opType === 'Exp' && exp.input[0] === value
  return matches && isRowReduction(search, sum, ['ReduceSum', 'ReduceL1'], exp.output[0])
    ? withoutShift(search, value)
    : undefined
}

/** What may stand between a row's reduction and its use without changing what it is. */
const broadcasting = new Set(['Identity', 'Cast', 'Expand', 'Unsqueeze', 'Reshape'])
/** The same, with guards against dividing by zero. */
const guarding = new Set([...broadcasting, 'Clip', 'Max', 'Add'])

function through(index: GraphIndex, value: string | undefined, passed: ReadonlySet<string>): NodeProto | undefined {
  let node = index.producer(value)
  for (let i = 0; node && i < maxDepth && passed.has(node.opType); i++) node = index.producer(node.input[0])
  return node
}

function reciprocal(index: GraphIndex, value: string | undefined): string | undefined {
  const node = through(index, value, broadcasting)
  return node?.opType === 'Reciprocal' ? node.input[0] : undefined
}

function isRowReduction(
  search: Search,
  node: NodeProto | undefined,
  ops: readonly string[],
  of: string | undefined,
): boolean {
  if (!node || !ops.includes(operatorOf(node)) || node.input[0] !== of) return false
  const { index } = search
  const axes = integersOf(node, 'axes') ?? index.integers(node.input[1])
  return axes?.length === 1 && coversAxis(search, index.info(of)?.shape, axes[0]!)
}

/** Softmax does not change when a row is shifted: x for x - max(x), else the value itself. */
function withoutShift(search: Search, value: string | undefined): string {
  const sub = search.index.producer(value)
  const shift = sub?.opType === 'Sub' ? through(search.index, sub.input[1], broadcasting) : undefined
  return isRowReduction(search, shift, ['ReduceMax'], sub?.input[0]) ? sub!.input[0]! : (value ?? '')
}

function withoutTransform(node: NodeProto): NodeProto {
  return copyWith(node, { attribute: node.attribute.filter(({ name }) => name !== 'post_transform') })
}

/** Does the structure say that the value holds probabilities: normalised, squashed, or made of such by averaging? */
function isProbability(search: Search, value: string, known = new Map<string, boolean>()): boolean {
  const cached = known.get(value)
  if (cached !== undefined || known.size > maxDepth) return cached ?? false
  known.set(value, false) // a cycle is nothing
  const result = judge(search, value, known)
  known.set(value, result)
  return result
}

function judge(search: Search, value: string, known: Map<string, boolean>): boolean {
  const { index } = search
  const node = index.producer(value)
  if (!node) return false
  const probable = (name: string | undefined) => name !== undefined && isProbability(search, name, known)
  const [first = '', second = ''] = node.input
  switch (operatorOf(node)) {
    case 'Softmax':
    case 'Sigmoid':
    case 'HardSigmoid':
      return true
    case 'Exp':
      return operatorOf(index.producer(first) ?? node) === 'LogSoftmax'
    case 'ai.onnx.ml.Normalizer':
      return stringOf(node, 'norm') === 'L1'
    case 'ai.onnx.ml.LinearClassifier':
    case 'ai.onnx.ml.TreeEnsembleClassifier':
    case 'ai.onnx.ml.SVMClassifier':
      if (node.output[1] !== value) return false
      return ['SOFTMAX', 'LOGISTIC'].includes(stringOf(node, 'post_transform') ?? '') || givesShares(node)
    case 'Div':
      if (isRowReduction(search, through(index, second, guarding), ['ReduceSum'], first)) return true
      return probable(first) && index.isConstant(second)
    case 'Mul':
    case 'Add':
    case 'Sum':
    case 'Mean':
    case 'Max':
    case 'Min':
    case 'Concat':
      return node.input.every((name) => index.isConstant(name) || probable(name)) && node.input.some(probable)
    case 'Clip':
    case 'Cast':
    case 'Identity':
    case 'Dropout':
    case 'Reshape':
    case 'Flatten':
    case 'Squeeze':
    case 'Unsqueeze':
    case 'Transpose':
    case 'Slice':
    case 'Gather':
    case 'ReduceMean':
    case 'ReduceSum':
      return probable(first)
    default:
      return false
  }
}

/**
 * Does a classifier of ai.onnx.ml give probabilities without a transform? Platt's of a support vector machine (`prob_a`), and the shares of a
 * forest, whose leaves hold no weight below 0; the leaves of boosted trees hold logits of both signs.
 */
function givesShares(node: NodeProto): boolean {
  const floats = (name: string) => node.attribute.find((attribute) => attribute.name === name)?.floats ?? []
  if (floats('prob_a').length > 0) return true
  const [leaves, base] = [floats('class_weights'), floats('base_values')]
  return leaves.length > 0 && [...leaves, ...base].every((weight) => weight >= 0 && weight <= 1)
}
