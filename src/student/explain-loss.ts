import * as tf from '@tensorflow/tfjs-core'
import type { Engine, InputSpec, Inputs } from '../engine/engine.js'
import { attach } from './attach.js'
import type { Batches } from './batches.js'
import type { StudentConfig } from './config.js'
import type { Dataset } from './dataset.js'
import { inputNames, prepareInput } from './inputs.js'
import type { Method } from './method.js'
import { createLoss, trainInputs } from './program.js'
import { penaltiesOf } from './regularize.js'
import { buildStudent } from './student.js'
import { assignVariables, readVariables } from './tensors.js'

interface Options {
  config: StudentConfig
  method: Method
  dataset: Dataset
  engine: Engine
  batches: Batches
  /** Whose loss is no number. */
  step: number
}

/** What a student with its first weights makes of some rows. */
interface Measured {
  loss: number
  /** Σ |gradient| */
  gradient: number
  /** Σ |logits| */
  logits: number
  /** What regularizers add to the loss. */
  penalty: number
}

/** Rows that are named. */
const NAMED = 3

/**
 * Why a loss is no number, to be said behind it. A student with its first weights is asked about the rows of that step, and of the one before, whose
 * gradients made the weights: where it has no loss for them either, or no gradient, the rows and the term are at fault, and no learning rate helps.
 */
export async function explainLoss(options: Options): Promise<string> {
  const { config, batches, step } = options
  const probe = await openProbe(options)
  try {
    for (const at of step > 0 ? [step, step - 1] : [step]) {
      const { inputs, rows } = batches.take(at, 1)
      const measure = (some: number[]) => probe.measure(choose(inputs, some, config.batch))
      const all = [...rows.keys()].filter((row) => hasWeight(inputs.weights as Float32Array, row, config.batch))
      if (isSound(await measure(all))) continue
      const found = await findRows(all, async (some) => !isSound(await measure(some)))
      const fault = await probe.nameFault(choose(inputs, found.length > 0 ? found.slice(0, 1) : all, config.batch))
      const where = at === step ? '' : `, at step ${at}`
      return `: ${nameRows(found.map((row) => rows[row]!))}${where}: ${fault}`
    }
    return '; a lower learning rate may help: with its first weights the student has a loss for these rows'
  } finally {
    await probe.close()
  }
}

const isSound = (measured: Measured) => Object.values(measured).every(Number.isFinite)

/** Those of some rows that are bad by themselves, found by halves: NAMED of them, and one more that says that there are others. */
async function findRows(
  rows: number[],
  isBad: (rows: number[]) => Promise<boolean>,
  most = NAMED + 1,
): Promise<number[]> {
  if (rows.length === 0 || most <= 0 || !(await isBad(rows))) return []
  if (rows.length === 1) return rows
  const half = rows.length >> 1
  const found = await findRows(rows.slice(0, half), isBad, most)
  return [...found, ...(await findRows(rows.slice(half), isBad, most - found.length))]
}

function nameRows(rows: number[]): string {
  if (rows.length === 0) return 'the rows of its batch together'
  const more = rows.length > NAMED ? ' and others' : ''
  return `row${rows.length > 1 ? 's' : ''} ${rows.slice(0, NAMED).join(', ')}${more} of the targets`
}

/** Σ of the weights of a row's positions is not 0. */
function hasWeight(weights: Float32Array, row: number, batch: number): boolean {
  const positions = weights.length / batch
  return weights.subarray(row * positions, (row + 1) * positions).some((weight) => weight > 0)
}

/** The inputs of a step in which some of its rows stand for all. */
function choose(inputs: Inputs, rows: number[], batch: number): Inputs {
  const chosen = Object.entries(inputs as Record<string, Float32Array>).map(([name, all]) => {
    if (all.length < batch) return [name, all] // a number for the whole step
    const width = all.length / batch
    const into = all.slice()
    for (let i = 0; i < batch; i++) {
      const row = rows[i % rows.length]!
      into.set(all.subarray(row * width, (row + 1) * width), i * width)
    }
    return [name, into]
  })
  return Object.fromEntries(chosen)
}

/** The student as it was before its first step, its method beside it, compiled to be asked. */
async function openProbe({ config, method, dataset, engine }: Options) {
  const { input, positions, classes } = dataset
  const model = await buildStudent(config.student, { input, positions, classes, seed: config.seed })
  const { taps, attached } = attach(model, { config, method, dataset })
  const name = inputNames[input.kind]
  const differentiate = createLoss({
    ...{ model, method, attached, dataset, config, seed: config.seed },
    ...(taps && { taps }),
  })
  const specs: Record<string, InputSpec> = trainInputs(config.batch, dataset, method)
  const step = (inputs: Record<string, tf.Tensor>) => {
    const { loss, grads, past } = differentiate(inputs)
    past?.dispose()
    const logits = model.apply(prepareInput(inputs[name]!, dataset), { training: false }) as tf.Tensor
    const size = (tensors: tf.Tensor[]) => tf.addN([tf.scalar(0), ...tensors.map((x) => tf.sum(tf.abs(x)))])
    const penalty = size([model, ...attached.branches].flatMap(penaltiesOf))
    return { loss, gradient: size(Object.values(grads)), logits: size([logits]), penalty }
  }
  const program = await engine.compile(step, { inputs: specs })
  const memory = await readVariables(attached.memory, 'memory')
  const measure = async (inputs: Inputs): Promise<Measured> => {
    await engine.sync()
    assignVariables(attached.memory, 'memory', memory) // as it was, whatever the last rows left there
    const said = Object.entries(await program.run(inputs)).map(([what, values]) => [what, values[0]!])
    return Object.fromEntries(said)
  }
  return {
    measure,
    /** What is no number, of rows for which something is not. */
    async nameFault(inputs: Inputs): Promise<string> {
      if (!(inputs[name] as Float32Array).every(Number.isFinite)) return 'its inputs are not all finite numbers'
      const { loss, logits, penalty } = await measure(inputs)
      if (!Number.isFinite(logits)) return "the student's logits are no numbers before it has learned anything"
      if (!Number.isFinite(penalty)) return "what the student's regularizers add to the loss is no number"
      const of = `method ${method.name}${'temperature' in method.parameters ? ` at T = ${config.temperature}` : ''}`
      if (Number.isFinite(loss)) return `the gradient of ${of} is no number`
      // Of finite logits the cross-entropy is finite.
      return 'alpha' in method.parameters
        ? `what ${of} adds to the cross-entropy is ${loss}`
        : `the loss of ${of} is ${loss}`
    },
    async close() {
      await program.dispose()
      for (const one of [model, ...attached.branches, ...attached.memory]) one.dispose()
    },
  }
}
