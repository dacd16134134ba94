import type { NodeProto } from 'onnx-buf'
import { integerOf, operatorOf, stringOf } from './edit-graph.js'
import { makeNode } from './graph-builder.js'
import { complement, isOfSigmoids, type Logarithm, leaf, logSigmoid, upToConstant } from './logarithm.js'
import {
  isLogSumExp,
  isOverOne,
  isRowConstant,
  isRowReduction,
  MAX_DEPTH,
  normalisesRow,
  type Rows,
  throughBroadcast,
} from './row-reductions.js'
import { copyWith } from './walk-graph.js'

/** What the graph's structure says of an output. */
export interface Head {
  /** The output is p, or it is log p. */
  holds: 'probabilities' | 'log-probabilities'
  /** log p, before any Softmax or Sigmoid */
  logarithm: Logarithm
  /** log p is made of sigmoids, else of a softmax. */
  sigmoids: boolean
  /** Classifiers of ai.onnx.ml that are to give their scores as they are. */
  replace: ReadonlyMap<NodeProto, NodeProto>
}

/**
 * Follows an output back to the Softmax or Sigmoids over its rows that it is, however they are written and whatever stands
 * behind them that does not change what a row says: casts, quantization, guards against 0, averages of one. What it finds is a proposal. Whether
 * the logits give the output's own values again is for numbers to show.
 */
export function findHead(rows: Rows, output: string): Head | undefined {
  for (const holds of ['probabilities', 'log-probabilities'] as const) {
    const finder = new Finder(rows)
    const found = finder.find(output, holds)
    if (!found) continue
    const sigmoids = isOfSigmoids(found)
    // exp x alone is no probability
    if (sigmoids || !found.exact) {
      return { holds, logarithm: found.exact ? found : withoutShift(rows, found), sigmoids, replace: finder.replace }
    }
  }
  return undefined
}

/** 1 / (1 + exp y) or exp y / (1 + exp y): the name of y, and whether the sigmoid is of -y. */
export function findLogistic({ index }: Rows, node: NodeProto): { of: string; negated: boolean } | undefined {
  const reciprocal = node.opType === 'Reciprocal'
  const [above, below] = reciprocal ? [undefined, node.input[0]] : [node.input[0], node.input[1]]
  const sum = index.producer(below)
  if (sum?.opType !== 'Add') return undefined
  const [exp] = sum.input.filter(
    (name, i) => isOne(index.numbers(sum.input[1 - i])) && index.producer(name)?.opType === 'Exp',
  )
  const [of] = index.producer(exp)?.input ?? []
  if (exp === undefined || of === undefined) return undefined
  if (reciprocal || isOne(index.numbers(above))) return { of, negated: true }
  return above === exp ? { of, negated: false } : undefined
}

/** Values and their order stay, or are only rounded. */
const passing = new Set(['Identity', 'Dropout', 'Cast', 'QuantizeLinear', 'DequantizeLinear', 'Round'])
/** Values stay, their places change. */
const moving = new Set(['Reshape', 'Flatten', 'Squeeze', 'Unsqueeze', 'Slice', 'Gather', 'Transpose'])
/** The same, where there is one value to each. */
const averaging = new Set(['ReduceMean', 'ReduceSum', 'ReduceMax', 'ReduceMin'])
/** The least or the most of a probability that a guard keeps from 0 or 1. */
const GUARD = 1e-6
/** Bounds the search in hostile graphs, whose branches may meet again and again. */
const MAX_STEPS = 100_000

class Finder {
  readonly replace = new Map<NodeProto, NodeProto>()
  readonly #rows: Rows
  #steps = 0

  constructor(rows: Rows) {
    this.#rows = rows
  }

  /** The logarithm of a value that holds p, or log p. `reshaped`: the output has another shape than it. */
  find(value: string, holds: Head['holds'], reshaped = false, depth = 0): Logarithm | undefined {
    const { index } = this.#rows
    const node = index.producer(value)
    if (!node || depth > MAX_DEPTH || this.#steps++ > MAX_STEPS) return undefined
    const follow: Follow = (name, options = {}) =>
      this.find(name ?? '', options.holds ?? holds, options.reshaped ?? reshaped, depth + 1)
    if (operatorOf(node).startsWith('ai.onnx.ml.'))
      return holds === 'probabilities' ? this.#classifier(node, value, follow) : undefined
    const [first = ''] = node.input
    if (node.output[0] !== value) return undefined
    if (passing.has(node.opType)) return follow(first)
    if (moving.has(node.opType) || (averaging.has(node.opType) && isOverOne(index, node))) {
      const inner = follow(first, { reshaped: true })
      return inner && { kind: 'node', node, of: [inner], exact: inner.exact }
    }
    if (node.opType === 'Concat') return this.#join(node, follow)
    if (node.opType === 'QLinearConcat') {
      const inputs = node.input.filter((_, i) => i >= 2 && i % 3 === 2) // scale and zero point of the output come first, of each input behind it
      return this.#join(
        makeNode({ op: 'Concat', inputs, outputs: [value], attributes: { axis: integerOf(node, 'axis') } }),
        follow,
      )
    }
    return holds === 'probabilities'
      ? this.#probabilities(node, follow, reshaped)
      : this.#logarithms(node, follow, reshaped)
  }

  #join(node: NodeProto, follow: Follow): Logarithm | undefined {
    const parts = node.input.map((name) => follow(name, { reshaped: true })).filter((part) => part !== undefined)
    const exact = parts.every((part) => part.exact)
    // each part may have another constant
    return parts.length === node.input.length && (exact || parts.length === 1)
      ? { kind: 'node', node, of: parts, exact }
      : undefined
  }

  #probabilities(node: NodeProto, follow: Follow, reshaped: boolean): Logarithm | undefined {
    const { index } = this.#rows
    const [first = '', second = ''] = node.input
    switch (node.opType) {
      case 'Softmax':
        return normalisesRow(this.#rows, node, reshaped) ? leaf(first, false) : undefined
      case 'QLinearSoftmax':
        return normalisesRow(this.#rows, node, reshaped) ? { ...dequantized(node), exact: false } : undefined
      case 'Sigmoid':
        return logSigmoid(leaf(first, true))
      case 'QLinearSigmoid':
        return logSigmoid(dequantized(node))
      case 'Exp':
        return follow(first, { holds: 'log-probabilities' }) ?? leaf(first, true)
      case 'Sub':
        return isOne(index.numbers(first)) ? complement(follow(second)) : undefined
      case 'LpNormalization':
        return integerOf(node, 'p') === 1 ? upToConstant(follow(first)) : undefined
      case 'Reciprocal':
      case 'Div': {
        const logistic = findLogistic(this.#rows, node)
        if (logistic) return logSigmoid(leaf(logistic.of, true), logistic.negated)
        return node.opType === 'Div' ? this.#scaled(first, second, follow) : undefined
      }
      case 'Mul':
        return this.#scaled(first, second, follow) ?? this.#scaled(second, first, follow)
      case 'Add':
        return this.#isGuard(second) ? follow(first) : this.#isGuard(first) ? follow(second) : undefined
      case 'Clip':
      case 'Max':
      case 'Min':
      case 'Mean':
      case 'Sum':
        return this.#isGuarded(node) ? follow(first) : undefined
      default:
        return undefined
    }
  }

  #logarithms(node: NodeProto, follow: Follow, reshaped: boolean): Logarithm | undefined {
    const [first = ''] = node.input
    switch (node.opType) {
      case 'LogSoftmax':
        return normalisesRow(this.#rows, node, reshaped) ? leaf(first, false) : undefined
      case 'Log':
        return follow(first, { holds: 'probabilities' })
      case 'Sub':
        return isLogSumExp(this.#rows, node.input[1], first) ? leaf(first, false) : undefined
      case 'Neg': {
        const softplus = this.#rows.index.producer(first)
        return softplus?.opType === 'Softplus' ? logSigmoid(leaf(softplus.input[0] ?? '', true), true) : undefined
      }
      default:
        return undefined
    }
  }

  /** ai.onnx.ml: what normalises a row, and classifiers that end in a softmax or in sigmoids. */
  #classifier(node: NodeProto, value: string, follow: Follow): Logarithm | undefined {
    switch (node.opType) {
      case 'Normalizer':
        return stringOf(node, 'norm') === 'L1' ? upToConstant(follow(node.input[0])) : undefined
      case 'LinearClassifier':
      case 'TreeEnsembleClassifier':
      case 'SVMClassifier': {
        const transform = stringOf(node, 'post_transform') ?? ''
        if (node.output[1] !== value || !['SOFTMAX', 'LOGISTIC'].includes(transform)) return undefined
        this.replace.set(
          node,
          copyWith(node, { attribute: node.attribute.filter(({ name }) => name !== 'post_transform') }),
        )
        return transform === 'SOFTMAX' ? leaf(value, false) : logSigmoid(leaf(value, true))
      }
      default:
        return undefined
    }
  }

  /** A value times or divided by one number, or by one a row. */
  #scaled(value: string, by: string, follow: Follow): Logarithm | undefined {
    const numbers = this.#rows.index.numbers(by)
    if (isOne(numbers)) return follow(value)
    const scales = numbers?.length === 1 ? numbers[0]! > 0 : isRowConstant(this.#rows, by)
    return scales ? upToConstant(follow(value)) : undefined
  }

  /** Adds next to nothing, or what a row without any probability needs. */
  #isGuard(value: string): boolean {
    const numbers = this.#rows.index.numbers(value)
    return numbers ? numbers.every((number) => number >= 0 && number <= GUARD) : isRowConstant(this.#rows, value)
  }

  /** Bounds that only keep a probability from 0 or 1, or the combination of one value with nothing. */
  #isGuarded(node: NodeProto): boolean {
    const { index } = this.#rows
    const [, ...others] = node.input
    const floats = node.attribute.filter(({ name }) => name === 'min' || name === 'max')
    const bounds = [
      ...others.map((name, i) => ({
        numbers: name === '' ? [] : index.numbers(name),
        upper: node.opType === 'Clip' ? i === 1 : node.opType === 'Min',
      })),
      ...floats.map(({ name, f }) => ({ numbers: [f], upper: name === 'max' })),
    ]
    if ((node.opType === 'Mean' || node.opType === 'Sum') && others.length > 0) return false
    return bounds.every(({ numbers, upper }) =>
      numbers?.every((bound) => (upper ? bound >= 1 - GUARD : bound <= GUARD)),
    )
  }
}

type Follow = (
  value: string | undefined,
  options?: { holds?: Head['holds']; reshaped?: boolean },
) => Logarithm | undefined

/** What a quantized operator of com.microsoft takes in: x, its scale and its zero point. */
const dequantized = ({ input, output }: NodeProto): Logarithm => ({
  kind: 'node',
  node: makeNode({ op: 'DequantizeLinear', inputs: input.slice(0, 3), outputs: [`${output[0]}/input`] }),
  of: [],
  exact: true,
})

const isOne = (numbers: readonly number[] | undefined): boolean =>
  numbers?.length === 1 && Math.abs(numbers[0]! - 1) < 1e-3

/** Softmax does not change when a row is shifted: x for x - max(x), else the value itself. */
function withoutShift(rows: Rows, log: Logarithm): Logarithm {
  if (log.kind === 'node') return { ...log, of: log.of.map((part) => withoutShift(rows, part)) }
  if (log.kind !== 'value') return log
  const sub = rows.index.producer(log.name)
  const shift = sub?.opType === 'Sub' ? throughBroadcast(rows.index, sub.input[1]) : undefined
  return isRowReduction(rows, shift, ['ReduceMax']) && shift?.input[0] === sub?.input[0]
    ? { ...log, name: sub!.input[0]! }
    : log
}
