import { writeFileSync } from 'node:fs'
import { elementTypes } from '../../src/onnx/dtypes.js'
import { encodeModel, GraphBuilder } from '../../src/onnx/graph-builder.js'
import { type Random, random } from '../../src/random.js'

export interface LinearTeacher {
  /** [inputs, classes] */
  weights: Float32Array
  /** [classes] */
  bias: Float32Array
}

export interface LinearTeacherOptions {
  side: number
  classes: number
  seed?: number
  /** Adds a node behind the logits, or more outputs. */
  extend?: (graph: GraphBuilder, logits: string) => void
  opset?: number
}

/** Writes a one-layer classifier of float32 [N, 1, side, side] images: logits = x·W + b. */
export function writeLinearTeacher(path: string, options: LinearTeacherOptions): LinearTeacher {
  const { side, classes, seed = 0, opset } = options
  const stream = random('teacher', seed)
  const weights = Float32Array.from({ length: side * side * classes }, () => stream.normal() / side)
  const bias = Float32Array.from({ length: classes }, () => stream.normal())
  const graph = new GraphBuilder()
  const image = graph.input('image', 'float32', ['N', 1, side, side])
  const flat = graph.node('Reshape', [image, graph.i64([-1, side * side])])
  const logits = graph.node(
    'Gemm',
    [flat, graph.f32(weights, [side * side, classes]), graph.f32(bias)],
    {},
    { outputs: ['logits'] },
  )
  if (options.extend) options.extend(graph, logits)
  else graph.output('logits', 'float32', ['N', classes])
  writeFileSync(path, encodeModel(graph.model({ name: 'linear', ...(opset !== undefined && { opset }) })))
  return { weights, bias }
}

/** The teacher's logits of one row of bytes, (x/255)·W + b in float64. */
export function linearLogits(teacher: LinearTeacher, pixels: ArrayLike<number>): number[] {
  const classes = teacher.bias.length
  return Array.from(teacher.bias, (b, c) =>
    Array.from(pixels).reduce((sum, x, i) => sum + (x / 255) * teacher.weights[i * classes + c]!, b),
  )
}

/** Writes a language model of two words: the logits at a position are a row of `table` [V, V], and NaN behind the sequence's end. */
export function writeBigramTeacher(path: string, table: Float32Array, opset?: number): void {
  const vocabulary = Math.sqrt(table.length)
  const graph = new GraphBuilder()
  const ids = graph.input('input_ids', 'int64', ['N', 'L'])
  const mask = graph.node('Cast', [graph.input('attention_mask', 'int64', ['N', 'L'])], { to: elementTypes.float32 })
  const z = graph.node('Gather', [graph.f32(table, [vocabulary, vocabulary]), ids])
  const seen = graph.node('Div', [z, graph.node('Unsqueeze', [mask, graph.i64([2])])])
  graph.output('logits', 'float32', ['N', 'L', vocabulary], seen)
  writeFileSync(path, encodeModel(graph.model({ name: 'bigram', ...(opset !== undefined && { opset }) })))
}

/** Random sequences of 1 to `length` tokens [rows, length], -1 behind their ends. */
export function makeSequences(
  stream: Random,
  { rows, length, vocabulary }: { rows: number; length: number; vocabulary: number },
): { lengths: number[]; tokens: Int32Array } {
  const lengths = Array.from({ length: rows }, () => 1 + stream.below(length))
  const tokens = Int32Array.from({ length: rows * length }, (_, i) =>
    i % length < lengths[Math.floor(i / length)]! ? stream.below(vocabulary) : -1,
  )
  return { lengths, tokens }
}
