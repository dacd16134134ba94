import { writeFileSync } from 'node:fs'
import { encodeModel, GraphBuilder } from '../../src/onnx/graph-builder.js'
import { random } from '../../src/random.js'

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
