import * as tf from '@tensorflow/tfjs-core'
import { expect } from 'vitest'
import { eagerProgram } from '../../src/engine/eager.js'
import type { Engine, Inputs } from '../../src/engine/engine.js'
import { random } from '../../src/random.js'
import type { StudentInput } from '../../src/student/inputs.js'
import type { Method } from '../../src/student/method.js'
import { kd } from '../../src/student/methods/kd.js'
import { createOptimizer, type OptimizerConfig } from '../../src/student/optimizer.js'
import { trainInputs, trainStep, variablesOf } from '../../src/student/program.js'
import { buildStudent } from '../../src/student/student.js'
import type { StoredTargets } from '../../src/student/targets.js'

export const batch = 16 // divides into blocks
const [side, classes] = [8, 4]
const targets: StoredTargets = {
  codec: 'f32',
  classes,
  columns: [{ name: 'logits', dtype: 'float32', width: classes, values: new Float32Array(0) }],
}
export const domain = {
  targets,
  positions: 1,
  input: { kind: 'image', shape: [side, side, 1] } as StudentInput,
  classes,
  normalisation: { multiply: Float32Array.of(1 / 100), add: Float32Array.of(-1.2) },
}

export const optimizers: [OptimizerConfig, rate: number][] = [
  [{ name: 'sgd' }, 0.01],
  [{ name: 'adam' }, 0.003],
  [{ name: 'adamw' }, 0.003],
]

/** Steps of noise, one after another, the learning rate falling; every fifth row has no label where `unlabelled`, and every seventh no weight. */
export function makeInputs(steps: number, { whole = false } = {}): Inputs {
  const { below, normal } = random('parity', steps)
  const rows = steps * batch
  return {
    pixels: Uint8Array.from({ length: rows * side * side }, () => below(256)),
    'teacher.logits': Float32Array.from({ length: rows * classes }, () => 3 * normal()),
    labels: Int32Array.from({ length: rows }, (_, i) => (!whole && i % 5 === 0 ? -1 : below(classes))),
    weights: Float32Array.from({ length: rows }, (_, i) => (!whole && i % 7 === 0 ? 0 : 1)),
    learningRate: Float32Array.from({ length: steps }, (_, i) => 1 - i / (2 * steps)),
    temperature: new Float32Array(steps).fill(4),
    alpha: new Float32Array(steps).fill(0.7),
    step: Float32Array.from({ length: steps }, (_, i) => i),
    epoch: new Float32Array(steps),
  }
}

export async function makeStep(
  student: string,
  optimizer: OptimizerConfig,
  method: Method = kd,
  dataset: typeof domain = domain,
) {
  const model = await buildStudent(student, { input: domain.input, positions: 1, classes, seed: 1 })
  const state = createOptimizer(optimizer, variablesOf(model.trainableWeights))
  const { temperature: _, alpha: __, ...parameters } = method.parameters
  const config = { epochs: 1, parameters, clip: null }
  const step = trainStep({ model, optimizer: state, method, dataset, config, seed: 1 })
  return { model, step }
}

const inputsOf = (dataset: typeof domain) => trainInputs(batch, dataset, kd)

/** The losses of a student's first steps on an engine, in one call. */
export async function lossesOn(
  engine: Engine,
  options: { student: string; optimizer: OptimizerConfig; given: Inputs; method?: Method; dataset?: typeof domain },
): Promise<Float32Array> {
  const { step } = await makeStep(options.student, options.optimizer, options.method, options.dataset)
  const inputs = inputsOf(options.dataset ?? domain)
  const program = await engine.compile(step, { inputs, stacked: true })
  const { loss } = await program.run(options.given)
  await program.dispose()
  return loss!
}

/** Relative; the first one is of the same weights. */
export function expectSameLosses(found: Float32Array, expected: ArrayLike<number>): void {
  const apart = Array.from(found, (loss, i) => Math.abs(loss / expected[i]! - 1))
  expect(found).toHaveLength(expected.length)
  expect(apart[0]).toBeLessThan(1e-6)
  expect(Math.max(...apart)).toBeLessThan(1e-4)
}

/** Steps, traced, and by tfjs on its cpu backend. */
export async function expectParity(
  engine: Engine,
  {
    student,
    optimizer,
    rate,
    steps = 50,
  }: { student: string; optimizer: OptimizerConfig; rate: number; steps?: number },
): Promise<void> {
  const given = makeInputs(steps)
  given.learningRate = (given.learningRate as Float32Array).map((share) => share * rate)
  const { step } = await makeStep(student, optimizer)
  const expected = await eagerProgram(step, { inputs: inputsOf(domain), stacked: true, backend: 'cpu' }).run(given)
  expectSameLosses(await lossesOn(engine, { student, optimizer, given }), expected.loss!)
  tf.disposeVariables()
}

/** Python: `job` from stdin, and `model`, an mlp with the weights of ours. */
export const torchMlp = `
import json, sys, torch, torch.nn as nn, torch.nn.functional as F
job = json.load(sys.stdin)
weights = [torch.tensor(w["values"], dtype=torch.float32).reshape(w["shape"]) for w in job["weights"]]
layers = []
for kernel, bias in zip(weights[::2], weights[1::2]):
    layer = nn.Linear(*kernel.shape)
    layer.weight.data, layer.bias.data = kernel.T.contiguous(), bias
    layers += [layer, nn.ReLU()]
model = nn.Sequential(*layers[:-1])
`
