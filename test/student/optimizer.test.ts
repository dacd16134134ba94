import * as tf from '@tensorflow/tfjs-core'
import { beforeAll, describe, expect, it } from 'vitest'
import { useBackend } from '../../src/engine/eager.js'
import { random } from '../../src/random.js'
import { clipGradients, createAverage, createOptimizer, type OptimizerConfig } from '../../src/student/optimizer.js'

type Update = (p: number, g: number, t: number, lr: number) => number

/** One scalar at a time, in float64, as the papers write it. */
function reference(config: OptimizerConfig, isKernel: boolean): Update {
  let [m, v, b] = [0, 0, 0]
  return (p, g, t, lr) => {
    if (config.name === 'sgd') {
      const mu = config.momentum ?? 0.9
      const decaying = g + (isKernel ? (config.weightDecay ?? 0) * p : 0)
      b = mu * b + decaying
      return p - lr * (config.nesterov ? decaying + mu * b : b)
    }
    m = 0.9 * m + 0.1 * g
    v = 0.999 * v + 0.001 * g * g
    const decayed = config.name === 'adamw' && isKernel ? p * (1 - lr * (config.weightDecay ?? 0.01)) : p
    return decayed - (lr * (m / (1 - 0.9 ** t))) / (Math.sqrt(v / (1 - 0.999 ** t)) + 1e-8)
  }
}

const configs: OptimizerConfig[] = [
  { name: 'sgd', momentum: 0 },
  { name: 'sgd' },
  { name: 'sgd', nesterov: true },
  { name: 'sgd', nesterov: true, weightDecay: 0.3 },
  { name: 'adam' },
  { name: 'adamw', weightDecay: 0.1 },
]

describe.each(configs)('%j', (config) => {
  beforeAll(() => useBackend('wasm'))

  it('follows its formula in float64 for 50 steps of a changing rate', () => {
    const { normal } = random(7, JSON.stringify(config))
    const start = Array.from({ length: 6 }, () => Math.fround(normal()))
    const kernel = tf.variable(tf.tensor2d(start, [2, 3]))
    const bias = tf.variable(tf.tensor1d(start))
    const optimizer = createOptimizer(config, [kernel, bias])
    const expected = [true, false].map((isKernel) => start.map((p) => ({ p, update: reference(config, isKernel) })))
    for (let t = 1; t <= 50; t++) {
      const lr = Math.fround(0.01 / t)
      const gradient = start.map(() => Math.fround(normal() * 10 ** (-3 * (t % 2)))) // large and small ones in turn
      tf.tidy(() =>
        optimizer.apply(
          { [kernel.name]: tf.tensor2d(gradient, [2, 3]), [bias.name]: tf.tensor1d(gradient) },
          tf.scalar(lr),
        ),
      )
      for (const values of expected)
        for (const [i, value] of values.entries()) value.p = value.update(value.p, gradient[i]!, t, lr)
    }
    for (const [i, variable] of [kernel, bias].entries()) {
      expect(Array.from(variable.dataSync())).toEqual(expected[i]!.map(({ p }) => expect.closeTo(p, 5)))
    }
    optimizer.dispose()
    tf.dispose([kernel, bias])
  })
})

it('refuses a name that it does not know', () => {
  expect(() => createOptimizer({ name: 'lion' } as unknown as OptimizerConfig, [])).toThrow(
    "optimizer 'lion': expected sgd, adam or adamw",
  )
})

it('clips gradients by the norm of all of them, and leaves smaller ones as they are', () => {
  tf.tidy(() => {
    const gradients = { a: tf.tensor1d([3, 0]), b: tf.tensor2d([[0], [4]]) }
    const clipped = clipGradients(gradients, 1)
    expect(Array.from(clipped.a!.dataSync())).toEqual([expect.closeTo(0.6, 5), 0])
    expect(Array.from(clipped.b!.dataSync())).toEqual([0, expect.closeTo(0.8, 5)])
    expect(Array.from(clipGradients(gradients, 5.1).b!.dataSync())).toEqual([0, 4])
    expect(clipGradients({ a: tf.zeros([2]) }, 1).a!.dataSync()).toEqual(new Float32Array(2))
  })
})

it('averages weights from the first ones on', () => {
  const weight = tf.variable(tf.tensor1d([1, 2]))
  const average = createAverage([weight], 0.75)
  for (const value of [5, 9]) {
    tf.tidy(() => {
      weight.assign(tf.fill([2], value))
      average.update()
    })
  }
  // 0.75·(0.75·1 + 0.25·5) + 0.25·9, and so from 2
  expect(Array.from(average.state[0]!.dataSync())).toEqual([3.75, 4.3125])
  average.dispose()
  weight.dispose()
})

it('frees its state', async () => {
  await useBackend('wasm')
  const variable = tf.variable(tf.zeros([2, 2]))
  const before = tf.memory().numTensors
  createOptimizer({ name: 'adam' }, [variable]).dispose()
  expect(tf.memory().numTensors).toBe(before)
  variable.dispose()
})
