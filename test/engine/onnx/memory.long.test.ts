import '@tensorflow/tfjs-backend-cpu'
import * as tf from '@tensorflow/tfjs-core'
import { layers, sequential } from '@tensorflow/tfjs-layers'
import { expect, test } from 'vitest'
import { openOnnx } from '../../../src/engine/onnx/engine.js'
import { variablesOf } from '../../../src/student/program.js'

const inputs = { x: { shape: [32, 784], dtype: 'float32' as const } }
const x = new Float32Array(32 * 784).fill(0.1)

/** An mlp:128 under plain gradient descent: 400 KB of state. */
function makeStep() {
  const net = sequential({
    layers: [layers.dense({ inputShape: [784], units: 128, activation: 'relu' }), layers.dense({ units: 10 })],
  })
  const variables = variablesOf(net.trainableWeights)
  return ({ x }: Record<string, tf.Tensor>) => {
    const loss = () => tf.mean(tf.square(net.apply(x!) as tf.Tensor)) as tf.Scalar
    const { value, grads } = tf.variableGrads(loss, variables)
    for (const variable of variables) variable.assign(tf.sub(variable, tf.mul(grads[variable.name]!, 0.01)))
    return { loss: value }
  }
}

const megabytes = () => process.memoryUsage().rss / 1e6

test('memory stays flat over 10,000 steps and over 200 programs', async () => {
  tf.enableProdMode()
  await tf.setBackend('cpu')
  const engine = await openOnnx({ threads: 1 })
  const step = makeStep()
  const runPrograms = async (count: number) => {
    for (let i = 0; i < count; i++) {
      const program = await engine.compile(step, { inputs })
      await program.run({ x })
      await program.dispose()
    }
  }
  await runPrograms(50) // what the runtime and the collector take once
  const tensors = tf.memory().numTensors
  const before = megabytes()
  await runPrograms(200)
  expect(tf.memory().numTensors).toBe(tensors)
  expect(megabytes() - before).toBeLessThan(60) // a leaked session would be 400 KB of weights, 80 MB in all

  const program = await engine.compile(step, { inputs })
  for (let i = 0; i < 2000; i++) await program.run({ x })
  const settled = megabytes()
  for (let i = 0; i < 8000; i++) await program.run({ x })
  expect(megabytes() - settled).toBeLessThan(60) // one leaked state a step would be 3.2 GB
})
