import type { NodeProto } from 'onnx-buf'
import { type GraphIndex, operatorOf, stringOf } from './edit-graph.js'
import { findLogistic } from './find-logarithm.js'
import { isRowConstant, MAX_DEPTH, type Rows } from './row-reductions.js'

/**
 * Does the structure say that the value holds probabilities: normalised, squashed, or made of such? It says so readily, since whether they are
 * probabilities of one label a row is for numbers to show.
 */
export function holdsProbabilities(rows: Rows, value: string, known = new Map<string, boolean>()): boolean {
  const before = known.get(value)
  if (before !== undefined || known.size > MAX_DEPTH) return before ?? false
  known.set(value, false) // a cycle is nothing
  const result = judge(rows, value, known)
  known.set(value, result)
  return result
}

/** Elementwise, of probabilities and constants. */
const combining = new Set(['Mul', 'Add', 'Sub', 'Sum', 'Mean', 'Max', 'Min', 'Concat'])
/** Of one value of probabilities. */
const keeping = new Set(
  `Cast Clip Dropout Expand Flatten Gather Identity Normalizer QuantizeLinear DequantizeLinear ReduceMax ReduceMean ReduceMin ReduceSum
   Reshape Round Slice Split Squeeze Transpose Unsqueeze`.split(/\s+/),
)
const squashing = new Set(['Softmax', 'Sigmoid', 'HardSigmoid', 'QLinearSoftmax', 'QLinearSigmoid', 'BiasSoftmax'])

function judge(rows: Rows, value: string, known: Map<string, boolean>): boolean {
  const { index } = rows
  const node = index.producer(value)
  if (!node) return false
  const probable = (name: string | undefined) => name !== undefined && holdsProbabilities(rows, name, known)
  const allowed = (name: string) => probable(name) || isFixed(index, name) || isRowConstant(rows, name)
  const [first = '', second = ''] = node.input
  const { opType } = node
  if (squashing.has(opType)) return true
  if (combining.has(opType)) return node.input.some(probable) && node.input.every(allowed)
  switch (operatorOf(node)) {
    case 'Exp':
      return operatorOf(index.producer(first) ?? node) === 'LogSoftmax'
    case 'Reciprocal':
      return findLogistic(rows, node) !== undefined
    case 'Div':
      if (isRowConstant(rows, second) || findLogistic(rows, node)) return true
      return probable(first) && isFixed(index, second)
    case 'ai.onnx.ml.Normalizer':
      return stringOf(node, 'norm') === 'L1'
    case 'ai.onnx.ml.LinearClassifier':
    case 'ai.onnx.ml.TreeEnsembleClassifier':
    case 'ai.onnx.ml.SVMClassifier':
      if (node.output[1] !== value) return false
      return ['SOFTMAX', 'LOGISTIC'].includes(stringOf(node, 'post_transform') ?? '') || givesShares(node)
    case 'com.microsoft.QLinearConcat':
      return node.input.slice(2).some(probable)
    default:
      return keeping.has(opType) && probable(first)
  }
}

/** A constant, or one in another shape or type. */
const isFixed = (index: GraphIndex, name: string): boolean =>
  index.isConstant(name) || index.numbers(name) !== undefined

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
