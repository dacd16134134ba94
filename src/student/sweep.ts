import { join } from 'node:path'
import { replaceFile } from '../cache/files.js'
import type { Targets } from '../cache/index.js'
import type { EngineName, EngineOptions } from '../engine/engine.js'
import { DecantError, InterruptedError } from '../errors.js'
import type { Source } from '../source/index.js'
import { startThread } from '../thread.js'
import type { EpochRecord } from './checkpoint.js'
import type { StudentConfig } from './config.js'
import { checkModel, measureCosts } from './cost.js'
import { type Dataset, loadDataset } from './dataset.js'
import type { Metrics } from './metrics.js'
import { inSweep, STUDENTS } from './parent-folder.js'
import { gatherFacts } from './sweep-facts.js'
import type { CostTable, SweepFacts } from './sweep-file.js'
import { type Grid, type PlannedStudent, planSweep } from './sweep-plan.js'
import { formatCsv, type SweepRow, type SweepStudent, tabulate } from './sweep-table.js'
import type { TrainEvent } from './train.js'

export interface SweepOptions {
  targets: Targets
  /** Without it: the inputs stored in the targets. */
  source?: Source | undefined
  evaluate?: { targets: Targets; source?: Source | undefined }
  grid: Grid
  /** What all students have in common. */
  base?: Partial<StudentConfig>
  engine: SweepEngine
  /** Worker threads, each training one student at a time. The results do not depend on it. */
  jobs: number
  /** The teacher's ONNX file: it is measured beside the students. */
  teacher?: string
  /** Folder: students/<name>/ for each, sweep.json and sweep.csv. Students that are finished in it are not trained again. */
  out?: string
  signal?: AbortSignal
  onEvent?: (event: SweepEvent) => void
}

export type SweepEvent =
  | { type: 'plan'; students: string[]; jobs: number }
  | { type: 'student'; name: string; done: number; of: number; student: SweepStudent }
  | { type: 'training'; name: string; event: TrainEvent }

export interface SweepResult {
  students: SweepStudent[]
  table: SweepRow[]
  data: SweepFacts
  /** Of the files in `out`, one for each kind of student, and of the teacher's where it was given; null without `out`. */
  costs: CostTable | null
  /** of this run */
  seconds: number
}

export interface SweepData {
  dataset: Dataset
  evaluation?: Dataset
}
export type SweepEngine = { name: EngineName } & EngineOptions
export type ToWorker =
  | ({ type: 'data' } & SweepData)
  | { type: 'train'; index: number; config: StudentConfig; out?: string }
  | { type: 'abort' }
export type FromWorker =
  | { type: 'event'; index: number; event: TrainEvent }
  | { type: 'done'; index: number; metrics: Metrics | null; history: EpochRecord[]; seconds: number }
  | { type: 'failed'; index: number; name: string; message: string }

/**
 * Trains the students of a grid from one copy of the data. A student whose training fails is listed with the reason, and the others
 * go on. @throws InterruptedError after every student in hand wrote its checkpoint; DecantError where another process writes to `out`
 */
export async function sweep(options: SweepOptions): Promise<SweepResult> {
  const { grid, base = {}, evaluate, out } = options
  const plan = await planSweep(grid, base, { evaluated: evaluate !== undefined })
  const run = () => trainPlanned(options, plan)
  return out === undefined ? run() : inSweep(out, plan, run)
}

async function trainPlanned(options: SweepOptions, plan: PlannedStudent[]): Promise<SweepResult> {
  const { targets, source, evaluate, teacher, out, signal, onEvent = () => {} } = options
  const began = performance.now()
  const jobs = Math.min(options.jobs, plan.length)
  const load = async (): Promise<SweepData> => {
    const evaluation = evaluate && (await loadDataset({ ...evaluate, shared: true, signal }))
    const dataset = await loadDataset({ targets, source, shared: true, signal })
    if (teacher !== undefined) await checkModel(teacher, dataset.input.shape) // told now, not after hours
    onEvent({ type: 'plan', students: plan.map(({ name }) => name), jobs })
    return { dataset, evaluation }
  }
  const data = load() // beside it, the workers load their code
  const engine = { threads: 1, ...options.engine } // a thread each; more would only change the order of sums

  const students: SweepStudent[] = new Array(plan.length)
  let [next, done] = [0, 0]
  const take = (): ToWorker | undefined => {
    const index = next++
    const planned = plan[index]
    if (!planned) return undefined
    const { name, config } = planned
    return { type: 'train', index, config, out: out && join(out, STUDENTS, name) }
  }
  const hear = (message: FromWorker) => {
    const { name, config } = plan[message.index]!
    if (message.type === 'event') return onEvent({ type: 'training', name, event: message.event })
    const { student, method, temperature, alpha, parameters, seed } = config
    const outcome =
      message.type === 'done'
        ? { metrics: message.metrics, history: message.history, seconds: message.seconds }
        : { metrics: null, history: [], seconds: 0, failed: message.message }
    students[message.index] = { student, method, temperature, alpha, parameters, seed, ...outcome }
    onEvent({ type: 'student', name, done: ++done, of: plan.length, student: students[message.index]! })
  }
  // A worker that breaks stops the others: they write their checkpoints before the error is passed on.
  const broken = new AbortController()
  const stop = AbortSignal.any([broken.signal, ...(signal ? [signal] : [])])
  const runs = Array.from({ length: jobs }, () => runWorker({ engine, data, take, hear, signal: stop }))
  for (const run of runs) run.catch((error: unknown) => broken.abort(error))
  await Promise.allSettled(runs)
  if (broken.signal.aborted) throw broken.signal.reason
  if (signal?.aborted) {
    throw new InterruptedError(
      `stopped after ${done} of ${plan.length} students; ${out ? 'run the same command again to continue' : 'nothing is kept without a folder'}`,
    )
  }
  const seconds = (performance.now() - began) / 1000
  const trained = plan.filter((_, index) => students[index]!.failed === undefined)
  const { holdout } = plan[0]!.config
  const { dataset, evaluation } = await data
  const result: SweepResult = {
    students,
    table: tabulate(students),
    data: gatherFacts({ dataset, evaluation, holdout, teacher: targets.manifest.teacher.file }),
    costs: out === undefined ? null : await costsOf(trained, { out, teacher, shape: dataset.input.shape }),
    seconds,
  }
  if (out !== undefined) {
    await replaceFile(
      join(out, 'sweep.json'),
      `${JSON.stringify({ format: 'decant-sweep', version: 2, ...result }, null, 2)}\n`,
    )
    await replaceFile(join(out, 'sweep.csv'), formatCsv(students))
  }
  return result
}

/** The costs of the teacher and of one student of each kind: seeds and methods do not change them. */
async function costsOf(
  trained: PlannedStudent[],
  options: { out: string; teacher?: string | undefined; shape: readonly number[] },
): Promise<CostTable> {
  const { out, teacher, shape } = options
  const kinds = new Map<string, string>()
  for (const { name, config } of trained)
    if (!kinds.has(config.student)) kinds.set(config.student, join(out, STUDENTS, name, 'student.onnx'))
  const models = [...kinds].map(([name, path]) => ({ name, path }))
  return measureCosts({
    models: [...(teacher === undefined ? [] : [{ name: 'teacher', path: teacher }]), ...models],
    shape,
  })
}

/** Keeps one worker busy until nothing is left to take, or the signal says to stop. */
async function runWorker(options: {
  engine: SweepEngine
  data: Promise<SweepData>
  take: () => ToWorker | undefined
  hear: (message: FromWorker) => void
  signal: AbortSignal
}): Promise<void> {
  const { engine, data, take, hear, signal } = options
  const worker = startThread('./sweep-worker', import.meta.url, engine)
  const send = (message: ToWorker) => worker.postMessage(message)
  const stop = () => send({ type: 'abort' })
  signal.addEventListener('abort', stop)
  try {
    await new Promise<void>((resolve, reject) => {
      const more = () => {
        const job = signal.aborted ? undefined : take()
        if (job) send(job)
        else resolve()
      }
      worker.on('error', reject)
      worker.on('exit', (code) => reject(new DecantError(`a worker of the sweep ended by itself, with code ${code}`)))
      worker.on('message', (message: FromWorker) => {
        if (message.type === 'failed' && message.name === 'InterruptedError') return resolve()
        try {
          hear(message)
          if (message.type !== 'event') more()
        } catch (error) {
          reject(error)
        }
      })
      data.then((loaded) => {
        send({ type: 'data', ...loaded })
        more()
      }, reject)
    })
  } finally {
    signal.removeEventListener('abort', stop)
    await worker.terminate()
  }
}
