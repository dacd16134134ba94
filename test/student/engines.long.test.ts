import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, it } from 'vitest'
import { type Engine, openEngine } from '../../src/engine/engine.js'
import { InterruptedError } from '../../src/errors.js'
import { type TrainDataOptions, trainOnDataset } from '../../src/student/train.js'
import { type Example, makeExample, temporaryFolder } from './fixtures.js'

let example: Example
let onnx: Engine
beforeAll(async () => {
  example = await makeExample(200, { unlabelled: 10 })
  onnx = await openEngine('onnx', { threads: 1 })
})

const train = (options: Partial<TrainDataOptions>) =>
  trainOnDataset({ dataset: example.dataset, engine: onnx, epochs: 3, batch: 32, ...options })
const weightsOf = ({ model }: Awaited<ReturnType<typeof train>>) =>
  model.getWeights().map((w) => Array.from(w.dataSync()))

/** Draws in every step. */
const dropout = fileURLToPath(new URL('dropout-student.ts', import.meta.url))

describe('training on the onnx engine', () => {
  it.each([
    ['mlp:8', { name: 'adamw' }],
    ['cnn:4', { name: 'sgd', nesterov: true }],
    [dropout, { name: 'adam' }],
    ['mlp:8', { name: 'sgd', nesterov: true, weightDecay: 0.01 }, { clip: 0.5, ema: 0.9 }],
  ] as const)(
    '%s with %j has the losses and metrics of the eager engine',
    async (student, optimizer, more: Partial<TrainDataOptions> = {}) => {
      const options = { student, optimizer, learningRate: 0.01, ...more }
      const found = await train(options)
      const expected = await train({ ...options, engine: await openEngine('eager') })
      found.history.forEach(({ loss }, i) => {
        expect(Math.abs(loss / expected.history[i]!.loss - 1)).toBeLessThan(1e-4)
      })
      expect(found.metrics!.nll).toBeCloseTo(expected.metrics!.nll!, 3)
    },
  )

  it.each([['mlp:8'], [dropout], ['mlp:8', { ema: 0.8, clip: 1, method: 'dkd' }]] as const)(
    'makes the same bits of %s from the same seed, in calls of any length, interrupted or not, the best epoch kept',
    async (student, more: Partial<TrainDataOptions> = {}) => {
      const options: Partial<TrainDataOptions> = {
        ...more,
        student,
        learningRate: 0.02,
        earlyStop: { patience: 1 },
        epochs: 8,
      }
      const whole = await train(options)
      expect(weightsOf(await train(options))).toEqual(weightsOf(whole))
      const out = await temporaryFolder()
      const abort = new AbortController()
      const onEvent: TrainDataOptions['onEvent'] = (event) => event.type === 'epoch' && abort.abort()
      await expect(train({ ...options, out, onEvent, signal: abort.signal })).rejects.toThrow(InterruptedError)
      const continued = await train({ ...options, out, checkpointEvery: 4 })
      expect(weightsOf(continued)).toEqual(weightsOf(whole))
      expect(continued.metrics).toEqual(whole.metrics)
    },
  )
})
