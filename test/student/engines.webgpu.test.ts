import { describe, expect, it } from 'vitest'
import { openEngine } from '../../src/engine/engine.js'
import { trainOnDataset } from '../../src/student/train.js'
import { missingWebgpu } from '../helpers/webgpu.js'
import { makeExample } from './fixtures.js'

describe.skipIf(missingWebgpu)('training on the onnx engine, provider webgpu', () => {
  it.each([
    ['mlp:8', { name: 'adamw' }],
    ['cnn:4', { name: 'sgd', nesterov: true }],
  ] as const)('%s with %j has the losses and metrics of provider cpu', async (student, optimizer) => {
    const { dataset } = await makeExample(200, { unlabelled: 10 })
    const train = async (provider: string) => {
      const engine = await openEngine('onnx', { provider })
      const trained = await trainOnDataset({
        ...{ dataset, engine, student, optimizer },
        ...{ epochs: 3, batch: 32, learningRate: 0.01 },
      })
      await engine.dispose()
      return trained
    }
    const expected = await train('cpu')
    const found = await train('webgpu')
    found.history.forEach(({ loss }, i) => {
      expect(Math.abs(loss / expected.history[i]!.loss - 1)).toBeLessThan(1e-3)
    })
    expect(found.metrics!.nll).toBeCloseTo(expected.metrics!.nll!, 3)
  })
})
