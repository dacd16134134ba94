import type { GraphProto, ModelProto } from 'onnx-buf'
import { elementTypes, nameOfElement } from './dtypes.js'
import { integerOf } from './edit-graph.js'
import { findOutput, isOneColumn, type Output, type OutputOptions } from './find-output.js'
import { complement } from './logarithm.js'
import { type EditedModel, type LogitsKind, type Reading, readOutput, takesLogarithm, tinyOf } from './read-output.js'

export type { EditedModel, LogitsKind, Reading }

/** A teacher's output, and what the graph says of it. */
export interface FoundOutput {
  /** The model's own name of it. */
  from: string
  /** The logits are by position of a sequence. */
  positions: boolean
  /** C, where it is declared; 1 of one column. */
  classes: number | undefined
  /**
   * How the logits of C classes come out of it as far as the structure alone says: a proposal, for numbers to confirm. C = 1: one column, which is
   * of two classes.
   */
  propose(classes: number | undefined): Reading
  /** The logits come from inside the graph, and not of the output's values. */
  cuts(reading: Reading): boolean
  /** The structure says that its values are probabilities. */
  probable: boolean
  /** The graph ends in sigmoids. */
  sigmoids: boolean
  /** Its values are log p, as the structure says. */
  logarithm: boolean
  /** How far apart its values may be: float16 and what is quantized or rounded do not sum to 1 as float32 does. */
  grain: 'float32' | 'float16' | 'coarse'
  /** What a probability of 0 may have been, by the output's type. */
  tiny: number
  /** Its values as they are, [N, C], [N, L, C] or, of one column, [N, 1]. */
  values(): EditedModel
  read(reading: Reading): EditedModel
}

/** Finds the output that holds the logits. Throws DecantError as {@link findOutput} does. */
export function openOutput(
  { proto, path = 'the model' }: { proto: ModelProto; path?: string },
  options: OutputOptions = {},
): FoundOutput {
  const output = findOutput({ proto, path }, options)
  const { head, info, positions, probable } = output
  const declared = isOneColumn(info) ? 1 : info.shape?.at(positions ? 2 : 1)
  return {
    from: output.name,
    positions,
    classes: typeof declared === 'number' ? declared : undefined,
    propose: (classes) => propose(output, classes),
    cuts: (reading) => takesLogarithm(output, reading),
    probable,
    sigmoids: head?.sigmoids === true,
    logarithm: head?.holds === 'log-probabilities',
    grain: grainOf(proto.graph!, output),
    tiny: tinyOf(output),
    values: () => readOutput(proto, output),
    read: (reading) => readOutput(proto, output, reading),
  }
}

export interface Logits extends EditedModel {
  from: string
  positions: boolean
  kind: LogitsKind
}

/**
 * The logits as the graph's structure alone finds them. A Softmax, LogSoftmax or, of two classes, Sigmoid at the end is removed, however it
 * is written, so that what it takes in, the raw logits, comes out. Where the graph shows probabilities that come about by
 * other means (an average of softmaxes, the shares of a forest), their logarithm comes out.
 */
export function findLogits(model: { proto: ModelProto; path?: string }, options: OutputOptions = {}): Logits {
  const found = openOutput(model, options)
  const { from, positions } = found
  const reading = found.propose(found.classes)
  return { ...found.read(reading), from, positions, kind: reading.kind }
}

function propose({ head, probable }: Output, classes: number | undefined): Reading {
  const column = classes === 1
  if (head?.sigmoids) {
    const two = column ? complement(head.logarithm) !== undefined : classes === 2
    return { kind: two ? 'sigmoid removed' : 'log of probabilities', column }
  }
  if (!head || column) return { kind: probable ? 'log of probabilities' : 'logits', column }
  return { kind: head.holds === 'probabilities' ? 'softmax removed' : 'log-softmax removed', column }
}

/** Operators behind which values lie on a grid. */
const rounding = /Quantize|^QLinear|^Round$/

function grainOf(graph: GraphProto, { info }: Output): FoundOutput['grain'] {
  if (info.dtype === 'bfloat16' || graph.node.some(({ opType }) => rounding.test(opType))) return 'coarse'
  const half =
    info.dtype === 'float16' ||
    graph.initializer.some(({ dataType }) => nameOfElement(dataType) === 'float16') ||
    graph.node.some((node) => node.opType === 'Cast' && integerOf(node, 'to') === elementTypes.float16)
  return half ? 'float16' : 'float32'
}
