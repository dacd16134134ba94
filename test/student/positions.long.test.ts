import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import * as tf from '@tensorflow/tfjs-core'
import type { LayersModel } from '@tensorflow/tfjs-layers'
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { type CodecName, convertTargets, openTargets } from '../../src/cache/index.js'
import { type EngineName, openEngine } from '../../src/engine/engine.js'
import { encodeModel, GraphBuilder } from '../../src/onnx/index.js'
import { random } from '../../src/random.js'
import { type Dataset, holdOut, loadDataset } from '../../src/student/dataset.js'
import { type TrainDataOptions, trainOnDataset } from '../../src/student/train.js'
import { exportTargets } from '../../src/teacher/index.js'
import { sourceOf } from '../helpers/sources.js'
import { temporaryFolder } from './fixtures.js'

// A language model that goes by the last token alone, its targets by position, and a student of the same form.

const [ROWS, LENGTH, VOCABULARY] = [60, 6, 11]
const student = join(import.meta.dirname, 'bigram-student.ts')
const stream = random('positions')
const table = Float32Array.from({ length: VOCABULARY * VOCABULARY }, () => 2 * stream.normal())
const lengths = Array.from({ length: ROWS }, (_, row) => (row === 7 ? 0 : 1 + stream.below(LENGTH)))
const tokens = Int32Array.from({ length: ROWS * LENGTH }, (_, i) =>
  i % LENGTH < lengths[Math.floor(i / LENGTH)]! ? stream.below(VOCABULARY) : -1,
)
const source = sourceOf({ kind: 'tokens', dtype: 'int32', shape: [LENGTH] }, tokens)

let dir: string
let dataset: Dataset
beforeAll(async () => {
  dir = await temporaryFolder()
  const graph = new GraphBuilder()
  const ids = graph.input('input_ids', 'int64', ['N', 'L'])
  const z = graph.node('Gather', [graph.f32(table, [VOCABULARY, VOCABULARY]), ids])
  graph.output('logits', 'float32', ['N', 'L', VOCABULARY], z)
  writeFileSync(join(dir, 'teacher.onnx'), encodeModel(graph.model({ name: 'bigram' })))
  await exported('targets', join(dir, 'teacher.onnx'))
  dataset = await load('targets')
})

const exported = (name: string, teacher: string, codec: CodecName = 'f32') =>
  exportTargets({ source, teacher, codec, provider: 'cpu', batch: 16, out: join(dir, name) })

async function load(name: string): Promise<Dataset> {
  const targets = await openTargets(join(dir, name))
  const dataset = await loadDataset({ targets, source })
  await targets.close()
  return dataset
}

async function train(options: Partial<TrainDataOptions> = {}, name: EngineName = 'onnx') {
  const engine = await openEngine(name)
  onTestFinished(() => engine.dispose())
  return trainOnDataset({ dataset, engine, student, batch: 8, epochs: 1, ...options })
}

/** log softmax(z/T) in float64. */
function logSoftmax(z: ArrayLike<number>, T = 1): number[] {
  const sum = Math.log(Array.from(z).reduce((sum, x) => sum + Math.exp(x / T), 0))
  return Array.from(z, (x) => x / T - sum)
}

const rowOf = (logits: ArrayLike<number>, row: number) =>
  Array.from({ length: VOCABULARY }, (_, c) => logits[row * VOCABULARY + c]!)
const valid = Array.from(tokens.keys()).filter((at) => tokens[at]! >= 0)
/** The next token, where there is one. */
const labelAt = (at: number) => ((at + 1) % LENGTH === 0 ? -1 : tokens[at + 1]!)
const predict = (model: LayersModel) => {
  const shifted = tf.tensor2d(
    tokens.map((token) => token + 1),
    [ROWS, LENGTH],
    'int32',
  )
  return (model.predict(shifted) as tf.Tensor).dataSync()
}

describe('targets by position', () => {
  it('are rows of the positions, labelled with the next token', () => {
    expect(dataset).toMatchObject({ rows: ROWS, positions: LENGTH, classes: VOCABULARY })
    expect(dataset.input).toEqual({ kind: 'tokens', shape: [LENGTH], vocabulary: VOCABULARY })
    expect([...dataset.lengths!]).toEqual(lengths)
    expect([...dataset.labels]).toEqual(Array.from(tokens.keys(), labelAt))
    const { train, held } = holdOut(dataset, 0.3)
    expect([...train, ...held].sort((a, b) => a - b)).toEqual([...Array(ROWS).keys()].filter((row) => row !== 7))
  })

  it.each(['onnx', 'eager'] as const)(
    '%s: the loss is the mean over valid positions, that of the cross-entropy over those that a token follows',
    async (engine) => {
      const [T, alpha] = [2, 0.7]
      const { model, history } = await train(
        {
          ...{ learningRate: 1e-20, temperature: T, alpha, holdout: 0, batch: ROWS },
          optimizer: { name: 'sgd', momentum: 0 },
        },
        engine,
      )
      const logits = predict(model)
      const losses = valid.map((at) => {
        const [t, s] = [logSoftmax(rowOf(table, tokens[at]!), T), logSoftmax(rowOf(logits, at), T)]
        const soft = T * T * t.reduce((sum, log, c) => sum + Math.exp(log) * (log - s[c]!), 0)
        const label = labelAt(at)
        return { soft, hard: label < 0 ? [] : [-logSoftmax(rowOf(logits, at))[label]!] }
      })
      const mean = (x: number[]) => x.reduce((a, b) => a + b) / x.length
      const expected =
        alpha * mean(losses.map(({ soft }) => soft)) + (1 - alpha) * mean(losses.flatMap(({ hard }) => hard))
      expect(Math.abs(history[0]!.loss / expected - 1)).toBeLessThan(1e-5)
    },
  )

  it('are learned, and the student is a teacher of the same sequences', async () => {
    const out = join(dir, 'student')
    const options = { epochs: 60, learningRate: 0.03, alpha: 1, evaluation: dataset }
    const { model, metrics, history } = await train({ ...options, out })
    expect(history.at(-1)!.loss).toBeLessThan(history[0]!.loss / 20)
    const logits = predict(model)
    const agreed = valid.filter((at) => {
      const [t, s] = [rowOf(table, tokens[at]!), rowOf(logits, at)]
      return t.indexOf(Math.max(...t)) === s.indexOf(Math.max(...s))
    })
    const kl = valid.map((at) => {
      const [t, s] = [logSoftmax(rowOf(table, tokens[at]!)), logSoftmax(rowOf(logits, at))]
      return t.reduce((sum, log, c) => sum + Math.exp(log) * (log - s[c]!), 0)
    })
    expect(metrics).toMatchObject({ rows: valid.length, labelled: valid.filter((at) => labelAt(at) >= 0).length })
    expect(metrics!.agreement).toBeCloseTo(agreed.length / valid.length, 9)
    expect(metrics!.kl).toBeCloseTo(kl.reduce((a, b) => a + b) / kl.length, 5)
    expect(metrics!.kl).toBeLessThan(0.05)

    await exported('again', join(out, 'student.onnx'))
    const targets = await openTargets(join(dir, 'again'))
    const again = await targets.load()
    await targets.close()
    expect([...again.columns.length!]).toEqual(lengths)
    for (const at of valid)
      for (const [c, z] of rowOf(logits, at).entries()) expect(again.logits[at * VOCABULARY + c]).toBeCloseTo(z, 4)
  })

  it('are learned from their likeliest classes', async () => {
    await convertTargets(join(dir, 'targets'), { out: join(dir, 'topk'), codec: 'topk:4' })
    const some = await load('topk')
    const { metrics } = await train({ dataset: some, epochs: 60, learningRate: 0.03, alpha: 1, evaluation: some })
    expect(metrics!.kl).toBeLessThan(0.05)
  })

  it.each(['onnx', 'eager'] as const)('%s: rs-kd weighs what was drawn at each', async (engine) => {
    const out = join(dir, `sampled-${engine}`)
    await convertTargets(join(dir, 'targets'), { out, codec: 'sampled:4' })
    const targets = await openTargets(out)
    const { buckets } = await targets.load()
    await targets.close()
    const some = await load(`sampled-${engine}`)
    const frozen = { learningRate: 1e-20, holdout: 0, optimizer: { name: 'sgd', momentum: 0 } } as const
    const { model, history } = await train({ dataset: some, method: 'rs-kd', alpha: 1, ...frozen }, engine)
    const logits = predict(model)
    const losses = valid.map((at) => {
      const [t, s] = [logSoftmax(rowOf(table, tokens[at]!)), logSoftmax(rowOf(logits, at))]
      const slots = [0, 1, 2, 3].map((i) => 4 * at + i)
      return slots.reduce((sum, i) => {
        const c = buckets.index[i]!
        return sum + (buckets.count![i]! / 4) * (t[c]! - s[c]!)
      }, 0)
    })
    const mean = losses.reduce((a, b) => a + b) / losses.length
    expect(Math.abs(history[0]!.loss / mean - 1)).toBeLessThan(1e-3) // the cache's log p is of float16 logits
    const { history: trained } = await train({ dataset: some, method: 'rs-kd', epochs: 30, learningRate: 0.03 }, engine)
    expect(trained.at(-1)!.loss).toBeLessThan(trained[0]!.loss / 2)
  })

  it('are what dkd learns from, by the logits of the next tokens that lie beside the likeliest', async () => {
    await exported('beside', join(dir, 'teacher.onnx'), `topk:${VOCABULARY - 1}`)
    const frozen = { learningRate: 1e-20, optimizer: { name: 'sgd', momentum: 0 }, holdout: 0, method: 'dkd' } as const
    const [exact, some] = [await train(frozen), await train({ ...frozen, dataset: await load('beside') })]
    // all classes but one in the head: nothing is lost but the roundings
    expect(some.history[0]!.loss / exact.history[0]!.loss).toBeCloseTo(1, 3)
    await exported('few', join(dir, 'teacher.onnx'), 'topk:2')
    const options = { dataset: await load('few'), method: 'dkd', learningRate: 0.03, parameters: { warmup: 0 } }
    const { history } = await train({ ...options, epochs: 3 })
    expect(history.at(-1)!.loss).toBeLessThan(history[0]!.loss)
    await convertTargets(join(dir, 'targets'), { out: join(dir, 'without'), codec: 'topk:2' })
    await expect(train({ ...options, dataset: await load('without') })).rejects.toThrow(
      "method 'dkd' reads the teacher's logit of the label, which the targets do not hold beside codec topk:2: export again",
    )
  })

  it.each(['ls', 'rkl', 'dist', 'mlkd'])('%s learns from them', async (method) => {
    const { history } = await train({ method, epochs: 3, learningRate: 0.03 })
    expect(history.at(-1)!.loss).toBeLessThan(history[0]!.loss)
  })

  it('have a memory by position in ps-kd: at first the labels, then what the student said', async () => {
    const frozen = { learningRate: 1e-20, optimizer: { name: 'sgd', momentum: 0 }, holdout: 0, batch: ROWS } as const
    const { model, history } = await train({ ...frozen, method: 'ps-kd', epochs: 2, alpha: 0.8 })
    const logits = predict(model)
    const mean = (x: number[]) => x.reduce((a, b) => a + b) / x.length
    const logs = valid.map((at) => ({ log: logSoftmax(rowOf(logits, at)), label: labelAt(at) }))
    const hard = mean(logs.flatMap(({ log, label }) => (label < 0 ? [] : [-log[label]!])))
    const said = mean(logs.map(({ log }) => -log.reduce((sum, x) => sum + Math.exp(x) * x, 0)))
    const labelled = logs.filter(({ label }) => label >= 0).length / logs.length
    // At first what is remembered is the label, where there is one: at α = 0.8 the share of it is 0.4, then 0.8.
    expect(history[0]!.loss / (0.6 * hard + 0.4 * labelled * hard)).toBeCloseTo(1, 5)
    expect(history[1]!.loss / (0.2 * hard + 0.8 * said)).toBeCloseTo(1, 5)
  })

  it('are not for methods that compare rows of a class', async () => {
    await expect(train({ method: 'cs-kd' })).rejects.toThrow(
      "method 'cs-kd' compares rows of a class, and a row of the targets is a sequence",
    )
  })

  it('are not for students of one answer a row', async () => {
    await expect(train({ student: 'mlp:8' })).rejects.toThrow(
      /student 'mlp:8': learns from images or features, and the rows are tokens \[6\]/,
    )
  })
})
