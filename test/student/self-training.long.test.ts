import { join } from 'node:path'
import * as tf from '@tensorflow/tfjs-core'
import { beforeAll, describe, expect, it } from 'vitest'
import { type Engine, openEngine } from '../../src/engine/engine.js'
import { InterruptedError } from '../../src/errors.js'
import { loadStudent } from '../../src/student/save.js'
import { readSummary } from '../../src/student/summary.js'
import { type TrainDataOptions, trainOnDataset } from '../../src/student/train.js'
import { type Example, makeExample, temporaryFolder } from './fixtures.js'

// Methods that have something beside the student, in whole trainings.

let example: Example
let onnx: Engine
let eager: Engine
beforeAll(async () => {
  example = await makeExample(90, { unlabelled: 10 })
  // Rows 2k and 2k+1 stand for two views of a sample.
  example.dataset.samples = Int32Array.from({ length: 90 }, (_, row) => row >> 1)
  onnx = await openEngine('onnx', { threads: 1 })
  eager = await openEngine('eager')
})

const train = (options: Partial<TrainDataOptions>) =>
  trainOnDataset({
    ...{ dataset: example.dataset, engine: onnx, student: 'cnn:4,4', epochs: 2, batch: 32, learningRate: 0.01 },
    ...options,
  })
const weightsOf = ({ model }: Awaited<ReturnType<typeof train>>) =>
  model.getWeights().map((w) => Array.from(w.dataSync()))

const kinds = ['ps-kd', 'cs-kd', 'ddgsd', 'byot', 'dks', 'teskd']

describe('a student that teaches itself', () => {
  it.each([...kinds, 'sla-sd', 'frskd'])('by %s has the losses of the eager engine', async (method) => {
    // Adam makes steps of what rounding leaves of the many gradients that are 0 before a normalisation.
    const options: Partial<TrainDataOptions> = { method, ...(method === 'frskd' && { optimizer: { name: 'sgd' } }) }
    const [found, expected] = [await train(options), await train({ ...options, engine: eager })]
    found.history.forEach(({ loss }, i) => {
      expect(Math.abs(loss / expected.history[i]!.loss - 1)).toBeLessThan(1e-3)
    })
    expect(found.history[1]!.loss).toBeLessThan(found.history[0]!.loss)
  })

  it.each(kinds)('by %s has the same bits interrupted or not, and is saved alone', async (method) => {
    const whole = await train({ method })
    const out = await temporaryFolder()
    const abort = new AbortController()
    const onEvent: TrainDataOptions['onEvent'] = (event) => event.type === 'epoch' && abort.abort()
    await expect(train({ method, out, onEvent, signal: abort.signal })).rejects.toThrow(InterruptedError)
    const continued = await train({ method, out, checkpointEvery: 2 })
    expect(weightsOf(continued)).toEqual(weightsOf(whole))
    expect(continued.metrics).toEqual(whole.metrics)
    expect((await readSummary(out)).parameters).toBe(whole.parameters)
    const names = (await loadStudent(out)).weights.map(({ originalName }) => originalName)
    expect(names.filter((name) => /branch|lateral/.test(name))).toEqual([])
  })
})

it.each(['onnx', 'eager'])('on %s, what a method remembers by step and by row outlasts a break', async (name) => {
  const options = { method: join(import.meta.dirname, 'counting-method.ts'), epochs: 3, batch: 40, holdout: 0 }
  const [engine, out, abort] = [name === 'onnx' ? onnx : eager, await temporaryFolder(), new AbortController()]
  const onEvent: TrainDataOptions['onEvent'] = (event) => event.type === 'epoch' && abort.abort()
  await expect(train({ ...options, engine, out, onEvent, signal: abort.signal })).rejects.toThrow(InterruptedError)
  const { history } = await train({ ...options, engine, out })
  // Batches of 40, 40 and 10 rows; what pads the last one counts as nothing seen.
  const steps = (first: number) => (40 * first + 40 * (first + 1) + 10 * (first + 2)) / 90
  history.forEach(({ loss }, i) => {
    expect(loss).toBeCloseTo(i + 100 * steps(3 * i), 3)
  })
})

describe('a method that looks into the student', () => {
  it.each([
    ['byot', 'linear', 'layers named stage1, stage2, …, as resnet, mobilenet and cnn have'],
    ['teskd', 'cnn:4', 'layers named stage1, stage2'],
  ])('%s refuses %s', async (method, student, message) => {
    const before = tf.memory().numTensors
    await expect(train({ method, student })).rejects.toThrow(message)
    expect(tf.memory().numTensors).toBe(before)
  })

  it('finds the stages of a resnet and of a mobilenet', async () => {
    for (const [student, method] of [
      ['resnet:8,2', 'teskd'],
      ['mobilenet:2', 'byot'],
    ]) {
      const { history } = await train({ method, student, epochs: 1, batch: 16 })
      expect(history[0]!.loss).toBeGreaterThan(0)
    }
  })
})

it('ddgsd refuses targets with one view of each sample', async () => {
  const { dataset } = await makeExample(20)
  await expect(train({ dataset, method: 'ddgsd' })).rejects.toThrow('compares two views of a sample')
})
