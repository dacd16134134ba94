import { beforeAll, describe, it } from 'vitest'
import { type Engine, openEngine } from '../../src/engine/engine.js'
import { expectParity, optimizers } from './parity.js'

let engine: Engine
beforeAll(async () => {
  engine = await openEngine('onnx', { threads: 1 })
})

describe.each(['linear', 'mlp:16'])('50 steps of %s are those of tfjs on its cpu backend', (student) => {
  it.each(optimizers)('%j', (optimizer, rate) => expectParity(engine, { student, optimizer, rate }))
})
