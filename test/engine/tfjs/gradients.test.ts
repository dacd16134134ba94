import * as tf from '@tensorflow/tfjs-core'
import { layers, sequential } from '@tensorflow/tfjs-layers'
import { beforeAll, expect, it } from 'vitest'
import { useBackend } from '../../../src/engine/eager.js'
import { openEngine } from '../../../src/engine/engine.js'

beforeAll(() => useBackend('wasm'))

it.each([
  [[3], [4]],
  [
    [2, 3],
    [3, 1],
  ],
  [
    [2, 3],
    [1, 1],
  ],
  [
    [1, 1, 5],
    [4, 3, 1],
  ],
  [
    [2, 1, 3],
    [2, 5, 2],
  ],
  [
    [2, 3, 1, 2],
    [3, 2, 4, 1],
  ],
  [
    [2, 3, 2, 2, 2],
    [1, 1, 3, 1, 1],
  ],
])('the gradient of tile of %j, %j times, adds what came of each element', (shape, reps) => {
  const size = tf.util.sizeFromShape(shape)
  const whole = shape.map((s, axis) => s * reps[axis]!)
  const dy = Float32Array.from({ length: tf.util.sizeFromShape(whole) }, (_, i) => ((i * 37) % 101) / 8)
  const expected = new Array<number>(size).fill(0)
  dy.forEach((value, i) => {
    const place = tf.util.indexToLoc(i, whole.length, tf.util.computeStrides(whole).concat(1).slice(0, whole.length))
    const own = place.map((at, axis) => at % shape[axis]!)
    expected[own.reduce((index, at, axis) => index * shape[axis]! + at, 0)]! += value
  })
  const gradient = tf.grad((x) => tf.tile(x, reps))(tf.zeros(shape), tf.tensor(dy, whole))
  expect(gradient.shape).toEqual(shape)
  expect([...gradient.dataSync()]).toEqual(expected) // eighths: exact in any order
})

it('a step with layerNormalization has as many nodes for many rows as for few', async () => {
  const engine = await openEngine('onnx', { threads: 1 })
  const model = sequential({ layers: [layers.layerNormalization({ inputShape: [6, 8] })] })
  const lines = async (rows: number) => {
    const step = ({ x }: Record<string, tf.Tensor>) => {
      const loss = () => tf.mean(tf.square(model.apply(x!) as tf.Tensor)) as tf.Scalar
      const { value, grads } = tf.variableGrads(loss)
      return { loss: value, ...grads }
    }
    const program = await engine.compile(step, { inputs: { x: { shape: [rows, 6, 8], dtype: 'float32' } } })
    const text = program.print!()
    await program.dispose()
    return text.split('\n').length
  }
  expect(await lines(50)).toBe(await lines(5))
  await engine.dispose()
})
