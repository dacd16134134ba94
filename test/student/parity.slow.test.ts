import { beforeAll, describe, it } from 'vitest'
import { type Engine, openEngine } from '../../src/engine/engine.js'
import { expectParity, optimizers } from './parity.js'

let engine: Engine
beforeAll(async () => {
  engine = await openEngine('onnx', { threads: 2 })
})

// Channels that divide into blocks.
describe('50 steps of cnn:16,16 are those of tfjs on its cpu backend', () => {
  it.each(optimizers)('%j', (optimizer, rate) => expectParity(engine, { student: 'cnn:16,16', optimizer, rate }))
})
