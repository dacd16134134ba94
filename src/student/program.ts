import * as tf from '@tensorflow/tfjs-core'
import type { LayersModel } from '@tensorflow/tfjs-layers'
import type { InputSpec, Step } from '../engine/engine.js'
import { withLayerRandom } from '../engine/layer-random.js'
import { randomSource } from '../engine/random.js'
import { DecantError } from '../errors.js'
import type { StudentConfig } from './config.js'
import type { Dataset } from './dataset.js'
import { decodeTargets } from './decode-targets.js'
import { createForward, type Taps } from './forward.js'
import { type Domain, inputNames, inputSpec, prepareInput } from './inputs.js'
import type { Attachment, Method } from './method.js'
import { type Average, clipGradients, type Optimizer } from './optimizer.js'
import { constrain, penaltiesOf } from './regularize.js'
import { type TeacherTargets, targetInputs } from './targets.js'

/** The tf.Variables of a model's weights, in the model's order. */
export const variablesOf = (weights: LayersModel['weights']): tf.Variable[] =>
  weights.map((weight) => (weight as unknown as { val: tf.Variable }).val)

/**
 * Inputs of a training step: B rows, those that pad the last batch with weight 0, what the teacher said of them where the method looks
 * at it, and what changes from step to step. Targets, labels and weights of sequences are of B·L rows: one for each position.
 */
export function trainInputs(
  batch: number,
  { input, positions, classes, targets }: Pick<Dataset, 'input' | 'positions' | 'classes' | 'targets'>,
  { needs }: Pick<Method, 'needs'>,
): Record<string, InputSpec> {
  const scalar: InputSpec = { shape: [], dtype: 'float32' }
  return {
    [inputNames[input.kind]]: inputSpec(input, batch),
    ...(needs.partner && { partner: inputSpec(input, batch) }),
    ...(needs.past && { past: { shape: [batch * positions, classes], dtype: 'float32' } satisfies InputSpec }),
    ...(needs.teacher && targetInputs(batch, targets)),
    labels: { shape: [batch * positions], dtype: 'int32' },
    weights: { shape: [batch * positions], dtype: 'float32' },
    learningRate: scalar,
    temperature: scalar,
    alpha: scalar,
    step: scalar,
    epoch: scalar,
  }
}

/** What a step's loss is made from. */
export interface LossOptions {
  model: LayersModel
  method: Method
  /** What the method has beside the student, and where it looks into it. */
  attached?: Attachment
  taps?: Taps
  dataset: Domain & Pick<Dataset, 'targets'>
  /** The epochs of the whole training, and the method's own parameters. */
  config: Pick<StudentConfig, 'epochs' | 'parameters'>
  /** What dropout and noise are drawn from, with the step's number. */
  seed: number
}

/** One step of training, forward, backward and update, as a function of (state, batch): { loss: [] }, and `past` [B, C] where it remembers. */
export function trainStep(
  options: LossOptions & {
    optimizer: Optimizer
    /** Follows the weights, where there is one. */
    average?: Average
    /** With the gradients' largest norm. */
    config: Pick<StudentConfig, 'clip'>
  },
): Step {
  const { model, attached, optimizer, average, config } = options
  const differentiate = createLoss(options)
  return (inputs) => {
    const { loss, grads, past } = differentiate(inputs)
    optimizer.apply(config.clip === null ? grads : clipGradients(grads, config.clip), inputs.learningRate as tf.Scalar)
    for (const { trainableWeights } of [model, ...(attached?.branches ?? [])]) constrain(trainableWeights)
    average?.update()
    if (!past) return { loss }
    const outputs = { loss, past: tf.clone(past) }
    past.dispose()
    return outputs
  }
}

/**
 * The loss of a step with what regularizers add to it, [], and its gradients by the name of a variable, as a function of the step's inputs; `past` [B, C], which
 * is kept, where the method remembers.
 */
export function createLoss(options: LossOptions) {
  const { model, method, attached = { branches: [], memory: [] }, taps, dataset, config } = options
  const models = [model, ...attached.branches]
  const variables = trainedVariables(model, attached)
  const forward = createForward(model, taps)
  const name = inputNames[dataset.input.kind]
  return (inputs: Record<string, tf.Tensor>) => {
    const { partner, labels, weights, temperature, alpha, step, epoch, past } = inputs
    const draw = randomSource(options.seed, step!)
    let said: tf.Tensor | undefined
    const loss = () => {
      const input = prepareInput(inputs[name]!, dataset)
      // On what it is run is the method's choice: not on the rows as they are where the method does not look at that.
      const student = once(() => forward(input))
      return checkLoss(
        method,
        method.loss({
          get studentLogits() {
            return student().logits
          },
          get student() {
            return student()
          },
          input,
          run: forward,
          random: draw,
          partner: () => forward(prepareInput(partner!, dataset)),
          teacher: method.needs.teacher ? decodeTargets(dataset.targets, inputs) : nothing,
          labels: labels as tf.Tensor1D,
          weights: weights as tf.Tensor1D,
          past: past as tf.Tensor2D,
          remember(values) {
            if (!method.needs.past)
              throw new DecantError('the method remembers, and its `needs.past` does not say that it does')
            said = tf.keep(tf.clone(values)) // beyond what is tidied up of the loss
          },
          temperature: temperature as tf.Scalar,
          alpha: alpha as tf.Scalar,
          step: step as tf.Scalar,
          epoch: epoch as tf.Scalar,
          epochs: config.epochs,
          parameters: config.parameters,
          attached,
        }),
      )
    }
    const regularized = () =>
      models.flatMap(penaltiesOf).reduce<tf.Scalar>((sum, penalty) => tf.add(sum, penalty), loss())
    const { value, grads } = tf.variableGrads(() => withLayerRandom(draw, regularized), variables)
    return { loss: value, grads, past: said }
  }
}

/** What the optimizer moves: the model's trainable variables, then those of the method's branches. */
export const trainedVariables = (model: LayersModel, { branches }: Pick<Attachment, 'branches'>): tf.Variable[] =>
  [model, ...branches].flatMap(({ trainableWeights }) => variablesOf(trainableWeights))

/** @throws DecantError where a method's loss is no number */
function checkLoss({ name }: Method, loss: tf.Scalar): tf.Scalar {
  const { dtype, shape } = (loss ?? {}) as Partial<tf.Tensor>
  if (dtype === 'float32' && shape?.length === 0) return loss
  const found = shape ? `${dtype} [${shape}]` : typeof loss
  throw new DecantError(`method ${name}: its loss: expected a float32 number, a tensor of shape [], found ${found}`)
}

function once<T>(make: () => T): () => T {
  let made: { value: T } | undefined
  return () => {
    made ??= { value: make() }
    return made.value
  }
}

/** For a method that says that it does not look at the teacher. */
const nothing: TeacherTargets = {
  kind: 'bucketed',
  logits: refuse,
  logProbs: refuse,
  logTop: refuse,
  deviation: refuse,
  decouple: refuse,
  drawn: refuse,
}

function refuse(): never {
  throw new DecantError("the method reads the teacher's targets, and its `needs.teacher` says that it does not")
}

/** The student's raw logits, [B, classes] or [B, L, classes], for a batch of the dataset's inputs. */
export function predictStep(model: LayersModel, domain: Domain): Step {
  const name = inputNames[domain.input.kind]
  return (inputs) => ({ logits: model.apply(prepareInput(inputs[name]!, domain), { training: false }) as tf.Tensor })
}
