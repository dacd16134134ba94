import * as tf from '@tensorflow/tfjs-core'
import { DecantError } from '../errors.js'

/**
 * What an optimizer is made from. Defaults: momentum 0.9, beta1 0.9, beta2 0.999, epsilon 1e-8, weightDecay 0 of sgd and 0.01 of adamw.
 * Weight decay is coupled in sgd, as the papers of image classifiers have it (part of the gradient), and decoupled in adamw. Kernels
 * decay; biases and the scales of normalisation do not.
 */
export type OptimizerConfig =
  | { name: 'sgd'; momentum?: number; nesterov?: boolean; weightDecay?: number }
  | { name: 'adam'; beta1?: number; beta2?: number; epsilon?: number }
  | { name: 'adamw'; beta1?: number; beta2?: number; epsilon?: number; weightDecay?: number }

/**
 * An update as tfjs code. The learning rate is a tensor, because it changes from step to step and a traced program
 * would hold a number for ever (tfjs's own optimizers take a number, and AdamW is not among them).
 */
export interface Optimizer {
  /** In a fixed order, all zero at first. */
  state: tf.Variable[]
  /** Moves the variables against their gradients (by name, as `tf.variableGrads` gives them); learningRate is float32 []. */
  apply(gradients: tf.NamedTensorMap, learningRate: tf.Scalar): void
  dispose(): void
}

export function createOptimizer(config: OptimizerConfig, variables: tf.Variable[]): Optimizer {
  switch (config.name) {
    case 'sgd':
      return sgd(config, variables)
    case 'adam':
      return adam({ ...config, weightDecay: 0 }, variables)
    case 'adamw':
      return adam({ weightDecay: 0.01, ...config }, variables)
    default:
      throw new DecantError(`optimizer '${(config as { name: string }).name}': expected sgd, adam or adamw`)
  }
}

/** b ← μb + g; w ← w - η·b, or with Nesterov's w - η(g + μb) (Sutskever et al. 2013, in the form of torch.optim.SGD); g has λw in it. */
function sgd(
  config: { momentum?: number; nesterov?: boolean; weightDecay?: number },
  variables: tf.Variable[],
): Optimizer {
  const { momentum = 0.9, nesterov = false, weightDecay = 0 } = config
  const buffers = momentum === 0 ? [] : variables.map(zeros)
  return {
    state: buffers,
    apply(gradients, learningRate) {
      variables.forEach((variable, i) => {
        let update = gradients[variable.name]
        if (!update) return
        if (weightDecay > 0 && isKernel(variable)) update = tf.add(update, tf.mul(variable, weightDecay))
        const buffer = buffers[i]
        if (buffer) {
          buffer.assign(tf.add(tf.mul(buffer, momentum), update))
          update = nesterov ? tf.add(update, tf.mul(buffer, momentum)) : buffer
        }
        variable.assign(tf.sub(variable, tf.mul(update, learningRate)))
      })
    },
    dispose: () => tf.dispose(buffers),
  }
}

/**
 * Adam (Kingma and Ba 2015, algorithm 1) and AdamW (Loshchilov and Hutter 2019, algorithm 2), with as few passes over the weights as
 * they can be written in. The averages are kept as sums, M ← β₁M + g and V ← β₂V + g², and so are those of ones that their bias
 * corrections are, C ← βC + 1. From m̂ = M/C₁ and v̂ = V/C₂ comes η·m̂/(√v̂ + ε) = (η√C₂/C₁)·M/(√V + ε√C₂), where all that is in
 * brackets but √V is one number. The sums of ones lose no digits where 1 - βᵗ in float32 would lose four.
 */
function adam(
  config: { beta1?: number; beta2?: number; epsilon?: number; weightDecay: number },
  variables: tf.Variable[],
): Optimizer {
  const { beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weightDecay } = config
  const first = variables.map(zeros)
  const second = variables.map(zeros)
  const corrections = [zero(), zero()] as const
  const addTo = (sum: tf.Variable, beta: number, value: tf.Tensor | number) =>
    sum.assign(tf.add(tf.mul(sum, beta), value))
  return {
    state: [...first, ...second, ...corrections],
    apply(gradients, learningRate) {
      const [c1, c2] = corrections
      addTo(c1, beta1, 1)
      addTo(c2, beta2, 1)
      const scale = tf.sqrt(c2)
      const rate = tf.div(tf.mul(learningRate, scale), c1)
      const least = tf.mul(scale, epsilon)
      variables.forEach((variable, i) => {
        const gradient = gradients[variable.name]
        if (!gradient) return
        const [m, v] = [first[i]!, second[i]!]
        addTo(m, beta1, gradient)
        addTo(v, beta2, tf.square(gradient))
        const update = tf.mul(tf.div(m, tf.add(tf.sqrt(v), least)), rate)
        const decays = weightDecay > 0 && isKernel(variable)
        const kept = decays ? tf.mul(variable, tf.sub(1, tf.mul(learningRate, weightDecay))) : variable
        variable.assign(tf.sub(kept, update))
      })
    },
    dispose: () => tf.dispose([...first, ...second, ...corrections]),
  }
}

const isKernel = (variable: tf.Variable) => variable.rank > 1
const zeros = (variable: tf.Variable) => tf.tidy(() => tf.variable(tf.zerosLike(variable), false))
const zero = () => tf.tidy(() => tf.variable(tf.scalar(0), false))

/**
 * The gradients, scaled down where their norm, taken over all of them, is above `most` (Pascanu et al. 2013, algorithm 1). As in PyTorch,
 * 1e-6 is added to the norm.
 */
export function clipGradients(gradients: tf.NamedTensorMap, most: number): tf.NamedTensorMap {
  const squares = Object.values(gradients).map((gradient) => tf.sum(tf.square(gradient)))
  const scale = tf.minimum(tf.div(most, tf.add(tf.sqrt(tf.addN(squares)), 1e-6)), 1)
  return Object.fromEntries(Object.entries(gradients).map(([name, gradient]) => [name, tf.mul(gradient, scale)]))
}

/** An exponential moving average of variables: a ← d·a + (1-d)·w after every step, from the first weights on. */
export interface Average {
  state: tf.Variable[]
  update(): void
  dispose(): void
}

export function createAverage(variables: tf.Variable[], decay: number): Average {
  const state = variables.map((variable) => tf.tidy(() => tf.variable(variable.clone(), false)))
  return {
    state,
    update() {
      state.forEach((average, i) => {
        average.assign(tf.add(tf.mul(average, decay), tf.mul(variables[i]!, 1 - decay)))
      })
    },
    dispose: () => tf.dispose(state),
  }
}
