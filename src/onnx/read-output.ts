import type { ModelProto } from 'onnx-buf'
import { DecantError } from '../errors.js'
import { builtNodes, GraphIndex, pruneGraph } from './edit-graph.js'
import { type Emit, emitAtLeast, requireOpset } from './emit-ops.js'
import type { Output } from './find-output.js'
import { type Dimension, GraphBuilder, makeValueInfo } from './graph-builder.js'
import { complement, emitLogarithm, type Logarithm } from './logarithm.js'
import { copyWith, valueNames } from './walk-graph.js'

/** How logits come out of a teacher's output: FORMAT.md, `teacher.logits`. */
export type LogitsKind =
  | 'logits'
  | 'softmax removed'
  | 'log-softmax removed'
  | 'sigmoid removed'
  | 'log-probabilities'
  | 'log of probabilities'

/** How an output is read. */
export interface Reading {
  kind: LogitsKind
  /**
   * With `log of probabilities`: the least probability whose logarithm is taken. Without it the logarithm is taken of what the graph's sigmoids
   * take in, where it ends in them; else the floor is what the output's type cannot tell from 0.
   */
  floor?: number | undefined
  /** The output is one column, [N] or [N, 1]: the second of two classes. */
  column: boolean
  /** Of two classes, the two columns are exchanged. */
  swapped?: boolean | undefined
}

export interface EditedModel {
  /** A copy whose only output is float32 [N, C], or [N, L, C]. Weights are shared with the model, not copied. */
  proto: ModelProto
  /** That output's name in the copy. */
  output: string
  /** C, where the model declares it. */
  classes: number | undefined
}

/** Makes a teacher's output the only one: its logits, read as `reading` says, or without it its values as they are. */
export function readOutput(proto: ModelProto, output: Output, reading?: Reading): EditedModel {
  const graph = proto.graph!
  const { head, positions } = output
  const builder = new GraphBuilder({ prefix: 'decant/', taken: valueNames(graph) })
  const reader = new Reader({ builder, opset: requireOpset(proto, 'the teacher') }, new GraphIndex(graph), output)
  const read = reading ? reader.logits(reading) : reader.values()
  const value = reading?.swapped ? builder.node('Gather', [read, builder.i64([1, 0])], { axis: 1 }) : read
  // classifiers of ai.onnx.ml that give their scores then
  const replaced = reading && takesLogarithm(output, reading) ? head?.replace : undefined
  const { shape } = output.info
  // what a file declares of its values is for these to show
  const classes: Dimension = !reading ? null : reading.column ? 2 : (shape?.[positions ? 2 : 1] ?? null)
  const front = [shape?.[0] ?? null, ...(positions ? [shape?.[1] ?? null] : [])]
  const edited = copyWith(graph, {
    node: [...graph.node.map((node) => replaced?.get(node) ?? node), ...builtNodes(builder)],
    output: [makeValueInfo(value, 'float32', [...front, classes])],
  })
  return {
    proto: copyWith(proto, { graph: pruneGraph(edited) }),
    output: value,
    classes: typeof classes === 'number' ? classes : undefined,
  }
}

/** What a probability of 0 may have been, by the output's type: the least normal float32 (its logarithm is -87.3), half of the least float16. */
export const tinyOf = ({ info }: Output): number => (info.dtype === 'float16' ? 2 ** -25 : 2 ** -126)

/** Is it the logarithm that the graph's end shows that is read, and not the output's values? */
export function takesLogarithm({ head }: Output, { kind, floor, column }: Reading): boolean {
  if (kind === 'logits' || kind === 'log-probabilities') return false
  return kind !== 'log of probabilities' || (floor === undefined && !column && head?.sigmoids === true)
}

class Reader {
  readonly #emit: Emit
  readonly #index: GraphIndex
  readonly #output: Output
  /** Axis of the classes. */
  readonly #axis: number

  constructor(emit: Emit, index: GraphIndex, output: Output) {
    this.#emit = emit
    this.#index = index
    this.#output = output
    this.#axis = output.positions ? 2 : 1
  }

  /** The output as it is, float32 [N, C]. */
  values(): string {
    const { value } = this.#output
    return this.#rows(emitLogarithm(this.#emit, this.#index, { kind: 'value', name: value, exact: true }))
  }

  logits(reading: Reading): string {
    const { kind, floor, column } = reading
    const { builder } = this.#emit
    const { head } = this.#output
    switch (kind) {
      case 'softmax removed':
      case 'log-softmax removed':
        return this.#logarithm(head?.logarithm)
      case 'sigmoid removed': {
        const second = this.#logarithm(head?.logarithm)
        const x = column ? this.#join(this.#logarithm(complement(head?.logarithm)), second) : second
        return builder.node('Sub', [x, builder.node('Gather', [x, builder.i64([0])], { axis: this.#axis })])
      }
      case 'log of probabilities': {
        if (!takesLogarithm(this.#output, reading)) {
          const p = this.values()
          return this.#logOf(column ? this.#pair(p) : p, floor)
        }
        const x = this.#logarithm(head?.logarithm)
        return head?.logarithm.exact ? x : builder.node('LogSoftmax', [x], { axis: this.#axis })
      }
      case 'log-probabilities': {
        const x = this.values()
        return column ? this.#logOf(this.#pair(builder.node('Exp', [x]))) : x
      }
      case 'logits': {
        const x = this.values()
        return column ? this.#join(builder.node('Mul', [x, builder.f32(0)]), x) : x
      }
    }
  }

  #logarithm(log: Logarithm | undefined): string {
    if (!log) throw new DecantError(`'${this.#output.name}' ends in no Softmax or Sigmoid that its graph shows`)
    return this.#rows(emitLogarithm(this.#emit, this.#index, log))
  }

  /** [1 - p, p] of a column p */
  #pair(p: string): string {
    const { builder } = this.#emit
    return this.#join(builder.node('Sub', [builder.f32(1), p]), p)
  }

  #join(first: string, second: string): string {
    return this.#emit.builder.node('Concat', [first, second], { axis: 1 })
  }

  #logOf(p: string, floor = tinyOf(this.#output)): string {
    return this.#emit.builder.node('Log', [emitAtLeast(this.#emit, p, floor)])
  }

  /** [N, C] of [N, C, 1, 1], and [N, 1] of [N]. */
  #rows(value: string): string {
    const { builder } = this.#emit
    const { info, positions } = this.#output
    if (info.shape?.length === 1) return builder.node('Reshape', [value, builder.i64([-1, 1])])
    return info.shape && info.shape.length > 2 && !positions ? builder.node('Flatten', [value], { axis: 1 }) : value
  }
}
