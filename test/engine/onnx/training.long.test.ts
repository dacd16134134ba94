import '@tensorflow/tfjs-backend-cpu'
import * as tf from '@tensorflow/tfjs-core'
import { beforeAll, test } from 'vitest'
import type { Engine } from '../../../src/engine/engine.js'
import { openOnnx } from '../../../src/engine/onnx/engine.js'
import { expectSameTraining, optimizers } from './same-training.js'

let engine: Engine

beforeAll(async () => {
  tf.enableProdMode()
  await tf.setBackend('cpu')
  engine = await openOnnx({ threads: 2 })
})

test.each(Object.keys(optimizers))('50 steps of cnn with %s are those of tfjs on its cpu backend', (optimizer) =>
  expectSameTraining(engine, { student: 'cnn', optimizer, steps: 50, weights: true }),
)

test.each(Object.keys(optimizers))(
  '10 steps of a residual network with %s are those of tfjs on its cpu backend',
  (optimizer) => expectSameTraining(engine, { student: 'residual', optimizer, steps: 10, weights: false }),
)

test('3 steps of a residual network with momentum have its weights, too', () =>
  expectSameTraining(engine, { student: 'residual', optimizer: 'momentum', steps: 3, weights: true }))
