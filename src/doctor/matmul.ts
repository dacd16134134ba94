import { InferenceSession, Tensor } from 'onnxruntime-node'
import { encodeModel, GraphBuilder } from '../onnx/graph-builder.js'
import { explainWebgpu, withoutFallback } from '../onnx/webgpu.js'
import { type Provider, sessionOptions } from '../teacher/provider.js'
import { SIDE } from './run-probe.js'

const ROUNDS = 15
const ENOUGH_MS = 300

/** Small whole numbers, so that every sum is exact, in TF32 too. */
const left = (i: number) => (i % 3) + 1
const right = (k: number, j: number) => ((k * 5 + j) % 7) - 3

/**
 * Runs x·W on a provider, checks every element of the answer, and gives the median of a call in milliseconds, with what
 * it takes to bring x to the device and the answer back.
 */
export async function timeMatmul(provider: Provider, side = SIDE): Promise<number> {
  const graph = new GraphBuilder()
  const x = graph.input('x', 'float32', [side, side])
  const w = graph.f32(
    Float32Array.from({ length: side * side }, (_, at) => right(Math.floor(at / side), at % side)),
    [side, side],
  )
  graph.output('y', 'float32', [side, side], graph.node('MatMul', [x, w]))
  const model = encodeModel(graph.model({ name: 'matmul' }))
  const options = sessionOptions(provider, 0)
  const session = await InferenceSession.create(model, provider === 'cpu' ? options : withoutFallback(options)).catch(
    (error: Error) => {
      throw provider === 'webgpu' ? new Error(explainWebgpu(error.message)) : error
    },
  )
  const feeds = {
    x: new Tensor(
      Float32Array.from({ length: side * side }, (_, at) => left(Math.floor(at / side))),
      [side, side],
    ),
  }
  check((await session.run(feeds)).y!.data as Float32Array, side) // the first call also prepares the kernels
  const times: number[] = []
  const start = performance.now()
  do {
    const before = performance.now()
    await session.run(feeds)
    times.push(performance.now() - before)
  } while (times.length < ROUNDS && performance.now() - start < ENOUGH_MS)
  await session.release()
  return times.sort((a, b) => a - b)[Math.floor(times.length / 2)]!
}

/** Every row of x is one number, so y is that times the sums of W's columns. */
function check(y: Float32Array, side: number): void {
  const sums = Array.from({ length: side }, (_, j) => {
    let sum = 0
    for (let k = 0; k < side; k++) sum += right(k, j)
    return sum
  })
  for (let at = 0; at < side * side; at++) {
    const expected = left(Math.floor(at / side)) * sums[at % side]!
    if (y[at] !== expected) throw new Error(`a wrong product: expected ${expected} at ${at}, found ${y[at]}`)
  }
}
