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

test.each(Object.keys(optimizers))('50 steps of mlp with %s are those of tfjs on its cpu backend', (optimizer) =>
  expectSameTraining(engine, { student: 'mlp', optimizer, steps: 50, weights: true }),
)
