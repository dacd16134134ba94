import type { GraphProto, ModelProto } from 'onnx-buf'
import { DecantError } from '../errors.js'
import { describeValue, fedInputs, printValueInfo, type ValueInfo } from './describe-model.js'
import { builtNodes, GraphIndex, pruneGraph, renameValues } from './edit-graph.js'
import { type Emit, emitAtLeast, emitCast, emitRowReduce, requireOpset } from './emit-ops.js'
import { emitPixels, type ImageInput } from './emit-pixels.js'
import { freeBatch } from './free-batch.js'
import { GraphBuilder, makeValueInfo } from './graph-builder.js'
import { copyWith, valueNames } from './walk-graph.js'

export type { ImageInput }

export interface FuseOptions {
  /** The teacher's input that gets the data. */
  input: string
  /** Value of its raw logits, [N, C], as `findLogits` returns it. */
  output: string
  /** Takes pixels as they are decoded; without it the teacher's own input stays as it is. */
  image?: ImageInput
  target: 'f32' | 'f16'
}

export interface FusedTeacher {
  proto: ModelProto
  /** With `image`: 'pixels', uint8 [N, height, width, channels]; else the teacher's own input. */
  inputs: ValueInfo[]
  /**
   * 'logits' [N, C]: float32 z, or for f16 float16 max(z - shift, -65504) with 'shift' float32 [N], the row's maximum of z.
   * 'row_sum' float32 [N]: 2⁻³²·Σz over C. Not finite exactly where the row holds NaN or Inf: the factor keeps the sum of
   * 2²⁴ finite logits, the most that a dataset has, from overflowing.
   */
  outputs: ValueInfo[]
}

/**
 * Puts what surrounds the teacher into its graph: in front the way from uint8 NHWC pixels to what it takes, behind it
 * what is kept of its logits. Written in the model's own operator set; its IR version and other operator sets stay.
 * Throws DecantError where the image does not fit its input, with both shapes, or where its batch is fixed for good.
 */
export function fuseTeacher(proto: ModelProto, options: FuseOptions): FusedTeacher {
  const { image, target } = options
  const opset = requireOpset(proto, 'the teacher')
  const teacher = isolate(proto.graph!, options)
  const names = ['logits', 'row_sum', ...(target === 'f16' ? ['shift'] : []), ...(image ? ['pixels'] : [])]
  const { graph, input, output, batch } = makeRoom(teacher, names)

  const taken = valueNames(graph)
  const front = new GraphBuilder({ prefix: 'decant/in/', taken })
  const back = new GraphBuilder({ prefix: 'decant/out/', taken })
  const feed = image
    ? emitPixels({ builder: front, opset }, { image, batch, input })
    : graph.input.find(({ name }) => name === input.name)!
  emitTargets({ builder: back, opset }, { output, batch, target })

  const fused = copyWith(graph, {
    node: [...builtNodes(front), ...graph.node, ...builtNodes(back)],
    input: [feed, ...graph.input.filter(({ name }) => name !== input.name)],
    output: back.outputs,
  })
  return {
    proto: copyWith(proto, { graph: fused }),
    inputs: [describeValue(feed)],
    outputs: back.outputs.map(describeValue),
  }
}

interface Isolated {
  graph: GraphProto
  input: ValueInfo
  output: ValueInfo
  /** Name of the batch axis. */
  batch: string
}

/** The part of the graph between the one input and the one output, its batch axis dynamic. */
function isolate(graph: GraphProto, options: FuseOptions): Isolated {
  const inputs = fedInputs(graph).map(describeValue)
  const input = inputs.find(({ name }) => name === options.input)
  const list = inputs.map(printValueInfo).join(', ')
  if (!input) throw new DecantError(`the teacher has no input '${options.input}'; it has ${list}`)
  const index = new GraphIndex(graph)
  const output = index.info(options.output) ?? { name: options.output, dtype: 'unknown', shape: undefined }
  if (!index.producer(output.name)) throw new DecantError(`the teacher computes no value '${output.name}'`)
  if (output.shape && output.shape.length !== 2) {
    throw new DecantError(`expected logits [N, C] from the teacher, found ${printValueInfo(output)}`)
  }
  const pruned = pruneGraph(copyWith(graph, { output: [makeValueInfo(output.name, 'float32', [])] }))
  const others = fedInputs(pruned).filter(({ name }) => name !== input.name)
  if (others.length > 0) {
    throw new DecantError(
      `expected a teacher with one input, found ${fedInputs(pruned)
        .map(({ name }) => `'${name}'`)
        .join(', ')}`,
    )
  }
  const [size] = input.shape ?? []
  const batch = typeof size === 'string' ? size : 'batch'
  return {
    graph: typeof size === 'number' ? freeBatch(pruned, { input: input.name, batch }) : pruned,
    input: { ...input, shape: input.shape && [batch, ...input.shape.slice(1)] },
    output,
    batch,
  }
}

/** Gives the graph's own values other names where they have one of `names`. */
function makeRoom({ graph, input, output, batch }: Isolated, names: string[]): Isolated {
  const builder = new GraphBuilder({ taken: [...valueNames(graph), ...names] })
  const taken = valueNames(graph)
  const renamed = new Map(
    names.filter((name) => taken.has(name)).map((name) => [name, builder.fresh(`teacher/${name}`)]),
  )
  const rename = (info: ValueInfo): ValueInfo => ({ ...info, name: renamed.get(info.name) ?? info.name })
  return { graph: renameValues(graph, renamed), input: rename(input), output: rename(output), batch }
}

/** Behind the teacher, from its logits z: what is kept of them. */
function emitTargets(emit: Emit, options: { output: ValueInfo; batch: string; target: 'f32' | 'f16' }): void {
  const { output, batch, target } = options
  const { builder } = emit
  const classes = output.shape?.[1] ?? null
  const z = output.dtype === 'float32' ? output.name : emitCast(emit, output.name, 'float32')
  if (target === 'f32') {
    builder.output('logits', 'float32', [batch, classes], z)
  } else {
    const top = emitRowReduce(emit, 'ReduceMax', z, { keepdims: true })
    builder.output('shift', 'float32', [batch], builder.node('Reshape', [top, builder.i64([-1])]))
    // 65504 is the largest float16: a class further below the top than that is kept as that far below.
    const gap = emitAtLeast(emit, builder.node('Sub', [z, top]), -65504)
    builder.output('logits', 'float16', [batch, classes], emitCast(emit, gap, 'float16'))
  }
  const scaled = builder.node('Mul', [z, builder.f32(2 ** -32)])
  builder.output('row_sum', 'float32', [batch], emitRowReduce(emit, 'ReduceSum', scaled, { keepdims: false }))
}
