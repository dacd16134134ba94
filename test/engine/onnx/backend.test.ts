import '@tensorflow/tfjs-backend-cpu'
import * as tf from '@tensorflow/tfjs-core'
import '@tensorflow/tfjs-layers' // registers tfjs's gradients
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openBackend } from '../../../src/engine/onnx/backend.js'
import { openOnnx } from '../../../src/engine/onnx/engine.js'
import { random } from '../../../src/random.js'

beforeAll(async () => {
  tf.enableProdMode()
  openBackend()
  await tf.setBackend('onnx')
})
afterAll(() => tf.removeBackend('onnx'))

// tfjs-core's own tests (npm run conformance) say that the kernels are right; here is what they do not ask.

describe('at once', () => {
  test('values are there when dataSync returns', () => {
    const x = tf.tensor([1, 2, 3])
    expect([...tf.square(x).dataSync()]).toEqual([1, 4, 9])
  })

  test('a clone and another shape are the same memory', () => {
    const x = tf.tensor2d([1, 2, 3, 4], [2, 2])
    expect(x.clone().dataId).toBe(x.dataId)
    expect(tf.reshape(x, [4]).dataId).toBe(x.dataId)
    const z = tf.complex(x, x)
    expect(tf.reshape(z, [4]).dataId).toBe(z.dataId)
    const words = tf.tensor(['a', 'b'])
    expect(tf.expandDims(words).dataId).toBe(words.dataId)
  })

  test('tensors of another backend move to it', async () => {
    await tf.setBackend('cpu')
    const x = tf.tensor([1, 2])
    await tf.setBackend('onnx')
    const moved = tf.neg(x)
    expect([...moved.dataSync()]).toEqual([-1, -2])
    expect([...x.dataSync()]).toEqual([1, 2])
  })

  test('nothing stays behind', () => {
    const held = () => [tf.memory().numTensors, tf.engine().backend.numDataIds()]
    const before = held()
    tf.tidy(() => {
      const z = tf.mul(tf.complex([1, 2], [3, 4]), tf.complex([0, 1], [1, 0]))
      tf.concat([tf.tensor(['a']), tf.tensor(['b'])]).dataSync()
      tf.spectral.fft(z).dataSync()
      tf.unique(tf.tensor1d([1, 1, 2]))
    })
    expect(held()).toEqual(before)
  })

  test('what a kernel cannot take is an error with the line that asked for it', () => {
    expect(() => tf.gather(tf.zeros([2, 3]), tf.zeros([3, 1], 'int32'), 1, 1)).toThrow(
      /should be equal to indices.shape/,
    )
    expect(() => tf.expandDims(tf.zeros([2]), 5)).toThrow()
  })
})

test('a step that uses a kernel of JavaScript cannot be recorded', async () => {
  await tf.setBackend('cpu')
  const engine = await openOnnx({ threads: 1 })
  const step = ({ x }: Record<string, tf.Tensor>) => ({ y: tf.unique(x as tf.Tensor1D).values })
  const inputs = { x: { shape: [3], dtype: 'float32' as const } }
  await expect(engine.compile(step, { inputs })).rejects.toThrow(/no kernel Unique, at .*backend\.test\.ts/)
  await engine.dispose()
  await tf.setBackend('onnx')
})

const { uniform } = random('backend')
const image = Float32Array.from({ length: 2 * 6 * 6 * 4 }, () => Math.round(uniform() * 8) / 4)
// Not of a few values, as the image: sums that are equal but for rounding would send a max-pool's gradient to either.
const weights = Float32Array.from({ length: 9 * 4 * 4 }, () => uniform() - 0.5)

const filter = () => tf.tensor4d(weights, [3, 3, 4, 4])
const volume = (x: tf.Tensor) => tf.reshape(x, [2, 3, 6, 4, 2]) as tf.Tensor5D
const four = (x: tf.Tensor) => x as tf.Tensor4D

const cases: Record<string, (x: tf.Tensor) => tf.Tensor> = {
  'conv, resizeBilinear': (x) => tf.image.resizeBilinear(tf.conv2d(four(x), filter(), 1, 'same'), [9, 5], true),
  // As many pixels as before: tfjs's own gradient confuses the two sizes from the second image on.
  'resizeNearestNeighbor, conv': (x) => tf.conv2d(tf.image.resizeNearestNeighbor(four(x), [9, 4]), filter(), 2, 'same'),
  'maxPool, localResponseNormalization': (x) => tf.localResponseNormalization(tf.maxPool(four(x), 2, 2, 'same'), 1),
  'conv3d, maxPool3d': (x) =>
    tf.maxPool3d(tf.conv3d(volume(x), tf.reshape(filter(), [3, 3, 2, 2, 4]) as tf.Tensor5D, 1, 'same'), 2, 2, 'same'),
  'avgPool3d over the edge': (x) => tf.avgPool3d(volume(x), 3, 2, 'same'),
  'dilated maxPool': (x) => tf.pool(four(x), 2, 'max', 'same', 2),
  dilation2d: (x) =>
    tf.dilation2d(four(x), tf.reshape(tf.slice(filter(), 0, [2, 3, 2, 2]), [2, 3, 4]) as tf.Tensor3D, 1, 'same', 2),
  einsum: (x) => tf.einsum('nhwc,nhwd->cd', x, x),
  cumprod: (x) => tf.cumprod(x, 1, true, true),
  mirrorPad: (x) =>
    tf.mirrorPad(
      x,
      [
        [0, 0],
        [2, 1],
        [1, 2],
        [0, 0],
      ],
      'symmetric',
    ),
  'batched gather': (x) => tf.gather(x, tf.tensor2d([0, 5, 3, 3], [2, 2], 'int32'), 2, 1),
}
const withoutGradient = new Set(['einsum', 'cumprod', 'mirrorPad', 'batched gather', 'dilation2d'])

describe.each(Object.keys(cases))('%s', (name) => {
  const f = cases[name]!
  const weighted = (x: tf.Tensor) => {
    const y = f(x)
    return tf.sum(tf.mul(y, tf.reshape(tf.cos(tf.range(0, y.size)), y.shape)))
  }
  const both = ({ x }: Record<string, tf.Tensor>) => ({
    y: f(x!),
    ...(withoutGradient.has(name) ? {} : { gradient: tf.grad(weighted)(x!) }),
  })

  test('is the same on the cpu backend, at once and recorded', async () => {
    const run = () =>
      tf.tidy(() => Object.values(both({ x: tf.tensor(image, [2, 6, 6, 4]) })).map((t) => [...t.dataSync()]))
    await tf.setBackend('cpu')
    const expected = run()
    const engine = await openOnnx({ threads: 1 })
    const program = await engine.compile(both, { inputs: { x: { shape: [2, 6, 6, 4], dtype: 'float32' } } })
    const recorded = Object.values(await program.run({ x: image }))
    await engine.dispose()
    await tf.setBackend('onnx')
    for (const results of [run(), recorded]) {
      for (const [i, values] of expected.entries()) {
        expect(results[i]!.length).toBe(values.length)
        for (const [j, value] of values.entries()) expect(results[i]![j]).toBeCloseTo(value, 3)
      }
    }
  })
})
