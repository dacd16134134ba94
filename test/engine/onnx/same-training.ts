import '@tensorflow/tfjs-backend-cpu'
import * as tf from '@tensorflow/tfjs-core'
import { input, type LayersModel, layers, model, type SymbolicTensor, sequential } from '@tensorflow/tfjs-layers'
import { expect } from 'vitest'
import type { Engine } from '../../../src/engine/engine.js'
import { random } from '../../../src/random.js'

const classes = 4
const batch = 16 // divides into blocks

export const students: Record<string, () => LayersModel> = {
  mlp: () =>
    sequential({
      layers: [
        layers.flatten({ inputShape: [6, 6, 1] }),
        layers.dense({ units: 16, activation: 'relu' }),
        layers.dense({ units: classes }),
      ],
    }),
  cnn: () =>
    sequential({
      layers: [
        layers.conv2d({ inputShape: [6, 6, 1], filters: 4, kernelSize: 3, padding: 'same', activation: 'relu' }),
        layers.maxPooling2d({ poolSize: 2 }),
        layers.conv2d({ filters: 6, kernelSize: 3, padding: 'same', activation: 'relu' }),
        layers.flatten(),
        layers.dense({ units: classes }),
      ],
    }),
}

/** Batch normalisation, strides and a sum, with channels that divide into blocks. */
students.residual = () => {
  const x = input({ shape: [6, 6, 1] })
  const conv = (filters: number, strides = 1) =>
    layers.conv2d({ filters, kernelSize: 3, strides, padding: 'same', useBias: false })
  const normalise = () => layers.batchNormalization({ momentum: 0.9 })
  const a = layers.reLU().apply(normalise().apply(conv(16).apply(x)))
  const b = layers.reLU().apply(normalise().apply(conv(16).apply(a)))
  const sum = layers.reLU().apply(layers.add().apply([a, normalise().apply(conv(16).apply(b))] as SymbolicTensor[]))
  const pooled = layers.globalAveragePooling2d({}).apply(normalise().apply(conv(32, 2).apply(sum)))
  return model({ inputs: x, outputs: layers.dense({ units: classes }).apply(pooled) as SymbolicTensor })
}

type Update = (variable: tf.Variable, gradient: tf.Tensor, lr: tf.Tensor) => void
export const optimizers: Record<string, () => Update> = {
  momentum: () => {
    const velocities = new Map<tf.Variable, tf.Variable>()
    return (variable, gradient, lr) => {
      const known = velocities.get(variable) ?? tf.variable(tf.zerosLike(variable))
      velocities.set(variable, known)
      known.assign(tf.add(tf.mul(known, 0.9), gradient))
      variable.assign(tf.sub(variable, tf.mul(known, lr)))
    }
  },
  adam: () => {
    const slots = new Map<tf.Variable, { m: tf.Variable; v: tf.Variable }>()
    return (variable, gradient, lr) => {
      const known = slots.get(variable) ?? {
        m: tf.variable(tf.zerosLike(variable)),
        v: tf.variable(tf.zerosLike(variable)),
      }
      slots.set(variable, known)
      known.m.assign(tf.add(tf.mul(known.m, 0.9), tf.mul(gradient, 0.1)))
      known.v.assign(tf.add(tf.mul(known.v, 0.999), tf.mul(tf.square(gradient), 0.001)))
      variable.assign(tf.sub(variable, tf.mul(lr, tf.div(known.m, tf.add(tf.sqrt(known.v), 1e-7)))))
    }
  },
}

/** Hinton's distillation loss, and the gradient step. */
function makeStep(net: LayersModel, update: Update) {
  const variables = net.trainableWeights.map((weight) => (weight as unknown as { val: tf.Variable }).val)
  return ({ x, z, lr, temperature }: Record<string, tf.Tensor>) => {
    const { value, grads } = tf.variableGrads(() => {
      const logits = net.apply(tf.div(tf.cast(x!, 'float32'), 255), { training: true }) as tf.Tensor
      const soft = tf.softmax(tf.div(z!, temperature!))
      const log = tf.logSoftmax(tf.div(logits, temperature!))
      return tf.neg(tf.mean(tf.sum(tf.mul(soft, log), -1))) as tf.Scalar
    }, variables)
    for (const variable of variables) update(variable, grads[variable.name]!, lr!)
    return { loss: value }
  }
}

function batches(count: number) {
  const { below, normal } = random('batches')
  return Array.from({ length: count }, (_, i) => ({
    x: Uint8Array.from({ length: batch * 36 }, () => below(256)),
    z: Float32Array.from({ length: batch * classes }, normal),
    lr: Float32Array.of(0.01 * (1 - i / (2 * count))),
    temperature: Float32Array.of(4),
  }))
}

const inputs = {
  x: { shape: [batch, 6, 6, 1], dtype: 'uint8' },
  z: { shape: [batch, classes], dtype: 'float32' },
  lr: { shape: [], dtype: 'float32' },
  temperature: { shape: [], dtype: 'float32' },
} as const satisfies Record<string, { shape: readonly number[]; dtype: string }>
const specs = Object.fromEntries(
  Object.entries(inputs).map(([name, { shape, dtype }]) => [name, { shape: [...shape], dtype }]),
)

/** The same steps by tfjs on its cpu backend. */
function reference(step: ReturnType<typeof makeStep>, steps: ReturnType<typeof batches>): number[] {
  return steps.map(({ x, z, lr, temperature }) =>
    tf.tidy(
      () =>
        step({
          x: tf.tensor(x, inputs.x.shape as never, 'int32'),
          z: tf.tensor(z, inputs.z.shape as never),
          lr: tf.scalar(lr[0]!),
          temperature: tf.scalar(temperature[0]!),
        }).loss.dataSync()[0]!,
    ),
  )
}

/** Relative to the largest element: 50 steps apart in rounding. */
function expectClose(found: tf.Tensor, expected: tf.Tensor) {
  const largest = tf.max(tf.abs(expected)).dataSync()[0]!
  expect(tf.max(tf.abs(tf.sub(found, expected))).dataSync()[0]!).toBeLessThan(1e-3 * largest)
}

/**
 * Trains by tfjs on its cpu backend, and by the engine from the same weights: losses must agree to `tolerance`, and `weights` where
 * rounding has not been amplified (Adam divides a gradient that is all rounding by its own size).
 */
export async function expectSameTraining(
  engine: Engine,
  options: { student: string; optimizer: string; steps: number; weights: boolean; tolerance?: number },
): Promise<void> {
  const net = students[options.student]!()
  const optimizer = optimizers[options.optimizer]!
  const weights = net.getWeights().map((weight) => tf.clone(weight))
  const steps = batches(options.steps)
  const expected = reference(makeStep(net, optimizer()), steps)
  const trained = net.getWeights().map((weight) => tf.clone(weight))

  net.setWeights(weights)
  const program = await engine.compile(makeStep(net, optimizer()), { inputs: specs })
  const losses: number[] = []
  for (const step of steps) losses.push((await program.run(step)).loss![0]!)
  await program.dispose()

  const { tolerance = 1e-4 } = options
  expect(Math.abs(losses[0]! - expected[0]!)).toBeLessThan(0.01 * tolerance * expected[0]!)
  for (const [i, loss] of losses.entries()) expect(Math.abs(loss - expected[i]!)).toBeLessThan(tolerance * expected[i]!)
  if (!options.weights) return
  await engine.sync()
  for (const [i, weight] of net.getWeights().entries()) expectClose(weight, trained[i]!)
}
