import '@tensorflow/tfjs-backend-cpu'
import * as tf from '@tensorflow/tfjs-core'
import { type LayersModel, layers, sequential } from '@tensorflow/tfjs-layers'
import { beforeAll, describe, expect, test } from 'vitest'
import { eagerProgram } from '../../src/engine/eager.js'
import type { InputSpec, Program, Step } from '../../src/engine/engine.js'
import { withLayerRandom } from '../../src/engine/layer-random.js'
import { openOnnx } from '../../src/engine/onnx/engine.js'
import { pcg3d, type RandomSource, randomSource } from '../../src/engine/random.js'

beforeAll(async () => {
  tf.enableProdMode()
  await tf.setBackend('cpu')
})

const specs: Record<string, InputSpec> = { step: { shape: [], dtype: 'float32' } }
const stepOf =
  (draw: (source: RandomSource) => tf.Tensor, seed = 1): Step =>
  ({ step }) => ({ x: draw(randomSource(seed, step!)) })

/** The same step on the cpu backend, and traced. */
async function both(step: Step): Promise<Program[]> {
  const engine = await openOnnx({ threads: 1 })
  return [eagerProgram(step, { inputs: specs, backend: 'cpu' }), await engine.compile(step, { inputs: specs })]
}

const run = async (program: Program, step: number) => (await program.run({ step: Float32Array.of(step) })).x!

test('pcg3d is that of the paper (numbers from a transcription of its listing to Python)', () => {
  expect([pcg3d(0, 0, 0), pcg3d(1, 2, 3), pcg3d(4294967295, 7, 123456789)]).toEqual([
    2611992518, 4204755366, 2942237977,
  ])
})

test('the numbers are the same traced and eager, and other ones at another step, seed or draw', async () => {
  const [eager, traced] = await both(
    stepOf((source) => tf.stack([source.uniform([40, 100]), source.uniform([40, 100])])),
  )
  const [first, second] = [await run(traced!, 0), await run(traced!, 1)]
  expect(await run(eager!, 0)).toEqual(first)
  expect(await run(eager!, 1)).toEqual(second)
  const [other] = await both(stepOf((source) => source.uniform([40, 100]), 2))
  const draws = [first.subarray(0, 4000), first.subarray(4000), second.subarray(0, 4000), await run(other!, 0)]
  expect(new Set(draws.map((draw) => draw.join())).size).toBe(4)
})

test('uniform is uniform and normal is normal', async () => {
  const [uniform] = await both(stepOf((source) => source.uniform([100, 100])))
  const counts = new Float64Array(10)
  for (const x of await run(uniform!, 3)) counts[Math.floor(10 * x)]! += 1
  // χ² with 9 degrees of freedom is below 27.9 in 999 of 1000 cases; these numbers are always the same.
  expect(counts.reduce((sum, count) => sum + (count - 1000) ** 2 / 1000, 0)).toBeLessThan(27.9)

  const [normal] = await both(stepOf((source) => source.normal([100, 100])))
  const x = await run(normal!, 3)
  const mean = x.reduce((sum, v) => sum + v, 0) / x.length
  expect(Math.abs(mean)).toBeLessThan(0.03)
  expect(Math.abs(x.reduce((sum, v) => sum + (v - mean) ** 2, 0) / x.length - 1)).toBeLessThan(0.05)
})

/** Layer by layer: what share of a tensor of ones is kept, and what its mean becomes. */
const noisy = {
  dropout: () => layers.dropout({ rate: 0.25 }),
  gaussianDropout: () => layers.gaussianDropout({ rate: 0.25 }),
  gaussianNoise: () => layers.gaussianNoise({ stddev: 0.5 }),
  alphaDropout: () => layers.alphaDropout({ rate: 0.25 }),
}

describe.each(Object.entries(noisy))('%s', (_, make) => {
  const net: LayersModel = sequential({ layers: [layers.flatten({ inputShape: [10, 10] }), make()] })
  const apply: Step = ({ step }) => ({
    x: withLayerRandom(randomSource(1, step!), () => net.apply(tf.ones([50, 10, 10]), { training: true }) as tf.Tensor),
  })

  test('draws from the source, the same traced and eager, and anew at every step', async () => {
    const [eager, traced] = await both(apply)
    const [first, second] = [await run(traced!, 0), await run(traced!, 1)]
    expect(second).not.toEqual(first)
    const expected = await run(eager!, 0)
    for (const [i, value] of first.entries()) expect(Math.abs(value - expected[i]!)).toBeLessThan(1e-5)
  })

  test('leaves the layers of tfjs as they were', async () => {
    const program = eagerProgram(apply, { inputs: specs, backend: 'cpu' })
    await run(program, 0)
    expect(net.predict(tf.ones([1, 10, 10]))).toMatchObject({ shape: [1, 100] })
    const plain = () => (net.apply(tf.ones([1, 10, 10]), { training: true }) as tf.Tensor).dataSync().join()
    expect(plain()).not.toBe(plain())
  })
})

test('dropout keeps the mean, and the share that it should', async () => {
  const net = sequential({ layers: [layers.dropout({ rate: 0.25, inputShape: [100] })] })
  const [, traced] = await both(({ step }) => ({
    x: withLayerRandom(randomSource(1, step!), () => net.apply(tf.ones([100, 100]), { training: true }) as tf.Tensor),
  }))
  const x = await run(traced!, 0)
  const kept = x.filter((value) => value !== 0)
  expect(Math.abs(kept.length / x.length - 0.75)).toBeLessThan(0.02)
  for (const value of kept) expect(value).toBeCloseTo(1 / 0.75, 5)
})

test('random numbers of tfjs itself are refused in a traced step, with the line', async () => {
  const engine = await openOnnx({ threads: 1 })
  const net = sequential({ layers: [layers.dropout({ rate: 0.25, inputShape: [10] })] })
  const compile = (x: () => tf.Tensor) => engine.compile(() => ({ x: x() }), { inputs: {} })
  const message = /same at every run; draw them from a randomSource, at .*random\.test\.ts:\d+/
  await expect(compile(() => tf.randomNormal([2]))).rejects.toThrow(message)
  await expect(compile(() => net.apply(tf.ones([1, 10]), { training: true }) as tf.Tensor)).rejects.toThrow(message)
})
