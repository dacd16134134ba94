import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { LayersModel } from '@tensorflow/tfjs-layers'
import { beforeAll, describe, expect, it } from 'vitest'
import { type Engine, openEngine } from '../../src/engine/engine.js'
import { DecantError, InterruptedError, MismatchError } from '../../src/errors.js'
import { type TrainDataOptions, type TrainEvent, trainOnDataset, trainStudent } from '../../src/student/train.js'
import { type Example, makeExample, temporaryFolder } from './fixtures.js'

let example: Example
let engine: Engine
beforeAll(async () => {
  example = await makeExample(300, { unlabelled: 10 })
  engine = await openEngine('eager')
})

const train = (options: Partial<TrainDataOptions> = {}) =>
  trainOnDataset({ dataset: example.dataset, engine, student: 'mlp:8', epochs: 3, batch: 32, ...options })
const weightsOf = (model: LayersModel) => model.getWeights().map((weight) => Array.from(weight.dataSync()))
const fileOf = (out: string, name = 'weights.bin') => readFile(join(out, name))

/** Stops a run at the given step, as SIGINT would. */
async function interrupt(step: number, options: Partial<TrainDataOptions>): Promise<unknown> {
  const abort = new AbortController()
  const program = { ...engine, compile: countingCompile(step, () => abort.abort()) }
  return train({ checkpointEvery: step, ...options, engine: program, signal: abort.signal }).catch(
    (error: unknown) => error,
  )
}
function countingCompile(step: number, reached: () => void): Engine['compile'] {
  return async (code, options) => {
    const program = await engine.compile(code, options)
    if (!options.inputs.learningRate) return program
    let steps = 0
    return {
      ...program,
      run: (inputs) => {
        steps += (inputs.step as Float32Array).length
        if (steps >= step) reached()
        return program.run(inputs)
      },
    }
  }
}

describe('trainOnDataset', () => {
  it('learns: far better than chance on the held-out rows, and near the teacher', async () => {
    const { metrics, measuredOn, history } = await train({ epochs: 20, learningRate: 0.01, holdout: 0.2 })
    expect(measuredOn).toBe('held-out rows')
    expect(metrics!.accuracy).toBeGreaterThan(0.9)
    expect(metrics!.agreement).toBeGreaterThan(0.9)
    expect(history[19]!.loss).toBeLessThan(history[0]!.loss / 4)
  })

  it('makes the same bits from the same seed, and others from another', async () => {
    const [a, b, c] = [await train({ seed: 5 }), await train({ seed: 5 }), await train({ seed: 6 })]
    expect(weightsOf(b.model)).toEqual(weightsOf(a.model))
    expect(b.metrics).toEqual(a.metrics)
    expect(weightsOf(c.model)).not.toEqual(weightsOf(a.model))
  })

  it.each([
    ['in the middle of an epoch', 4],
    ['at the end of one', 9],
  ])('interrupted %s and run again, it makes the same bits', async (_, step) => {
    const options: Partial<TrainDataOptions> = { optimizer: { name: 'adamw' }, earlyStop: { patience: 2 } }
    const [whole, broken] = [await temporaryFolder(), await temporaryFolder()]
    await train({ ...options, out: whole })
    const error = await interrupt(step, { ...options, out: broken })
    expect(error).toBeInstanceOf(InterruptedError)
    expect((error as Error).message).toMatch(/run the same command again to continue/)
    const events: TrainEvent[] = []
    await train({ ...options, out: broken, onEvent: (event) => events.push(event) })
    expect(events).toContainEqual({ type: 'resume', step, steps: 27 })
    for (const file of ['weights.bin', 'student.onnx', 'metrics.json', 'model.json'])
      expect(await fileOf(broken, file)).toEqual(await fileOf(whole, file))
    expect(await readdir(broken)).not.toContain('checkpoint.safetensors')
  })

  it('writes checkpoints on the way, so that a killed run loses little', async () => {
    const out = await temporaryFolder()
    const dying = countingCompile(8, () => {
      throw new Error('killed')
    })
    await expect(train({ out, checkpointEvery: 3, engine: { ...engine, compile: dying } })).rejects.toThrow('killed')
    const events: TrainEvent[] = []
    await train({ out, checkpointEvery: 3, onEvent: (event) => events.push(event) })
    expect(events).toContainEqual({ type: 'resume', step: 6, steps: 27 })
  })

  it('refuses to continue the checkpoint of another student, with a line for each difference', async () => {
    const out = await temporaryFolder()
    await interrupt(4, { out })
    const error = await train({ out, temperature: 2, seed: 9 }).catch((e: unknown) => e)
    expect(error).toBeInstanceOf(MismatchError)
    expect((error as MismatchError).differences).toEqual([
      'config.temperature: 4 in the folder, 2 now',
      'config.seed: 1 in the folder, 9 now',
    ])
    const other = await makeExample(301)
    await expect(train({ out, dataset: other.dataset })).rejects.toThrow(/manifest: "[0-9a-f]+" in the folder/)
  })

  it('does not train again what is finished, and refuses another student in its folder', async () => {
    const out = await temporaryFolder()
    const first = await train({ out })
    const events: TrainEvent[] = []
    const again = await train({ out, onEvent: (event) => events.push(event) })
    expect(events).toEqual([{ type: 'finished', out }])
    expect(again.metrics).toEqual(first.metrics)
    expect(weightsOf(again.model)).toEqual(weightsOf(first.model))
    await expect(train({ out, alpha: 0.5 })).rejects.toThrow('config.alpha: 0.9 in the folder, 0.5 now')
  })

  it('refuses a folder that holds something else', async () => {
    const out = await temporaryFolder()
    await writeFile(join(out, 'thesis.tex'), '')
    await expect(train({ out })).rejects.toThrow(/not empty and no student's folder: it holds thesis.tex/)
  })

  it('stops early and keeps the best epoch', async () => {
    const options: Partial<TrainDataOptions> = { learningRate: 0.02, seed: 3, holdout: 0.3, student: 'linear' }
    const { history, metrics } = await train({ ...options, epochs: 60, earlyStop: { patience: 3 } })
    const scores = history.map(({ accuracy }) => accuracy!)
    const best = scores.indexOf(Math.max(...scores))
    expect(history.length).toBe(best + 1 + 3)
    expect(metrics!.accuracy).toBe(scores[best])
  })

  it('measures on the evaluation set where there is one, and then trains on every row', async () => {
    const evaluation = (await makeExample(60)).dataset
    const events: TrainEvent[] = []
    const student = await train({ evaluation, onEvent: (event) => events.push(event) })
    expect(events[0]).toMatchObject({ type: 'start', rows: 300, held: 0 })
    expect([student.measuredOn, student.metrics!.rows]).toEqual(['evaluation', 60])
  })

  it('alpha = 0 does not look at the teacher', async () => {
    const { dataset } = example
    const columns = dataset.targets.columns.map((column) => ({ ...column, values: column.values.map(() => 0) }))
    const silent = { ...dataset, targets: { ...dataset.targets, columns } }
    const options = { holdout: 0, alpha: 0 }
    const [a, b] = [await train(options), await train({ ...options, dataset: silent })]
    expect(weightsOf(b.model)).toEqual(weightsOf(a.model))
  })

  it('gives padding no weight: batches that do not divide the rows train on exactly the rows', async () => {
    const { dataset } = example
    const options: Partial<TrainDataOptions> = { holdout: 0, epochs: 1, optimizer: { name: 'sgd' }, student: 'linear' }
    const padded = await train({ ...options, batch: 512 })
    const exact = await train({ ...options, batch: 300 })
    expect(padded.history[0]!.loss).toBeCloseTo(exact.history[0]!.loss, 5)
    const flat = (model: LayersModel) => weightsOf(model).flat()
    expect(flat(padded.model)).toEqual(flat(exact.model).map((w) => expect.closeTo(w, 5)))
    expect(dataset.rows).toBe(300)
  })

  it('says at which step the loss became no number', async () => {
    await expect(train({ learningRate: 1e38, optimizer: { name: 'sgd' } })).rejects.toThrow(
      /student mlp:8: the loss is (NaN|Infinity) at step \d+; a lower learning rate may help/,
    )
  })

  it('leaves no tensor behind but the model', async () => {
    const tf = await import('@tensorflow/tfjs-core')
    const before = tf.memory().numTensors
    const { model } = await train({ earlyStop: { patience: 1 } })
    model.dispose()
    expect(tf.memory().numTensors).toBe(before)
  })

  it.each([
    [{ temperature: 0 }, 'temperature: expected a number above 0, found 0'],
    [{ alpha: 1.5 }, 'alpha: expected a number from 0 to 1, found 1.5'],
    [{ epochs: 0 }, 'epochs: expected a whole number of at least 1, found 0'],
    [{ method: 'magic' }, "method 'magic': expected kd, rs-kd, ce, ls,"],
    [{ student: 'vgg:16' }, "student 'vgg:16': expected one of linear, mlp:"],
    [{ holdout: 0, earlyStop: { patience: 1 } }, 'holdout: expected a share above 0'],
  ])('refuses %j', async (options, message) => {
    const error = await train(options).catch((e: unknown) => e)
    expect(error).toBeInstanceOf(DecantError)
    expect((error as Error).message).toContain(message)
  })
})

it('trainStudent does the same from opened targets and source', async () => {
  const { targets, source } = example
  const options = { engine, student: 'linear', epochs: 1, batch: 32 }
  const student = await trainStudent({ targets, source, ...options })
  expect(weightsOf(student.model)).toEqual(weightsOf((await train(options)).model))
})
