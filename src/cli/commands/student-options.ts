import type { Command } from 'commander'
import type { Targets } from '../../cache/index.js'
import { DecantError, MismatchError } from '../../errors.js'
import type { Source } from '../../source/index.js'
import type { OptimizerConfig } from '../../student/optimizer.js'
import type { Schedule } from '../../student/schedule.js'
import { integer, list, number, oneOf, suggesting } from '../parse.js'
import { openTerminal } from '../terminal.js'

/** What `train` and `sweep` have in common: how any student of theirs is trained. */
export interface StudentFlags {
  source?: string
  eval?: string
  evalSource?: string
  optimizer: OptimizerConfig['name']
  momentum?: number
  nesterov?: true
  weightDecay?: number
  lr?: number
  schedule: Schedule['kind']
  warmup: number
  milestones?: number[]
  factor?: number
  clip?: number
  ema?: number
  epochs: number
  batch: number
  holdout?: number
  patience?: number
  engine: 'onnx' | 'eager' | 'tensorflow'
  provider?: 'cpu' | 'webgpu'
  threads?: number
  json?: boolean
}

/** For the help; to ask the library would load it. */
export const methodNames =
  'kd, rs-kd, ce, ls, logit-mse, rkl, jsd, tvd, dkd, dist, std-kd, mlkd, cwtm, dkpp, tf-kd, ps-kd, cs-kd, ddgsd, byot, dks, teskd, sla-sd, frskd'

export const methodName = suggesting(methodNames.split(', '), (text: string) => text)
/** Of train, sweep and chain: a few of the forms that a student is written in. */
export const studentForms = [
  'linear',
  'mlp:128',
  'cnn:32,64',
  'resnet:20,16',
  'mobilenet:16',
  'bag:64',
  'transformer:64,2',
]

export function addStudentOptions(command: Command): Command {
  return command
    .option(
      '--source <uri>',
      "the samples, where they are not at the manifest's path any more; not needed where inputs are stored",
    )
    .option('--eval <dir>', 'soft-target dataset to measure students on (default: the held-out rows)')
    .option('--eval-source <uri>', 'the samples of --eval, likewise')
    .option('--optimizer <name>', 'adam, adamw or sgd', oneOf(['adam', 'adamw', 'sgd'] as const), 'adam' as const)
    .option('--momentum <m>', 'of sgd (default 0.9)', number(0, 1))
    .option('--nesterov', "Nesterov's form of sgd")
    .option('--weight-decay <w>', 'of kernels: adamw (default 0.01), sgd (default 0)', number(0))
    .option('--lr <rate>', 'peak learning rate (default 0.001; sgd 0.05)', number(0))
    .option(
      '--schedule <kind>',
      'cosine, constant or step',
      oneOf(['cosine', 'constant', 'step'] as const),
      'cosine' as const,
    )
    .option(
      '--milestones <epoch...>',
      'of step: the epochs after which the rate falls, as 150,180,210',
      list(integer(1)),
    )
    .option('--factor <f>', 'of step: what the rate is multiplied by (default 0.1)', number(0, 1))
    .option('--warmup <steps>', 'steps of linear warm-up', integer(0), 0)
    .option('--clip <norm>', 'scale gradients down to this norm, taken over all of them', number(0))
    .option('--ema <decay>', 'the student is the moving average of the weights, as 0.999', number(0, 1))
    .option('--epochs <n>', 'passes over the rows', integer(1), 20)
    .option('--batch <rows>', 'rows a step', integer(1), 128)
    .option(
      '--holdout <share>',
      'share of the rows that is not trained on, by id (default 0.1; 0 with --eval)',
      number(0, 0.99),
    )
    .option(
      '--patience <epochs>',
      'stop after so many epochs without a better held-out accuracy, keep the best',
      integer(1),
    )
    .option(
      '--engine <name>',
      'what runs the steps: onnx, eager (the slow reference) or tensorflow (tfjs-node)',
      oneOf(['onnx', 'eager', 'tensorflow'] as const),
      'onnx' as const,
    )
    .option('--provider <name>', 'of the onnx engine: cpu or webgpu (default cpu)', oneOf(['cpu', 'webgpu'] as const))
    .option('--threads <n>', 'of the onnx engine: threads inside an operation', integer(1, 1024))
    .option('--json', 'events as JSON lines on stdout')
}

/** The flags as the library's options. */
export function trainingOf(flags: StudentFlags) {
  const { name, rate } = { name: flags.optimizer, rate: flags.optimizer === 'sgd' ? 0.05 : 1e-3 }
  const refuse = (flag: string, allowed: string[]) => {
    if (!allowed.includes(name))
      throw new DecantError(`${flag} belongs to ${allowed.join(' and ')}, the optimizer is ${name}`)
  }
  if (flags.momentum !== undefined) refuse('--momentum', ['sgd'])
  if (flags.nesterov !== undefined) refuse('--nesterov', ['sgd'])
  if (flags.weightDecay !== undefined) refuse('--weight-decay', ['sgd', 'adamw'])
  const optimizer = {
    name,
    ...(flags.momentum !== undefined && { momentum: flags.momentum }),
    ...(flags.nesterov !== undefined && { nesterov: flags.nesterov }),
    ...(flags.weightDecay !== undefined && { weightDecay: flags.weightDecay }),
  } as OptimizerConfig
  return {
    optimizer,
    learningRate: flags.lr ?? rate,
    schedule: scheduleOf(flags),
    ...(flags.clip !== undefined && { clip: flags.clip }),
    ...(flags.ema !== undefined && { ema: flags.ema }),
    epochs: flags.epochs,
    batch: flags.batch,
    ...(flags.holdout !== undefined && { holdout: flags.holdout }),
    ...(flags.patience !== undefined && { earlyStop: { patience: flags.patience } }),
  }
}

function scheduleOf({ schedule: kind, warmup, milestones, factor }: StudentFlags): Schedule {
  if (kind === 'step') {
    if (milestones) return { kind, warmup, milestones, factor: factor ?? 0.1 }
    throw new DecantError('--schedule step: say with --milestones after which epochs the rate falls')
  }
  for (const [flag, value] of Object.entries({ '--milestones': milestones, '--factor': factor })) {
    if (value !== undefined) throw new DecantError(`${flag} belongs to --schedule step, the schedule is ${kind}`)
  }
  return { kind, warmup }
}

/** The engine that the flags ask for, as `openEngine` takes it. */
export function engineOf({ engine: name, provider, threads }: StudentFlags) {
  for (const [flag, value] of Object.entries({ '--provider': provider, '--threads': threads })) {
    if (value !== undefined && name !== 'onnx') {
      throw new DecantError(`${flag} belongs to the onnx engine, the engine is ${name}`)
    }
  }
  return { name, ...(provider !== undefined && { provider }), ...(threads !== undefined && { threads }) }
}

export interface OpenData {
  targets: Targets
  source: Source
  close(): Promise<void>
}

/** What students learn from: the source is left out where the inputs lie beside the targets and `uri` does not ask for it. */
export interface StudentData extends Omit<OpenData, 'source'> {
  source?: Source
}

export async function openStudentData(dir: string, uri?: string, flag?: string): Promise<StudentData> {
  const targets = await openTargets(dir)
  if (uri === undefined && targets.manifest.inputs) return { targets, close: () => targets.close() }
  return withSource(targets, uri, flag)
}

/** Whether there are labels to learn from. */
export async function isLabelled({ targets, source }: StudentData): Promise<boolean> {
  if (targets.manifest.positions) return true // the next tokens
  if (source) return source.topLabel >= 0
  for await (const { labels } of targets.chunks({ inputs: false, reuse: true }))
    if (labels.some((label) => label >= 0)) return true
  return false
}

/** Opens targets and the source that they were exported from, with the manifest's own preprocessing. */
export async function openData(dir: string, uri?: string, flag?: string): Promise<OpenData> {
  return withSource(await openTargets(dir), uri, flag)
}

async function openTargets(place: string): Promise<Targets> {
  const { openDataset } = await import('../../share/open-dataset.js')
  return openDataset(place)
}

async function withSource(targets: Targets, uri?: string, flag = '--source'): Promise<OpenData> {
  const { reopenSource } = await import('../../source/index.js')
  const { isRemote } = await import('../../share/uri.js')
  const { dir, manifest } = targets
  try {
    // What comes from elsewhere must not say which files of this machine are opened.
    if (uri === undefined && isRemote(dir))
      throw new DecantError(
        `${dir}: the samples are not stored in it: say with ${flag} where they are here (at the export: '${manifest.source.uri}')`,
      )
    const { note: onNote } = openTerminal({ json: false }) // on stderr: stdout is left to the command
    const source = await reopenSource(manifest, { dir, uri, onNote }).catch((error: unknown) => {
      if (uri !== undefined || !(error instanceof DecantError) || error instanceof MismatchError) throw error
      throw new DecantError(`${error.message}; say with ${flag} where the samples of ${dir} are`)
    })
    return {
      targets,
      source,
      async close() {
        await source.close()
        await targets.close()
      },
    }
  } catch (error) {
    await targets.close()
    throw error
  }
}
