import { DecantError } from '../errors.js'
import { completeParameters, findMethod, type Method } from './method.js'
import type { OptimizerConfig } from './optimizer.js'
import type { Schedule } from './schedule.js'

/** All that makes one student from a dataset: the same config, dataset and engine give the same bits. */
export interface StudentConfig {
  /** A form of the zoo (`mlp:128`) or the path of a module. */
  student: string
  /** A method's name (`kd`) or the path of a module. */
  method: string
  /** Default: the method's own; 1 for one that has no temperature. */
  temperature: number
  /** The weight of the teacher; 0 is the control. Default: the method's own. */
  alpha: number
  /** The method's own parameters, by name. */
  parameters: Record<string, number>
  optimizer: OptimizerConfig
  learningRate: number
  schedule: Schedule
  /** The largest norm of all gradients together; larger ones are scaled down to it. */
  clip: number | null
  /** Decay of an average of the weights over the steps, which is then the student: (0, 1). */
  ema: number | null
  epochs: number
  batch: number
  seed: number
  /** Share of the rows that is not trained on, by hash of the id. */
  holdout: number
  /** Stop after so many epochs without a better accuracy on the held-out rows, and keep the best. */
  earlyStop: { patience: number } | null
}

/** The method's temperature, alpha and parameters aside. */
export const defaults: Omit<StudentConfig, 'temperature' | 'alpha' | 'parameters'> = {
  student: 'mlp:128',
  method: 'kd',
  optimizer: { name: 'adam' },
  learningRate: 1e-3,
  schedule: { kind: 'cosine', warmup: 0 },
  clip: null,
  ema: null,
  epochs: 20,
  batch: 128,
  seed: 1,
  holdout: 0.1,
  earlyStop: null,
}

/**
 * Fills in what is left out and checks the rest. Rows are held out where something depends on them: when there is no dataset to
 * evaluate on, and for early stopping, which must not choose by what it is evaluated on.
 * @param options.method where it has been found already: a module is evaluated once a training
 * @throws DecantError naming the option
 */
export async function completeConfig(
  given: Partial<StudentConfig>,
  { evaluated, method: found }: { evaluated: boolean; method?: Method | undefined },
): Promise<StudentConfig> {
  const method = found ?? (await findMethod(given.method ?? defaults.method))
  const { temperature: usual = 1, alpha: weight = 0 } = method.parameters
  const parameters = completeParameters(method, given.parameters ?? {})
  const { student, method: name, ...rest } = defaults
  const usually: StudentConfig = { student, method: name, temperature: usual, alpha: weight, parameters, ...rest }
  const config = { ...usually, ...definedOf(given), parameters }
  for (const name of ['temperature', 'alpha'] as const) {
    if (!(name in method.parameters) && config[name] !== usually[name])
      throw new DecantError(`${name} ${config[name]}: method ${method.name} has no ${name}, it would change nothing`)
  }
  if (given.holdout === undefined && evaluated && !config.earlyStop) config.holdout = 0
  const check = (
    name: keyof StudentConfig | 'warmup' | 'patience' | 'milestones' | 'factor',
    value: number,
    expected: string,
    holds: boolean,
  ) => {
    if (!holds) throw new DecantError(`${name}: expected ${expected}, found ${value}`)
  }
  const { temperature, alpha, learningRate, epochs, batch, seed, holdout, earlyStop, schedule, clip, ema } = config
  check('temperature', temperature, 'a number above 0', temperature > 0 && Number.isFinite(temperature))
  const most = method.shares ? 1 : Number.MAX_VALUE
  check('alpha', alpha, method.shares ? 'a number from 0 to 1' : 'a number of at least 0', alpha >= 0 && alpha <= most)
  check('learningRate', learningRate, 'a number above 0', learningRate > 0 && Number.isFinite(learningRate))
  check('epochs', epochs, 'a whole number of at least 1', Number.isInteger(epochs) && epochs >= 1)
  check('batch', batch, 'a whole number of at least 1', Number.isInteger(batch) && batch >= 1)
  check('seed', seed, 'a whole number', Number.isSafeInteger(seed))
  check('warmup', schedule.warmup, 'a whole number of steps', Number.isInteger(schedule.warmup) && schedule.warmup >= 0)
  if (schedule.kind === 'step') {
    const { milestones, factor } = schedule
    for (const epoch of milestones)
      check('milestones', epoch, 'whole epochs of at least 1', Number.isInteger(epoch) && epoch >= 1)
    check('factor', factor, 'a number from 0 to 1', factor >= 0 && factor <= 1)
  }
  if (clip !== null) check('clip', clip, 'a number above 0', clip > 0 && Number.isFinite(clip))
  if (ema !== null) check('ema', ema, 'a number between 0 and 1', ema > 0 && ema < 1)
  check('holdout', holdout, 'a share from 0 to below 1', holdout >= 0 && holdout < 1)
  if (earlyStop) {
    const { patience } = earlyStop
    check('patience', patience, 'a whole number of at least 1', Number.isInteger(patience) && patience >= 1)
    check('holdout', holdout, 'a share above 0, which early stopping chooses by', holdout > 0)
  }
  return config
}

const definedOf = <T extends object>(value: T): T =>
  Object.fromEntries(Object.entries(value).filter(([, v]) => v !== undefined)) as T
