import type { LayersModel } from '@tensorflow/tfjs-layers'
import type { Engine } from '../engine/engine.js'
import { DecantError } from '../errors.js'
import { attach } from './attach.js'
import { createBatches } from './batches.js'
import type { Checkpoint, EpochRecord, Progress } from './checkpoint.js'
import type { StudentConfig } from './config.js'
import { type Dataset, holdOut } from './dataset.js'
import { createEvaluator } from './evaluate.js'
import type { Attachment, Method } from './method.js'
import { type Average, createAverage, createOptimizer } from './optimizer.js'
import { trainedVariables, trainInputs, trainStep, variablesOf } from './program.js'
import { constrain } from './regularize.js'
import type { NamedTensor } from './safetensors.js'
import { buildStudent } from './student.js'
import { assignVariables, readVariables, takeTensor } from './tensors.js'
import { askUser } from './user-error.js'

interface RunOptions {
  config: StudentConfig
  /** What the config names. */
  method: Method
  dataset: Dataset
  engine: Engine
  checkpoint?: Checkpoint | undefined
}

/** A student with its program, and where its training stands. What was made for it is gone where it cannot be trained. */
export async function openRun(options: RunOptions) {
  const { config, dataset } = options
  const { input, positions, classes } = dataset
  const model = await buildStudent(config.student, { input, positions, classes, seed: config.seed })
  const made: { dispose(): unknown }[] = []
  try {
    return await askUser([config.student, config.method], () => prepareRun({ ...options, model, made }))
  } catch (error) {
    for (const one of [...made, model]) await one.dispose()
    throw error
  }
}

async function prepareRun(options: RunOptions & { model: LayersModel; made: { dispose(): unknown }[] }) {
  const { config, method, dataset, engine, checkpoint, model, made } = options
  const { train, held } = holdOut(dataset, config.holdout)
  const weights = variablesOf(model.weights)
  const trainable = variablesOf(model.trainableWeights)
  constrain(model.nonTrainableWeights) // once, as tfjs does when it loads them
  const { taps, attached } = attach(model, options)
  made.push(...attached.branches, ...attached.memory)
  const branches = attached.branches.flatMap(({ weights }) => variablesOf(weights))
  const optimizer = createOptimizer(config.optimizer, trainedVariables(model, attached))
  const average = config.ema === null ? undefined : createAverage(trainable, config.ema)
  made.push(optimizer, ...(average ? [average] : []))
  const progress: Progress = checkpoint?.progress ?? { step: 0, loss: 0, weight: 0, history: [], best: null }
  let best = checkpoint?.tensors.filter(({ name }) => name.startsWith('best/')) ?? []
  if (checkpoint) {
    assignVariables(weights, 'model', checkpoint.tensors)
    assignVariables(branches, 'branch', checkpoint.tensors)
    assignVariables(attached.memory, 'memory', checkpoint.tensors)
    assignVariables(optimizer.state, 'optimizer', checkpoint.tensors)
    if (average) assignVariables(average.state, 'average', checkpoint.tensors)
  }
  const past = method.needs.past ? openPast({ attached, dataset, checkpoint }) : undefined
  const batches = createBatches({ dataset, rows: train, config, method, past: past?.values })
  const step = trainStep({
    ...{ model, method, attached, optimizer, dataset, config, seed: config.seed },
    ...(taps && { taps }),
    ...(average && { average }),
  })
  const program = await engine.compile(step, { inputs: trainInputs(config.batch, dataset, method), stacked: true })
  made.push(program)
  const evaluator = await createEvaluator({ model, engine, dataset })
  const patience = config.earlyStop?.patience
  /** Makes the averages the model's weights. Of weights of length 1 the average is shorter: it is projected, too. */
  const takeAverage = async ({ state }: Average) => {
    assignVariables(trainable, 'average', await readVariables(state, 'average'))
    constrain(model.trainableWeights)
  }
  /** Does `work` while the model's weights are their averages, where there are any. */
  const averaged = async <T>(work: () => Promise<T>): Promise<T> => {
    if (!average) return work()
    await engine.sync()
    const own = await readVariables(trainable, 'own')
    await takeAverage(average)
    const result = await work()
    assignVariables(trainable, 'own', own)
    return result
  }
  return {
    model,
    batches,
    program,
    progress,
    train,
    held,
    steps: config.epochs * batches.perEpoch,
    evaluate: evaluator.evaluate,
    stopped: () =>
      patience !== undefined && progress.best !== null && progress.history.length - progress.best.epoch >= patience,
    /** Puts the epoch that just ended into the history, measured on the held-out rows, and remembers the best. */
    async endEpoch(): Promise<EpochRecord> {
      const record: EpochRecord = { epoch: progress.history.length + 1, loss: progress.loss / progress.weight }
      if (held.length > 0) {
        await averaged(async () => {
          const { accuracy, agreement } = await evaluator.evaluate(dataset, held)
          Object.assign(record, { accuracy, agreement })
          const score = accuracy ?? agreement
          if (patience !== undefined && score > (progress.best?.score ?? -1)) {
            progress.best = { epoch: record.epoch, score }
            best = await readVariables(weights, 'best')
          }
        })
      }
      progress.history.push(record)
      progress.loss = 0
      progress.weight = 0
      return record
    },
    async checkpoint(): Promise<Checkpoint> {
      await engine.sync()
      const tensors = [
        ...(await readVariables(weights, 'model')),
        ...(await readVariables(branches, 'branch')),
        ...(await readVariables(attached.memory, 'memory')),
        ...(await readVariables(optimizer.state, 'optimizer')),
        ...(average ? await readVariables(average.state, 'average') : []),
        ...(past ? [past] : []),
      ]
      return { progress, tensors: [...tensors, ...best] }
    },
    /** Training is over: the model's variables hold the student, the best one where training stopped by it. */
    async settle() {
      await engine.sync()
      if (best.length > 0) assignVariables(weights, 'best', best)
      else if (average) await takeAverage(average)
    },
    async dispose() {
      await program.dispose()
      await evaluator.dispose()
      optimizer.dispose()
      average?.dispose()
      for (const branch of attached.branches) branch.dispose()
      for (const variable of attached.memory) variable.dispose()
    },
  }
}

/** What the method remembers of each row: the checkpoint's, or as it is at first, which is 0 where `attach` does not say. */
function openPast(options: Pick<RunOptions, 'dataset' | 'checkpoint'> & { attached: Attachment }): NamedTensor {
  const { attached, dataset, checkpoint } = options
  const shape = [dataset.rows * dataset.positions, dataset.classes]
  const size = shape[0]! * shape[1]!
  const values = attached.past ?? new Float32Array(size)
  if (values.length !== size)
    throw new DecantError(`the method's \`past\`: expected ${size} values [${shape}], found ${values.length}`)
  if (checkpoint) values.set(takeTensor('past', shape, checkpoint.tensors))
  return { name: 'past', shape, values }
}
