import type * as tf from '@tensorflow/tfjs-core'
import type { LayersModel } from '@tensorflow/tfjs-layers'
import type { RandomSource } from '../engine/random.js'
import { DecantError } from '../errors.js'
import type { Dataset } from './dataset.js'
import type { StudentOutputs, StudentShapes } from './forward.js'
import { byot } from './methods/byot.js'
import { ce } from './methods/ce.js'
import { csKd } from './methods/cs-kd.js'
import { cwtm } from './methods/cwtm.js'
import { ddgsd } from './methods/ddgsd.js'
import { dist } from './methods/dist.js'
import { dkd } from './methods/dkd.js'
import { dkpp } from './methods/dkpp.js'
import { dks } from './methods/dks.js'
import { frskd } from './methods/frskd.js'
import { jsd } from './methods/jsd.js'
import { kd } from './methods/kd.js'
import { logitMse } from './methods/logit-mse.js'
import { ls } from './methods/ls.js'
import { mlkd } from './methods/mlkd.js'
import { psKd } from './methods/ps-kd.js'
import { rkl } from './methods/rkl.js'
import { rsKd } from './methods/rs-kd.js'
import { slaSd } from './methods/sla-sd.js'
import { stdKd } from './methods/std-kd.js'
import { teskd } from './methods/teskd.js'
import { tfKd } from './methods/tf-kd.js'
import { tvd } from './methods/tvd.js'
import { findModule, isPath } from './module.js'
import type { PartnerKind } from './partners.js'
import type { TeacherTargets } from './targets.js'

/** One batch as a method sees it: B rows, C classes; of sequences each position is a row, padding with weight 0. Logits are raw (T = 1). */
export interface LossInputs {
  /** float32 [B, C], the gradient flows into these */
  studentLogits: tf.Tensor2D
  /** The student on these rows: the same logits, and what it made on the way to them. */
  student: StudentOutputs
  /** What the student is given of these rows, as a float32 image or features, or int32 tokens, [B, ...] */
  input: tf.Tensor
  /** Runs the student on other inputs of the same form, of any number of rows, in training as on these. */
  run(input: tf.Tensor): StudentOutputs
  /** Draws: the same numbers on every engine, and after a resume. */
  random: RandomSource
  /** Runs the student on the partners of these rows, in training as they are. Only for methods that need `partner`. */
  partner(): StudentOutputs
  /** float32 [B, C], what was remembered of these rows when they were last trained on. Only for methods that need `past`. */
  past: tf.Tensor2D
  /** Remembers [B, C] of these rows; of those with weight 0 nothing. A row that a batch has twice is remembered as it came last. */
  remember(values: tf.Tensor2D): void
  /** What the method's `attach` made. */
  attached: Attachment
  teacher: TeacherTargets
  /** int32 [B], -1 = no label */
  labels: tf.Tensor1D
  /** float32 [B], 0 for the rows that pad the last batch, and for padding of sequences */
  weights: tf.Tensor1D
  /** float32 [] */
  temperature: tf.Scalar
  /** float32 [], the weight of the teacher; 0 leaves the cross-entropy with the labels alone */
  alpha: tf.Scalar
  /** float32 [], optimizer steps taken before this one */
  step: tf.Scalar
  /** float32 [], 0 in the first epoch, 1 in the second, … */
  epoch: tf.Scalar
  /** The epochs that are asked for. */
  epochs: number
  /** The method's own parameters. */
  parameters: Readonly<Record<string, number>>
}

/** What a method has beside the student. */
export interface Attachment {
  /** Models whose weights are trained with the student's; they are left out of what is saved. */
  branches: LayersModel[]
  /** What the method's loss assigns: state of the program, kept in checkpoints. */
  memory: tf.Variable[]
  /** [rows, classes], what is remembered of each row at first; without it 0. It is written to, and in checkpoints. Only for methods that need `past`. */
  past?: Float32Array
}

/** What a method's `attach` sees. */
export interface AttachOptions {
  /** Shapes of what the student gives: [h, w, c] of each stage, and the number of features; where the method needs them. */
  shapes: StudentShapes
  dataset: Pick<Dataset, 'rows' | 'classes' | 'labels'>
  /** What branches are initialised from. */
  seed: number
  parameters: Readonly<Record<string, number>>
}

/** A way to distil: a loss as tfjs code, a mean over rows. A module of the user's own has one as its default export. */
export interface Method {
  name: string
  needs: {
    /**
     * What the loss reads of the teacher: nothing; log-probabilities over buckets, which every codec has; logits of all classes; or
     * buckets and which of them were drawn, which codec sampled has.
     */
    teacher: false | 'buckets' | 'dense' | 'draws'
    /** No row without a label tells the student anything. */
    labels: boolean
    /** What the loss reads of the student besides its logits: the features, or outputs of its stages, too. A student without is refused. */
    student?: 'features' | 'stages'
    /** A second row for each row, and the student's outputs for it. */
    partner?: PartnerKind
    /** What the loss reads of the teacher beside the buckets: a column of the bucketed codecs, which a dense one can always give. */
    statistic?: 'label_logit' | 'std'
    /** Images that can be turned by 90°. */
    input?: 'square images'
    /** What the loss itself remembered of these rows, an epoch before. */
    past?: boolean
  }
  /**
   * What can be set, by name, and its default. `temperature` and `alpha` are known to every command; a method that lacks one refuses it.
   * The loss at alpha 0 is the cross-entropy on the labels, perhaps times a factor.
   */
  parameters: Readonly<Record<string, number>>
  /** alpha is a share: the rest, 1 - alpha, is the cross-entropy's. So it is at most 1. */
  shares?: boolean
  /** Where a parameter has bounds: the least and the greatest value. */
  ranges?: Readonly<Record<string, readonly [least: number, greatest: number]>>
  /** Makes branches and memory for one student, before it is trained. */
  attach?(options: AttachOptions): Partial<Attachment>
  loss(inputs: LossInputs): tf.Scalar
}

export const methods: readonly Method[] = [
  kd,
  rsKd,
  ce,
  ls,
  logitMse,
  rkl,
  jsd,
  tvd,
  dkd,
  dist,
  stdKd,
  mlkd,
  cwtm,
  dkpp,
  tfKd,
  psKd,
  csKd,
  ddgsd,
  byot,
  dks,
  teskd,
  slaSd,
  frskd,
]

/** @throws DecantError where there is no such method, or the module at the path has none */
export async function findMethod(name: string): Promise<Method> {
  if (isPath(name)) return checkMethod(name, await findModule(name))
  const method = methods.find((method) => method.name === name)
  if (method) return method
  const names = methods.map(({ name }) => name).join(', ')
  throw new DecantError(`method '${name}': expected ${names}, or the path of a module (./my-method.ts)`)
}

function checkMethod(path: string, found: unknown): Method {
  const { needs, parameters = {}, shares = false, ranges = {}, attach, loss } = (found ?? {}) as Partial<Method>
  const fail = (expected: string) => new DecantError(`method ${path}: its default export: expected ${expected}`)
  if (typeof loss !== 'function') throw fail('an object with a function `loss`')
  if (!needs || ![false, 'buckets', 'dense', 'draws'].includes(needs.teacher) || typeof needs.labels !== 'boolean') {
    throw fail("`needs: { teacher: false | 'buckets' | 'dense' | 'draws', labels: true | false }`")
  }
  const wrong = Object.entries(parameters).find(([, value]) => !Number.isFinite(value))
  if (wrong) throw fail(`numbers as \`parameters\`, found ${wrong[0]}: ${wrong[1]}`)
  if (attach !== undefined && typeof attach !== 'function') throw fail('a function as `attach`')
  if (![undefined, 'class', 'view'].includes(needs.partner)) throw fail("`needs.partner` to be 'class' or 'view'")
  if (![undefined, 'features', 'stages'].includes(needs.student)) {
    throw fail("`needs.student` to be 'features' or 'stages'")
  }
  if (![undefined, 'label_logit', 'std'].includes(needs.statistic)) {
    throw fail("`needs.statistic` to be 'label_logit' or 'std'")
  }
  return { ...(found as Method), name: path, needs, parameters, shares, ranges }
}

/**
 * A method's parameters with what was set of them.
 * @throws DecantError naming the parameter that the method does not have, or whose value is no number
 */
export function completeParameters(method: Method, set: Readonly<Record<string, number>>): Record<string, number> {
  const { temperature: _, alpha: __, ...own } = method.parameters
  for (const [name, value] of Object.entries(set)) {
    if (!(name in own)) {
      const names = Object.keys(own)
      const expected = names.length > 0 ? `expected ${names.join(', ')}` : 'it has none'
      throw new DecantError(`parameter '${name}' of method ${method.name}: ${expected}`)
    }
    const [least, greatest] = method.ranges?.[name] ?? [-Number.MAX_VALUE, Number.MAX_VALUE]
    if (!(value >= least && value <= greatest)) {
      const expected = method.ranges?.[name] ? `a number from ${least} to ${greatest}` : 'a number'
      throw new DecantError(`parameter '${name}' of method ${method.name}: expected ${expected}, found ${value}`)
    }
  }
  return { ...own, ...set }
}
