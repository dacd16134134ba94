import type { GraphProto, ModelProto, ValueInfoProto } from 'onnx-buf'
import { DecantError } from '../errors.js'
import { checkAxes } from './check-axes.js'
import { describeValue, fedInputs, printValueInfo, type ValueInfo } from './describe-model.js'
import { builtNodes, GraphIndex, pruneGraph, renameValues } from './edit-graph.js'
import { emitFeatures, type FeaturesInput } from './emit-features.js'
import { type Emit, emitCast, emitRowReduce, requireOpset } from './emit-ops.js'
import { emitPixels, type ImageInput } from './emit-pixels.js'
import { columnsOf, emitTargets, inputsOf, type Target } from './emit-targets.js'
import { type EmittedTokens, emitNextTokens, emitTokens, type TokensInput } from './emit-tokens.js'
import { freeBatch } from './free-batch.js'
import { GraphBuilder, makeValueInfo } from './graph-builder.js'
import { copyWith, valueNames } from './walk-graph.js'

export type { FeaturesInput, ImageInput, TokensInput }

export interface FuseOptions {
  /** Value of the raw logits, [N, C], or with `positions` [N, L, C], as `findLogits` returns it. */
  output: string
  /** What the source gives; without it the teacher's one input stays as it is. */
  front?: ImageInput | FeaturesInput | TokensInput
  /** The logits are by position of the tokens. */
  positions?: boolean
  target: Target
}

export interface FusedTeacher {
  proto: ModelProto
  /**
   * By `front`: 'pixels', uint8 [N, height, width, channels]; 'features', float32 [N, ...shape]; 'tokens', int32 [N, L], -1 = padding.
   * Else the teacher's own input.
   */
  inputs: ValueInfo[]
  /**
   * M = N rows, or with `positions` M = N·L, position-major. The columns of `target`, each [M, …], by name; and 'row_sum' float32 [M]:
   * 2⁻³²·Σz over C, masked classes as they are kept. Not finite exactly where the row holds NaN or +Inf, or -Inf alone (or, before operator set 9, at all): the factor
   * keeps the sum of 2²⁴ finite logits, the most that a dataset has, from overflowing.
   * With `positions` and L > 1 'length' int32 [N]: tokens of the row; at padding z counts as 0.
   */
  outputs: ValueInfo[]
  /** Where N can be one number only: that number, and in words why. */
  fixedBatch?: FixedBatch | undefined
}

export interface FixedBatch {
  rows: number
  why: string
}

/**
 * Puts what surrounds the teacher into its graph: in front the way from the source's pixels, features or tokens to what it
 * takes, behind it what is kept of its logits. Written in the model's own operator set; its IR version and other operator sets
 * stay. Throws DecantError where the source does not fit its inputs, with both shapes.
 */
export function fuseTeacher(proto: ModelProto, options: FuseOptions): FusedTeacher {
  const { front, positions = false, target } = options
  const opset = requireOpset(proto, 'the teacher')
  const names = ['pixels', 'features', 'tokens', 'label', 'uniforms', 'row_sum', 'length', ...columnsOf(target)]
  const { graph, inputs, output, batch, fixedBatch } = makeRoom(
    isolate(proto.graph!, options),
    front ? names : names.slice(3),
  )

  const taken = valueNames(graph)
  const before: Emit = { builder: new GraphBuilder({ prefix: 'decant/in/', taken }), opset }
  const behind: Emit = { builder: new GraphBuilder({ prefix: 'decant/out/', taken }), opset }
  const { feeds, tokens } = emitFront(before, { front, graph, inputs, batch })
  const own = emitApart(behind, graph, output.name)
  const raw = output.dtype === 'float32' ? own : emitCast(behind, own, 'float32')
  const z = positions ? emitPositions(behind, { z: raw, tokens: tokens! }) : raw
  if (front?.kind === 'tokens' && positions && front.length > 1) {
    const length = emitRowReduce(behind, 'ReduceSum', emitCast(behind, tokens!.valid, 'int32'), { keepdims: false })
    behind.builder.output('length', 'int32', [batch], length)
  }
  const classes = output.shape?.at(-1) ?? null
  const label = labelsOf(behind, options)
  emitTargets(behind, { z, classes, batch: positions ? null : batch, label }, target)
  const extra = inputsOf(target).map(({ name, dtype, rank }) => makeValueInfo(name, dtype, Array(rank).fill(null)))

  const fused = copyWith(graph, {
    node: [...builtNodes(before.builder), ...graph.node, ...builtNodes(behind.builder)],
    input: [...feeds, ...extra],
    output: behind.builder.outputs,
  })
  return {
    proto: copyWith(proto, { graph: fused }),
    inputs: [...feeds, ...extra].map(describeValue),
    outputs: behind.builder.outputs.map(describeValue),
    fixedBatch,
  }
}

/**
 * The value behind an operator that changes nothing, where the teacher is quantized. ONNX Runtime runs a node between quantized values on integers only
 * where each of them is dequantized for one reader; for two of them it computes in float32, and rounds otherwise than the teacher by itself.
 */
function emitApart({ builder }: Emit, graph: GraphProto, value: string): string {
  const quantized = graph.node.some(({ opType }) => opType === 'DequantizeLinear')
  return quantized ? builder.node('Max', [value]) : value
}

/** The value whose logits a target keeps beside its classes: an input, or made of the tokens. */
function labelsOf(emit: Emit, { front, target }: FuseOptions): string | undefined {
  if (typeof target === 'string' || !('labels' in target) || target.labels === undefined) return undefined
  if (target.labels === 'given') return 'label'
  if (front?.kind !== 'tokens') throw new DecantError('labels by position: expected a teacher of tokens')
  return emitNextTokens(emit, { length: front.length, classes: target.classes })
}

interface Isolated {
  graph: GraphProto
  inputs: ValueInfo[]
  output: ValueInfo
  /** Name of the batch axis, or its size where that cannot be made dynamic. */
  batch: string | number
  fixedBatch?: FixedBatch | undefined
}

/** The part of the graph between the inputs and the one output, its batch axis dynamic where that is safe. */
function isolate(graph: GraphProto, { output: name, front, positions }: FuseOptions): Isolated {
  const index = new GraphIndex(graph)
  const output = index.info(name) ?? { name, dtype: 'unknown', shape: undefined }
  if (!index.producer(name)) throw new DecantError(`the teacher computes no value '${name}'`)
  if (positions ? !fitsPositions(output, front) : output.shape && output.shape.length !== 2) {
    const expected = positions ? `[N, ${front?.kind === 'tokens' ? front.length : 'L'}, C]` : '[N, C]'
    throw new DecantError(`expected logits ${expected} from the teacher, found ${printValueInfo(output)}`)
  }
  const pruned = pruneGraph(copyWith(graph, { output: [makeValueInfo(name, 'float32', [])] }))
  const inputs = fedInputs(pruned).map(describeValue)
  if (inputs.length === 0) throw new DecantError(`the teacher's '${name}' depends on no input`)
  if (inputs.length > 1 && front?.kind !== 'tokens') {
    const list = inputs.map(printValueInfo).join(', ')
    throw new DecantError(
      `expected a teacher with one input, found ${list}: a row of a source is one array; export the model with the others as constants inside, or with one input that it takes apart`,
    )
  }
  checkAxes(inputs, output)
  const { batch, ...opened } = openBatch(pruned, inputs)
  return {
    ...opened,
    inputs: inputs.map((input) => ({ ...input, shape: input.shape && [batch, ...input.shape.slice(1)] })),
    output,
    batch,
  }
}

/** A fixed batch is made dynamic; where that is not safe, it stays. */
function openBatch(graph: GraphProto, inputs: readonly ValueInfo[]): Pick<Isolated, 'graph' | 'batch' | 'fixedBatch'> {
  const sizes = inputs.map(({ shape }) => shape?.[0])
  const batch = sizes.find((size) => typeof size === 'string') ?? 'batch'
  const fixed = inputs.filter((_, i) => typeof sizes[i] === 'number')
  if (fixed.length === 0) return { graph, batch }
  const opened = freeBatch(graph, { inputs: fixed.map(({ name }) => name), batch })
  if (typeof opened !== 'string') return { graph: opened, batch }
  const rows = Number(fixed[0]!.shape![0])
  return { graph, batch: rows, fixedBatch: { rows, why: `the batch of '${fixed[0]!.name}' is fixed, and ${opened}` } }
}

function fitsPositions({ shape }: ValueInfo, front: FuseOptions['front']): boolean {
  if (front?.kind !== 'tokens') return false
  return !shape || (shape.length === 3 && (typeof shape[1] !== 'number' || shape[1] === front.length))
}

/** Gives the graph's own values other names where they have one of `names`. */
function makeRoom({ graph, inputs, output, ...others }: Isolated, names: string[]): Isolated {
  const builder = new GraphBuilder({ taken: [...valueNames(graph), ...names] })
  const taken = valueNames(graph)
  const renamed = new Map(
    names.filter((name) => taken.has(name)).map((name) => [name, builder.fresh(`teacher/${name}`)]),
  )
  const rename = (info: ValueInfo): ValueInfo => ({ ...info, name: renamed.get(info.name) ?? info.name })
  return { ...others, graph: renameValues(graph, renamed), inputs: inputs.map(rename), output: rename(output) }
}

interface Front {
  front: FuseOptions['front']
  graph: GraphProto
  inputs: ValueInfo[]
  batch: string | number
}

function emitFront(
  emit: Emit,
  { front, graph, inputs, batch }: Front,
): { feeds: ValueInfoProto[]; tokens?: EmittedTokens } {
  const [input] = inputs as [ValueInfo]
  switch (front?.kind) {
    case 'image':
      return { feeds: [emitPixels(emit, { image: front, batch, input })] }
    case 'features':
      return { feeds: [emitFeatures(emit, { features: front, batch, input })] }
    case 'tokens': {
      const tokens = emitTokens(emit, { tokens: front, batch, inputs })
      return { feeds: [tokens.feed], tokens }
    }
    default:
      return { feeds: graph.input.filter(({ name }) => name === input.name) }
  }
}

/** Logits [N, L, C] as rows [N·L, C], 0 at padding: what a teacher says there may be anything, NaN too. */
function emitPositions({ builder }: Emit, { z, tokens }: { z: string; tokens: EmittedTokens }): string {
  const { valid, moved } = tokens
  const flat = builder.node('Flatten', [z], { axis: 2 })
  const rows = moved === undefined ? flat : builder.node('Gather', [flat, moved])
  const mask = builder.node('Reshape', [valid, builder.i64([-1, 1])])
  return builder.node('Where', [mask, rows, builder.f32(0)])
}
