import type { GraphProto, ModelProto, NodeProto } from 'onnx-buf'
import { DecantError } from '../errors.js'
import { describeValue, printValueInfo, type ValueInfo } from './describe-model.js'
import { builtNodes, GraphIndex, operatorOf, pruneGraph } from './edit-graph.js'
import { type Emit, emitAtLeast, emitCast, requireOpset } from './emit-ops.js'
import { findOrigin, type Origin } from './find-softmax.js'
import { type Dimension, GraphBuilder, makeValueInfo } from './graph-builder.js'
import { copyWith, valueNames } from './walk-graph.js'

export type LogitsKind = 'logits' | 'softmax removed' | 'log-softmax removed' | 'log of probabilities'

export interface Logits {
  /** An edited copy whose only output is the logits, float32 [N, C], or [N, L, C] where `positions`. Weights are shared with the model, not copied. */
  proto: ModelProto
  /** That output's name in the copy. */
  output: string
  /** The model's own name of the value that was chosen, before the edit. */
  from: string
  /** C, where the model declares it. */
  classes: number | undefined
  /** The logits are by position of a sequence. */
  positions: boolean
  kind: LogitsKind
}

interface Candidate {
  /** The value, which ZipMap may still follow in the graph. */
  value: string
  /** The output's own name. */
  name: string
  info: ValueInfo
}

/**
 * Finds the output that holds the logits, and makes it the only one. A Softmax or LogSoftmax at the end is removed,
 * however it is written, so that its input, the raw logits, is what comes out. Where the graph shows that the output
 * holds probabilities by other means (sigmoid, division by the sum, an average of softmaxes), their logarithm comes out,
 * with probabilities raised to `tiny` at least.
 *
 * `output` names an output or any value inside the graph. With `tokens`, what the teacher takes are sequences, and logits may
 * also be [N, L, C]. Throws DecantError where that is missing, where no output is
 * floats of shape [N, C], or where several are.
 */
export function findLogits(
  model: { proto: ModelProto; path?: string },
  options: { output?: string; tokens?: boolean } = {},
): Logits {
  const { proto, path = 'the model' } = model
  const graph = proto.graph!
  const opset = requireOpset(proto, path)
  const index = new GraphIndex(graph)
  const found = candidates({ graph, index, path, ...options }).map((candidate) => ({
    candidate,
    origin: findOrigin({ index, opset, positions: hasPositions(candidate) }, candidate.value),
  }))
  const [chosen] = found
  if (new Set(found.map(identityOf)).size > 1) {
    const names = found.map(({ candidate }) => printValueInfo(candidate.info)).join(' and ')
    throw new DecantError(`${path}: expected one output of logits, found ${names}: choose one with --output`)
  }
  return rewrite(proto, opset, chosen!)
}

interface Found {
  candidate: Candidate
  origin: Origin
}

/** Two outputs, one the softmax of the other, are the same logits. */
function identityOf({ candidate, origin }: Found): string {
  return (origin.kind === 'softmax' || origin.kind === 'log-softmax') && origin.reshapes.length === 0
    ? origin.of
    : candidate.value
}

interface Wanted {
  graph: GraphProto
  index: GraphIndex
  path: string
  output?: string
  tokens?: boolean
}

function candidates({ graph, index, path, output: wanted, tokens = false }: Wanted): Candidate[] {
  const form = tokens ? '[N, C] or [N, L, C]' : '[N, C]'
  const all = graph.output.map((output) => behindZipMap(index, describeValue(output)))
  const list = graph.output.map((output) => printValueInfo(describeValue(output))).join(', ')
  if (wanted !== undefined) {
    const inside =
      index.producer(wanted) && (index.info(wanted) ?? { name: wanted, dtype: 'unknown', shape: undefined })
    const one = all.find(({ name }) => name === wanted) ?? (inside && { value: wanted, name: wanted, info: inside })
    if (!one) throw new DecantError(`${path}: no output '${wanted}'; it has ${list}, and the values inside its graph`)
    if (fits(one.info, tokens) || one.info.dtype === 'unknown') return [one]
    throw new DecantError(`${path}: expected logits ${form} of floats, found ${printValueInfo(one.info)}`)
  }
  const fitting = all.filter(({ info }) => fits(info, tokens))
  const declared = fitting.filter(({ info }) => info.shape)
  if (fitting.length === 0) throw new DecantError(`${path}: no output is floats of shape ${form}; it has ${list}`)
  return declared.length > 0 ? declared : fitting
}

/** scikit-learn's converters end in a ZipMap, which makes a list of dictionaries of [N, C]. */
function behindZipMap(index: GraphIndex, info: ValueInfo): Candidate {
  const node = index.producer(info.name)
  const [value] = node && operatorOf(node) === 'ai.onnx.ml.ZipMap' ? node.input : []
  if (!value) return { value: info.name, name: info.name, info }
  return { value, name: info.name, info: index.info(value) ?? { name: info.name, dtype: 'float32', shape: undefined } }
}

/**
 * Floats [N, C] with C > 1, or [N, C, 1, 1] as convolutional classifiers give it; an unknown shape may be that. Of tokens also
 * [N, L, C].
 */
function fits({ dtype, shape }: ValueInfo, tokens: boolean): boolean {
  if (!['float32', 'float16', 'bfloat16', 'float64'].includes(dtype)) return false
  if (tokens && shape?.length === 3) return shape[2] !== 1
  return !shape || (shape.length >= 2 && shape[1] !== 1 && shape.slice(2).every((dim) => dim === 1))
}

const hasPositions = ({ info }: Candidate) => info.shape?.length === 3 && info.shape[2] !== 1

function rewrite(proto: ModelProto, opset: number, { candidate, origin }: Found): Logits {
  const graph = proto.graph!
  const builder = new GraphBuilder({ prefix: 'decant/', taken: valueNames(graph) })
  const emit: Emit = { builder, opset }
  let value = origin.kind === 'other' ? candidate.value : origin.of
  if ('reshapes' in origin) for (const node of origin.reshapes) value = repeatOn(builder, node, value)
  const shape = candidate.info.shape
  const positions = hasPositions(candidate)
  if (shape && shape.length > 2 && !positions) value = builder.node('Flatten', [value], { axis: 1 })
  const declared = new GraphIndex(graph).info(value)?.dtype
  if (declared !== 'float32') value = emitCast(emit, value, 'float32')
  if (origin.kind === 'probabilities') {
    value = builder.node('Log', [emitAtLeast(emit, value, candidate.info.dtype === 'float16' ? tinyHalf : tinyFloat)])
  }
  // log σ(z) = -log(1 + exp(-z)), which is exact where σ(z) itself has no digits left.
  if (origin.kind === 'sigmoid') value = builder.node('Neg', [builder.node('Softplus', [builder.node('Neg', [value])])])
  const replace = 'replace' in origin ? origin.replace : undefined
  const classes: Dimension = shape?.[positions ? 2 : 1] ?? null
  const front = [shape?.[0] ?? null, ...(positions ? [shape?.[1] ?? null] : [])]
  const edited = copyWith(graph, {
    node: [...graph.node.map((node) => (node === replace?.node ? replace.by : node)), ...builtNodes(builder)],
    output: [makeValueInfo(value, 'float32', [...front, classes])],
  })
  return {
    proto: copyWith(proto, { graph: pruneGraph(edited) }),
    output: value,
    from: candidate.name,
    classes: typeof classes === 'number' ? classes : undefined,
    positions,
    kind: kinds[origin.kind],
  }
}

const kinds: Record<Origin['kind'], LogitsKind> = {
  softmax: 'softmax removed',
  'log-softmax': 'log-softmax removed',
  probabilities: 'log of probabilities',
  sigmoid: 'log of probabilities',
  other: 'logits',
}

/** The least normal float32: what a probability of 0 is raised to; its logarithm is -87.3. */
const tinyFloat = 2 ** -126
/** Half of the least float16 above 0, which is where one that reads 0 may have been. */
const tinyHalf = 2 ** -25

/** The same operator on another value. */
function repeatOn(builder: GraphBuilder, node: NodeProto, value: string): string {
  const output = builder.fresh(node.opType.toLowerCase())
  builder.nodes.push(copyWith(node, { input: [value, ...node.input.slice(1)], output: [output] }))
  return output
}
