import { DecantError } from '../../errors.js'
import { random } from '../../random.js'
import type { Argument, Augmentation, AugmentationForm, ImageShape } from './augmentation.js'
import { crop } from './crop.js'
import { cutout, erase } from './erase.js'
import { flip, vflip } from './flip.js'
import { jitter } from './jitter.js'
import { noise } from './noise.js'
import { resizedCrop } from './resized-crop.js'
import { rotate90 } from './rotate90.js'

/**
 * The version of drawing and applying: a dataset says which one made its views. It rises when any augmentation gives other bytes for the same
 * parameters; a test holds their digests.
 */
export const PIPELINE_VERSION = 1

const forms: AugmentationForm[] = [crop, resizedCrop, flip, vflip, rotate90, jitter, erase, cutout, noise]

/** Where the reason is not that nobody built it. */
const refused: Record<string, string> = {
  mixup: 'it mixes two samples, and a row is a view of one sample',
  cutmix: 'it pastes a piece of another sample, and a row is a view of one sample',
  mosaic: 'it joins four samples, and a row is a view of one sample',
}

/** A list of at most so many augmentations: more is a mistake, or a hostile manifest. */
const MAX_STEPS = 16

/** Augmentations in order, bound to a shape. */
export interface ViewPipeline {
  shape: ImageShape
  /** The list with every argument written out: `crop:4,flip`. The same text and shape give the same pipeline. */
  augment: string
  /** `crop.x`, `crop.y`, `flip.flipped`: the P integers of one view; where a name comes twice, `crop2.x`. */
  parameters: string[]
  /** `first`: index of its first parameter. */
  steps: { augmentation: Augmentation; first: number; count: number }[]
}

/**
 * Reads a list like `crop:4,flip,jitter:0.4:0.4` for images of `shape`.
 * @throws DecantError naming what is unknown, what cannot be replayed and why, or which argument is missing or out of range
 */
export function parseAugment(text: string, shape: ImageShape): ViewPipeline {
  const parts = text.split(',').map((part) => part.trim())
  if (parts.length > MAX_STEPS)
    throw new DecantError(`augment: ${parts.length} augmentations, expected at most ${MAX_STEPS}`)
  const pipeline: ViewPipeline = { shape, augment: '', parameters: [], steps: [] }
  const canonical: string[] = []
  const seen = new Map<string, number>()
  for (const part of parts) {
    const [name = '', ...given] = part.split(':')
    const form = findForm(name)
    const values = readArguments(form, given, part)
    const times = (seen.get(name) ?? 0) + 1
    seen.set(name, times)
    pipeline.steps.push({
      augmentation: form.make(values, shape),
      first: pipeline.parameters.length,
      count: form.parameters.length,
    })
    pipeline.parameters.push(...form.parameters.map((parameter) => `${name}${times > 1 ? times : ''}.${parameter}`))
    canonical.push([name, ...values].join(':'))
  }
  pipeline.augment = canonical.join(',')
  return pipeline
}

/**
 * The parameters of one view of one sample, int32 [P]: a function of seed, the sample's id and the view's number alone, whatever was drawn before.
 */
export function drawView(
  pipeline: ViewPipeline,
  { seed, id, view }: { seed: number; id: string; view: number },
): Int32Array {
  const stream = random(seed, 'view', id, view)
  return Int32Array.from(pipeline.steps.flatMap(({ augmentation }) => augmentation.draw(stream)))
}

/** Why parameters are none that this pipeline can apply, as `name: expected …, found …`; undefined where they are. */
export function faultOf({ steps, parameters }: ViewPipeline, p: ArrayLike<number>): string | undefined {
  if (p.length !== parameters.length) return `expected ${parameters.length} parameters, found ${p.length}`
  for (const { augmentation, first, count } of steps) {
    const own = Array.from({ length: count }, (_, i) => p[first + i]!)
    for (const [i, [least, most]] of augmentation.ranges(own).entries())
      if (!(own[i]! >= least && own[i]! <= most))
        return `${parameters[first + i]}: expected ${least} to ${most}, found ${own[i]}`
  }
  return undefined
}

/**
 * Makes the function that gives a view: reads bytes [height, width, channels] and writes as many into `into`. Parameters must have no fault
 * ({@link faultOf}). It keeps buffers between calls, so a thread has its own.
 */
export function createApply({
  steps,
  shape,
}: ViewPipeline): (pixels: Uint8Array, p: ArrayLike<number>, into: Uint8Array) => void {
  const bytes = shape[0] * shape[1] * shape[2]
  const between = [new Uint8Array(bytes), new Uint8Array(bytes)]
  const own = steps.map(({ count }) => new Int32Array(count))
  return (pixels, p, into) => {
    let from = pixels
    for (const [i, { augmentation, first, count }] of steps.entries()) {
      const to = i === steps.length - 1 ? into : between[i & 1]!
      for (let k = 0; k < count; k++) own[i]![k] = p[first + k]!
      augmentation.apply(from, to, own[i]!)
      from = to
    }
  }
}

/** One view as bytes of its own: {@link createApply} for a single image. */
export function applyView(pipeline: ViewPipeline, pixels: Uint8Array, p: ArrayLike<number>): Uint8Array {
  const into = new Uint8Array(pixels.length)
  createApply(pipeline)(pixels, p, into)
  return into
}

function findForm(name: string): AugmentationForm {
  const form = forms.find((form) => form.name === name)
  if (form) return form
  const why = refused[name] ?? 'decant does not know it, so it could not show a student the view that the teacher saw'
  throw new DecantError(`augment: '${name}' cannot be replayed: ${why}. What can: ${forms.map(usage).join(', ')}`)
}

function readArguments(form: AugmentationForm, given: string[], part: string): number[] {
  if (given.length > form.arguments.length)
    throw new DecantError(`augment: '${part}': expected ${usage(form)}, found ${given.length} arguments`)
  return form.arguments.map((argument, i) => {
    const text = given[i]
    if (text === undefined && argument.default !== undefined) return argument.default
    const value = text === undefined || text.trim() === '' ? Number.NaN : Number(text)
    const { least, most, whole } = argument
    if (!(value >= least && value <= most) || (whole && !Number.isInteger(value)))
      throw new DecantError(
        `augment: '${part}': ${argument.name}: expected a ${whole ? 'whole ' : ''}number from ${least} to ${most}, found ${text === undefined ? 'nothing' : `'${text}'`} (${usage(form)})`,
      )
    return value
  })
}

/** `crop:<pad>`, `erase[:<probability>[:<least>[:<most>]]]`: as errors and the help show it. */
export function usage({ name, arguments: all }: { name: string; arguments: Argument[] }): string {
  const optional = all.filter((argument) => argument.default !== undefined)
  const needed = all.filter((argument) => argument.default === undefined)
  return (
    name +
    needed.map((argument) => `:<${argument.name}>`).join('') +
    optional.map((argument) => `[:<${argument.name}>`).join('') +
    ']'.repeat(optional.length)
  )
}

/** All that `--augment` takes, in one line. */
export const augmentations = forms.map(usage).join(', ')
