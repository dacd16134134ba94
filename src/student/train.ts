import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import type { LayersModel } from '@tensorflow/tfjs-layers'
import { poorFidelity, type Targets } from '../cache/index.js'
import type { Engine } from '../engine/engine.js'
import { DecantError, FormatError, InterruptedError } from '../errors.js'
import type { Source } from '../source/index.js'
import { checkDatasets, checkVocabulary } from './check-evaluation.js'
import { checkSavable } from './check-saved.js'
import { checkTargets } from './check-targets.js'
import { type EpochRecord, readCheckpoint, writeCheckpoint } from './checkpoint.js'
import { completeConfig, defaults, type StudentConfig } from './config.js'
import { type Dataset, holdOut, loadDataset } from './dataset.js'
import { explainLoss } from './explain-loss.js'
import { CHECKPOINT, inFolder, type Provenance, type StudentFolder } from './folder.js'
import { findMethod, type Method } from './method.js'
import type { Metrics } from './metrics.js'
import { hashModule } from './module.js'
import { openTrainingFile } from './progress.js'
import { continueStudent, RECIPE } from './recipe.js'
import { openRun } from './run.js'
import { restoreWeights, saveStudent } from './save.js'
import { buildStudent } from './student.js'
import { readSummary } from './summary.js'
import { askUser } from './user-error.js'

export type TrainEvent =
  | { type: 'start'; parameters: number; rows: number; held: number; steps: number; backend: string; reason?: string }
  /** The targets are far from the teacher's at this temperature. */
  | { type: 'warning'; message: string }
  | { type: 'resume'; step: number; steps: number }
  | { type: 'step'; step: number; steps: number; loss: number; rowsPerSecond: number }
  | ({ type: 'epoch'; epochs: number; learningRate: number } & EpochRecord)
  | { type: 'stop'; epoch: number; best: number }
  | { type: 'finished'; out: string }

interface RunOptions extends Partial<StudentConfig> {
  engine: Engine
  /** The student's folder; without it nothing is written. A folder with a checkpoint of the same student is continued. */
  out?: string
  /** Steps between checkpoints in `out`; default: one an epoch. */
  checkpointEvery?: number
  /** Aborting writes a checkpoint and throws InterruptedError. */
  signal?: AbortSignal
  onEvent?: (event: TrainEvent) => void
}

export interface TrainOptions extends RunOptions {
  targets: Targets
  /** The source that the targets are of, opened with the manifest's preprocessing. Without it: the inputs stored in the targets. */
  source?: Source | undefined
  /** What to measure the student on, at the end. Without it: the held-out rows. */
  evaluate?: { targets: Targets; source?: Source | undefined }
}

export interface TrainDataOptions extends RunOptions {
  dataset: Dataset
  evaluation?: Dataset
}

export interface TrainedStudent {
  model: LayersModel
  provenance: Provenance
  parameters: number
  history: EpochRecord[]
  /** of training, without what an earlier, interrupted run took */
  seconds: number
  metrics: Metrics | null
  measuredOn: 'evaluation' | 'held-out rows' | 'nothing'
}

/** Milliseconds that a call of the program takes, where its steps are so short. */
const CALL = 50

/** Trains one student from cached targets: loads them, then {@link trainOnDataset}. */
export async function trainStudent(options: TrainOptions): Promise<TrainedStudent> {
  const { targets, source, evaluate, ...rest } = options
  const { signal } = options
  const evaluation = evaluate && (await loadDataset({ ...evaluate, signal }))
  return trainOnDataset({ ...rest, dataset: await loadDataset({ targets, source, signal }), evaluation })
}

/**
 * Trains one student. The same config, dataset and engine give the same bits, whether the run was interrupted or not.
 * @throws MismatchError where `out` holds another student; InterruptedError; DecantError where another process trains in `out`, or the
 * loss is no number any more
 */
export async function trainOnDataset(options: TrainDataOptions): Promise<TrainedStudent> {
  const { evaluation, engine, out } = options
  const method = await findMethod(options.method ?? defaults.method)
  const config = await completeConfig(configOf(options), { evaluated: evaluation !== undefined, method })
  checkDatasets(options.dataset, evaluation)
  checkTargets(method, options.dataset, config)
  const { manifest, teacher, input } = options.dataset
  const asked: Provenance = {
    recipe: RECIPE,
    config,
    engine: engine.name,
    module: await hashModule(config.student),
    methodModule: await hashModule(config.method),
    ...(input.vocabulary !== undefined && { vocabulary: input.vocabulary }),
    ...{ manifest, teacher },
    evaluation: evaluation?.manifest,
    ...{ content: options.dataset.lineage.content, evaluationContent: evaluation?.lineage.content },
  }
  if (out === undefined) return train(options, { asked, method })
  return inFolder(out, (folder) => train(options, { asked, method, folder }))
}

async function train(
  options: TrainDataOptions,
  { asked, method, folder }: { asked: Provenance; method: Method; folder?: StudentFolder },
): Promise<TrainedStudent> {
  const { evaluation, engine, out, checkpointEvery, signal, onEvent = () => {} } = options
  const { config } = asked
  const ingredients = { provenance: asked, dataset: options.dataset }
  if (out !== undefined && folder?.holds === 'finished') {
    const summary = await readSummary(out)
    const { provenance, dataset } = continueStudent(out, summary.provenance, ingredients)
    await folder.clear()
    onEvent({ type: 'finished', out })
    // Made by its module, whose layers nobody else may know.
    const model = await buildStudent(config.student, { ...dataset, seed: config.seed })
    await restoreWeights(model, out)
    return { ...summary, provenance, model }
  }
  const path = out === undefined ? undefined : join(out, CHECKPOINT)
  const checkpoint = path && folder?.holds === 'checkpoint' ? await readCheckpoint(path) : undefined
  const { provenance, dataset } = checkpoint ? continueStudent(path!, checkpoint.provenance, ingredients) : ingredients
  checkVocabulary(dataset, evaluation)

  const began = performance.now()
  const run = await openRun({ config, method, dataset, engine, checkpoint }).catch((error) => {
    throw checkpoint && error instanceof FormatError ? new FormatError(`${path}: ${error.message}`) : error
  })
  const { model, batches, program, progress, steps } = run
  const save = async () => path && writeCheckpoint(path, await run.checkpoint(), provenance)
  const training = openTrainingFile(out, { config, steps })
  const parameters = model.countParams()
  const { backend, reason } = program
  await training.write(progress)
  onEvent({ type: 'start', parameters, rows: run.train.length, held: run.held.length, steps, backend, reason })
  if (method.needs.teacher) {
    const over = method.needs.teacher === 'dense' ? 'classes' : 'buckets'
    const { codec } = dataset.targets
    const message = poorFidelity({ codec, fidelity: dataset.fidelity }, { temperature: config.temperature, over })
    if (message !== undefined) onEvent({ type: 'warning', message })
  }
  if (dataset.counted) {
    const [student, largest] = [config.student, dataset.input.vocabulary! - 1]
    const message = `student ${student}: it knows the ids 0 to ${largest}, those that it is trained on: neither tokenizer nor teacher say how many there are; text.vocabulary in the preprocessing of an export does`
    onEvent({ type: 'warning', message })
  }
  if (checkpoint) onEvent({ type: 'resume', step: progress.step, steps })
  try {
    const modules = [config.student, config.method]
    const unread = path && (await askUser(modules, () => checkSavable(model, dataset, provenance)))
    if (unread)
      onEvent({ type: 'warning', message: `student ${config.student}: tfjs will not load model.json again: ${unread}` })
    const every = checkpointEvery ?? batches.perEpoch
    let [told, toldStep, atOnce] = [performance.now(), progress.step, 1]
    while (progress.step < steps && !run.stopped()) {
      const started = performance.now()
      const left = Math.min(batches.perEpoch - (progress.step % batches.perEpoch), every - (progress.step % every))
      const count = Math.min(atOnce, left)
      const { inputs, weights, learningRate } = batches.take(progress.step, count)
      const said = await askUser(modules, () => program.run(inputs))
      const losses = said.loss!
      for (const [i, loss] of losses.entries()) {
        if (!Number.isFinite(loss)) {
          const why = await explainLoss({ config, method, dataset, engine, batches, step: progress.step })
          throw new DecantError(`student ${config.student}: the loss is ${loss} at step ${progress.step}${why}`)
        }
        progress.step++
        progress.loss += loss * weights[i]!
        progress.weight += weights[i]!
      }
      if (said.past) batches.remember(said.past)
      const now = performance.now()
      // As many steps a call as fit into the time that a signal may wait for its answer.
      if (count === atOnce) {
        atOnce = Math.max(1, Math.min(batches.capacity, 2 * atOnce, Math.floor((CALL * count) / (now - started))))
      }
      if (now - told > 100) {
        const rowsPerSecond = (1000 * config.batch * (progress.step - toldStep)) / (now - told)
        onEvent({ type: 'step', step: progress.step, steps, loss: losses.at(-1)!, rowsPerSecond })
        ;[told, toldStep] = [now, progress.step]
      }
      if (progress.step % batches.perEpoch === 0) {
        const record = await run.endEpoch()
        onEvent({ type: 'epoch', epochs: config.epochs, learningRate, ...record })
      }
      if (progress.step % every === 0 && progress.step < steps) await save()
      await training.write(progress)
      await turn() // a step may never leave JavaScript: give signals and timers a turn
      if (signal?.aborted && progress.step < steps) {
        await save()
        await training.write(progress, true)
        const next = out ? `run the same command again to continue from ${path}` : 'nothing is kept without a folder'
        throw new InterruptedError(`stopped after step ${progress.step} of ${steps}; ${next}`)
      }
    }
    if (run.stopped()) onEvent({ type: 'stop', epoch: progress.history.length, best: progress.best!.epoch })
    await run.settle()
    const [on, rows] = evaluation ? [evaluation, holdOut(evaluation, 1).held] : [dataset, run.held]
    const student: TrainedStudent = {
      model,
      provenance,
      parameters,
      history: progress.history,
      seconds: (performance.now() - began) / 1000,
      metrics: rows.length > 0 ? await run.evaluate(on, rows) : null,
      measuredOn: evaluation ? 'evaluation' : rows.length > 0 ? 'held-out rows' : 'nothing',
    }
    if (out !== undefined) {
      await saveStudent(out, student, dataset)
      await folder?.clear()
    }
    return student
  } catch (error) {
    model.dispose()
    throw error
  } finally {
    await run.dispose()
  }
}

function configOf(options: Partial<StudentConfig>): Partial<StudentConfig> {
  const { student, method, temperature, alpha, parameters, optimizer, learningRate, schedule, clip, ema } = options
  const { epochs, batch, seed, holdout, earlyStop } = options
  return {
    student,
    method,
    temperature,
    alpha,
    parameters,
    optimizer,
    learningRate,
    schedule,
    clip,
    ema,
    epochs,
    batch,
    seed,
    holdout,
    earlyStop,
  }
}
