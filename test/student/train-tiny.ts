import { fileURLToPath } from 'node:url'
import * as tf from '@tensorflow/tfjs-core'
import type { LayersModel } from '@tensorflow/tfjs-layers'
import * as ort from 'onnxruntime-node'
import { expect } from 'vitest'
import { useBackend } from '../../src/engine/eager.js'
import { random } from '../../src/random.js'
import type { Dataset } from '../../src/student/dataset.js'
import { widthOf } from '../../src/student/inputs.js'
import { type TrainDataOptions, trainOnDataset } from '../../src/student/train.js'
import { encodeTargets } from './methods/run-method.js'
import { CLASSES, type TinyStudent } from './tiny-students.js'

const ROWS = 8
const RATE = 0.1
export const EPOCHS = 3

const labels = Int32Array.from({ length: ROWS }, (_, i) => i % CLASSES)

/** Eight labelled rows of the student's input: one batch. Sequences end in padding, of which the last row has none. */
export function datasetOf({ input }: Pick<TinyStudent, 'input'>): Dataset {
  const { normal, below } = random('tiny', 'rows')
  const width = widthOf(input)
  const steps = input.shape[0]!
  const last = (row: number) => (row === ROWS - 1 ? steps : steps - (row % 3))
  const values =
    input.kind === 'tokens'
      ? Int32Array.from({ length: ROWS * width }, (_, i) =>
          i % steps < last(Math.floor(i / steps)) ? below(input.vocabulary!) : -1,
        )
      : Float32Array.from({ length: ROWS * width }, (_, i) => {
          const step = Math.floor((i % width) / (width / steps))
          return input.shape.length === 2 && step >= last(Math.floor(i / width)) ? 0 : normal()
        })
  const teacher = Array.from(labels, (label) => Array.from({ length: CLASSES }, (_, c) => (c === label ? 2 : 0)))
  return {
    ...{ rows: ROWS, classes: CLASSES, names: null, input, inputs: { values }, normalisation: null },
    targets: encodeTargets('f32', { teacher, labels: [...labels], keys: new Uint32Array(ROWS) }),
    ...{ positions: 1, lengths: null, labels, samples: Int32Array.from(labels.keys()), hashes: new Uint32Array(ROWS) },
    preprocess: { version: 1 },
    ...{ manifest: 'a'.repeat(64), teacher: 'b'.repeat(64), lineage: [] as never },
  }
}

/** What the model takes. */
function inputOf({ input, inputs: { values } }: Dataset): tf.Tensor {
  const shape = [ROWS, ...input.shape]
  if (input.kind === 'tokens')
    return tf.tensor(
      Int32Array.from(values, (id) => id + 1),
      shape,
      'int32',
    )
  return tf.tensor(values as Float32Array, shape)
}

export interface Trained {
  /** Of each epoch, before its step. */
  losses: number[]
  weights: Float32Array[]
  /** Of the rows, [ROWS, CLASSES], after training. */
  logits: Float32Array
}

const weightsOf = (model: LayersModel) => model.getWeights().map((weight) => weight.dataSync().slice() as Float32Array)

/** Trains by decant; with a folder, the logits are those of student.onnx. */
export async function trainTiny(
  student: TinyStudent,
  { engine, out, ...more }: Pick<TrainDataOptions, 'engine' | 'out'> & Partial<TrainDataOptions>,
): Promise<Trained> {
  const dataset = datasetOf(student)
  Object.assign(globalThis, { tinyStudent: student.make })
  const { model, history } = await trainOnDataset({
    ...{ dataset, engine, ...(out !== undefined && { out }), method: 'ce', epochs: EPOCHS, batch: ROWS, holdout: 0 },
    student: fileURLToPath(new URL('tiny-student.ts', import.meta.url)),
    ...{ optimizer: { name: 'sgd', momentum: 0 }, learningRate: RATE, schedule: { kind: 'constant', warmup: 0 } },
    ...more,
  })
  const logits = out === undefined ? predictTiny(model, dataset) : await runOnnx(`${out}/student.onnx`, dataset)
  const trained = { losses: history.map(({ loss }) => loss), weights: weightsOf(model), logits }
  model.dispose()
  return trained
}

export const predictTiny = (model: LayersModel, dataset: Dataset) =>
  tf.tidy(() => (model.predict(inputOf(dataset)) as tf.Tensor).dataSync().slice() as Float32Array)

async function runOnnx(path: string, { input, inputs: { values } }: Dataset): Promise<Float32Array> {
  const session = await ort.InferenceSession.create(path, { logSeverityLevel: 3 })
  const type = input.kind === 'tokens' ? 'int32' : 'float32'
  const given = new ort.Tensor(type as 'float32', values as Float32Array, [ROWS, ...input.shape])
  const { logits } = await session.run({ [session.inputNames[0]!]: given })
  await session.release()
  return logits!.data as Float32Array
}

/** Losses, weights and logits as float32 has them after a few steps. */
export function expectSame(found: Trained, expected: Trained): void {
  const apart = (a: ArrayLike<number>, b: ArrayLike<number>) => {
    const most = Math.max(1e-3, ...Array.from(b, Math.abs))
    return Math.max(...Array.from(a, (x, i) => Math.abs(x - b[i]!) / most))
  }
  expect(found.losses).toHaveLength(EPOCHS)
  expect(apart(found.losses, expected.losses)).toBeLessThan(1e-4)
  expect(apart(found.logits, expected.logits)).toBeLessThan(1e-3)
  for (const [i, weights] of found.weights.entries()) expect(apart(weights, expected.weights[i]!)).toBeLessThan(1e-3)
}

/**
 * Trains by tfjs's own model.fit, on its cpu backend: all rows are one batch, so that their order means nothing. model.fit leaves constraints
 * out; they are applied after each step, as tfjs applies them where weights are set.
 */
export async function fitTiny(student: TinyStudent): Promise<Trained> {
  await useBackend('cpu')
  const dataset = datasetOf(student)
  const model = student.make()
  const losses: number[] = []
  model.compile({
    optimizer: tf.train.sgd(RATE),
    loss: (hot, logits) => tf.neg(tf.mean(tf.sum(tf.mul(hot, tf.logSoftmax(logits)), -1))),
  })
  const [x, y] = [inputOf(dataset), tf.oneHot(tf.tensor1d(labels, 'int32'), CLASSES)]
  await model.fit(x, y, {
    ...{ epochs: EPOCHS, batchSize: ROWS, shuffle: false, verbose: 0 },
    callbacks: {
      onBatchEnd: async (_, logs) => {
        losses.push(logs!.loss as number)
        model.setWeights(model.getWeights().map((weight) => tf.clone(weight)))
      },
    },
  })
  const trained = { losses, weights: weightsOf(model), logits: predictTiny(model, dataset) }
  model.dispose()
  tf.dispose([x, y])
  return trained
}
