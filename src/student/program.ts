import * as tf from '@tensorflow/tfjs-core'
import type { LayersModel } from '@tensorflow/tfjs-layers'
import type { InputSpec, Step } from '../engine/engine.js'
import { withLayerRandom } from '../engine/layer-random.js'
import { randomSource } from '../engine/random.js'
import type { Dataset } from './dataset.js'
import type { Method } from './method.js'
import type { Optimizer } from './optimizer.js'

/** The parts of a dataset that a step's shapes and constants come from. */
export type Domain = Pick<Dataset, 'shape' | 'classes' | 'multiply' | 'add'>

/** The tf.Variables of a model's weights, in the model's order. */
export const variablesOf = (weights: LayersModel['weights']): tf.Variable[] =>
  weights.map((weight) => (weight as unknown as { val: tf.Variable }).val)

/** Inputs of a training step: B rows, those that pad the last batch with weight 0, and what changes from step to step. */
export function trainInputs(batch: number, { shape, classes }: Domain): Record<string, InputSpec> {
  const scalar: InputSpec = { shape: [], dtype: 'float32' }
  return {
    pixels: { shape: [batch, ...shape], dtype: 'uint8' },
    logits: { shape: [batch, classes], dtype: 'float32' },
    labels: { shape: [batch], dtype: 'int32' },
    weights: { shape: [batch], dtype: 'float32' },
    learningRate: scalar,
    temperature: scalar,
    alpha: scalar,
    step: scalar,
  }
}

/** One step of training, forward, backward and update, as a function of (state, batch): { loss: [] }. */
export function trainStep(options: {
  model: LayersModel
  method: Method
  optimizer: Optimizer
  domain: Domain
  /** What dropout and noise are drawn from, with the step's number. */
  seed: number
}): Step {
  const { model, method, optimizer, domain, seed } = options
  const variables = variablesOf(model.trainableWeights)
  const predict = (pixels: tf.Tensor, step: tf.Tensor) =>
    withLayerRandom(randomSource(seed, step), () => model.apply(normalise(pixels, domain), { training: true }))
  return ({ pixels, logits, labels, weights, learningRate, temperature, alpha, step }) => {
    const { value, grads } = tf.variableGrads(
      () =>
        method.loss({
          studentLogits: predict(pixels!, step!) as tf.Tensor2D,
          teacherLogits: logits as tf.Tensor2D,
          labels: labels as tf.Tensor1D,
          weights: weights as tf.Tensor1D,
          temperature: temperature as tf.Scalar,
          alpha: alpha as tf.Scalar,
          step: step as tf.Scalar,
        }),
      variables,
    )
    optimizer.apply(grads, learningRate as tf.Scalar)
    return { loss: value }
  }
}

/** The student's raw logits [B, classes] for pixels [B, H, W, C]. */
export function predictStep(model: LayersModel, domain: Domain): Step {
  return ({ pixels }) => ({ logits: model.apply(normalise(pixels!, domain), { training: false }) as tf.Tensor })
}

/** (x·scale - mean)/std of pixels int32 [B, H, W, C], float32. */
export function normalise(pixels: tf.Tensor, { multiply, add }: Domain): tf.Tensor {
  return tf.add(tf.mul(tf.cast(pixels, 'float32'), tf.tensor1d(multiply)), tf.tensor1d(add))
}
