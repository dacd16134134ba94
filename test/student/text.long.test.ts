import * as tf from '@tensorflow/tfjs-core'
import { beforeAll, describe, expect, it } from 'vitest'
import { type Engine, openEngine } from '../../src/engine/engine.js'
import { random } from '../../src/random.js'
import type { Dataset } from '../../src/student/dataset.js'
import { loadStudent } from '../../src/student/save.js'
import { buildStudent } from '../../src/student/student.js'
import { emptyTargets } from '../../src/student/targets.js'
import { trainOnDataset } from '../../src/student/train.js'
import { TokenMean } from '../../src/student/zoo/text-layers.js'
import { makeExample, temporaryFolder } from './fixtures.js'

const [ROWS, LENGTH, VOCABULARY] = [60, 8, 9]
const input = { kind: 'tokens', shape: [LENGTH], vocabulary: VOCABULARY } as const

/** Sequences of 3 to 8 tokens. By row: class 1 where the token 4 is among them. By position: the token before the last one plus 1. */
async function makeDataset(positions: number): Promise<Dataset> {
  const { dataset } = await makeExample(ROWS)
  const { below } = random('text', 1)
  const lengths = Int32Array.from({ length: ROWS }, () => 3 + below(LENGTH - 2))
  const values = Int32Array.from({ length: ROWS * LENGTH }, (_, i) =>
    i % LENGTH < lengths[Math.floor(i / LENGTH)]! ? below(VOCABULARY) : -1,
  )
  const rowOf = (row: number) => values.subarray(row * LENGTH, (row + 1) * LENGTH)
  const [classes, rows] = positions > 1 ? [VOCABULARY, ROWS * LENGTH] : [2, ROWS]
  const labels = Int32Array.from({ length: rows }, (_, i) => {
    if (positions === 1) return rowOf(i).includes(4) ? 1 : 0
    const before = i % LENGTH === 0 ? 0 : values[i - 1]!
    return values[i]! < 0 ? -1 : (before + 1) % VOCABULARY
  })
  const targets = emptyTargets({ codec: 'f32', classes, rows: ROWS, ...(positions > 1 && { positions }) })
  for (const [i, label] of labels.entries()) if (label >= 0) targets.columns[0]!.values[i * classes + label] = 6
  return {
    ...dataset,
    ...{ classes, names: null, input: { ...input, shape: [LENGTH] }, inputs: { values }, normalisation: null },
    ...{ targets, labels, positions, ...(positions > 1 && { lengths }) },
  }
}

let onnx: Engine
beforeAll(async () => {
  onnx = await openEngine('onnx', { threads: 1 })
})

const predict = (model: Awaited<ReturnType<typeof buildStudent>>, rows: number[][]) =>
  (model.predict(tf.tensor2d(rows, undefined, 'int32')) as tf.Tensor).arraySync() as number[][][]

describe.each(['bag:6', 'transformer:8,2'])('%s', (student) => {
  it.each([
    ['by row', 1],
    ['by position', LENGTH],
  ])('learns %s, with the losses of the eager engine, and can be saved', async (_, positions) => {
    const dataset = await makeDataset(positions)
    const out = await temporaryFolder()
    const schedule = { kind: 'constant', warmup: 0 } as const
    const options = { dataset, student, batch: 16, learningRate: 0.05, schedule, holdout: 0, alpha: 0.5 }
    const found = await trainOnDataset({ ...options, epochs: 25, engine: onnx, out })
    const expected = await trainOnDataset({ ...options, epochs: 2, engine: await openEngine('eager') })
    expected.history.forEach(({ loss }, i) => {
      expect(Math.abs(found.history[i]!.loss / loss - 1)).toBeLessThan(1e-4)
    })
    expect(found.history.at(-1)!.loss).toBeLessThan(0.9 * found.history[0]!.loss)
    const rows = [[1, 5, 3, 2, 0, 0, 0, 0]]
    expect(predict(await loadStudent(out), rows)).toEqual(predict(found.model, rows))
  })

  it('does not see padding, and by position nothing that comes later', async () => {
    const build = (positions: number) =>
      buildStudent(student, { input: { ...input, shape: [LENGTH] }, positions, classes: 3, seed: 1 })
    const whole = await build(1)
    const [short] = predict(whole, [[2, 3, 0, 0, 0, 0, 0, 0]])
    const [apart] = predict(whole, [[2, 3, 4, 0, 0, 0, 0, 0]])
    expect(apart).not.toEqual(short)
    const causal = await build(LENGTH)
    const [first, second] = predict(causal, [
      [2, 3, 4, 5, 0, 0, 0, 0],
      [2, 3, 4, 6, 7, 8, 0, 0],
    ])
    first!.slice(0, 3).forEach((logits, i) => {
      for (const [c, z] of logits.entries()) expect(second![i]![c]!).toBeCloseTo(z, 5)
    })
    expect(first![3]).not.toEqual(second![3])
  })
})

it('bag is the mean of the embeddings of its tokens, before a dense layer', async () => {
  const model = await buildStudent('bag:4', { input: { ...input, shape: [LENGTH] }, positions: 1, classes: 3, seed: 1 })
  const [table, kernel] = model.getWeights().map((weight) => weight.arraySync() as number[][])
  const expected = kernel![0]!.map(
    (_, c) =>
      [2, 3, 2].reduce((sum, token) => sum + table![token]!.reduce((s, x, d) => s + x * kernel![d]![c]!, 0), 0) / 3,
  )
  const [found] = predict(model, [[2, 3, 2, 0, 0, 0, 0, 0]]) as unknown as number[][]
  for (const [c, z] of expected.entries()) expect(found![c]!).toBeCloseTo(z, 6)
})

it('transformer takes a multiple of its heads', async () => {
  const options = { input: { ...input, shape: [LENGTH] }, positions: 1, classes: 3, seed: 1 }
  await expect(buildStudent('transformer:6,1', options)).rejects.toThrow('expected a multiple of 4')
})

it('the mean of the tokens up to each position passes on 1/(i + 1) of the gradient at position i to every one of them', () => {
  const [L, D] = [3, 2]
  const at = Float32Array.from({ length: L * D }, (_, i) => i + 1)
  const weights = tf.tensor3d(at, [1, L, D])
  const tokens = tf.tensor2d([1, 2, 3], [1, L], 'int32')
  const layer = new TokenMean({ causal: true })
  const gradient = tf.grad((x) => tf.sum(tf.mul(layer.apply([x, tokens]) as tf.Tensor, weights)))
  const expected = Array.from({ length: L * D }, (_, k) => {
    const [j, d] = [Math.floor(k / D), k % D]
    return Array.from({ length: L }, (_, i) => (i >= j ? at[i * D + d]! / (i + 1) : 0)).reduce((a, b) => a + b)
  })
  const found = [...gradient(tf.zeros([1, L, D])).dataSync()]
  for (const [k, value] of expected.entries()) expect(found[k]).toBeCloseTo(value, 5)
})
