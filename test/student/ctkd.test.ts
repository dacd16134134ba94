import { fileURLToPath } from 'node:url'
import * as tf from '@tensorflow/tfjs-core'
import { expect, it } from 'vitest'
import { openEngine } from '../../src/engine/engine.js'
import { completeConfig } from '../../src/student/config.js'
import { findMethod } from '../../src/student/method.js'
import { openRun } from '../../src/student/run.js'
import { CLASSES, labelOf, logitsOf, makeExample, pixelsOf } from './fixtures.js'
import { derivative, formulas } from './methods/formulas.js'

const ROWS = 24
const temperatureOf = (theta: number) => 1 + 20 / (1 + Math.exp(-theta))

it.each(['onnx', 'eager'] as const)(
  'a temperature that a method learns takes the step of its gradient, on %s',
  async (name) => {
    const { dataset } = await makeExample(ROWS)
    const engine = await openEngine(name)
    const [alpha, lambda, learningRate] = [0.7, 0.5, 0.5]
    const config = await completeConfig(
      {
        student: 'linear',
        method: fileURLToPath(new URL('ctkd-method.ts', import.meta.url)),
        ...{ alpha, parameters: { lambda }, learningRate, batch: ROWS, epochs: 1, holdout: 0 },
        optimizer: { name: 'sgd', momentum: 0 },
        schedule: { kind: 'constant', warmup: 0 },
      },
      { evaluated: true },
    )
    const method = await findMethod(config.method)
    const run = await openRun({ config, method, dataset, engine })
    const index = Array.from({ length: ROWS }, (_, i) => i)
    const pixels = index.flatMap((row) => Array.from(pixelsOf(row), (x) => (x / 255 - 0.3) / 0.2))
    const said = tf.tidy(() => (run.model.predict(tf.tensor(pixels, [ROWS, 6, 6, 1])) as tf.Tensor).dataSync())
    const s = index.map((i) => Array.from(said.subarray(i * CLASSES, (i + 1) * CLASSES)))
    const lossAt = (theta: number) =>
      formulas.kd!({
        s,
        t: index.map(logitsOf),
        labels: index.map(labelOf),
        T: temperatureOf(theta),
        alpha,
        epoch: 0,
        parameters: {},
      })

    const { loss } = await run.program.run(run.batches.take(0, 1).inputs)
    expect(Math.abs(loss![0]! / lossAt(-1) - 1)).toBeLessThan(1e-5)
    const { tensors } = await run.checkpoint()
    const moved = tensors.find(({ name }) => name === 'branch/0')!.values[0]! + 1
    const uphill = learningRate * lambda * derivative((d) => lossAt(-1 + d), 1e-3)
    expect(Math.abs(moved / uphill - 1)).toBeLessThan(1e-4)
    await run.dispose()
    await engine.dispose()
  },
)
