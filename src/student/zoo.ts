import type { LayersModel } from '@tensorflow/tfjs-layers'
import { DecantError } from '../errors.js'
import { describeInput, type StudentInput } from './inputs.js'
import { cnn } from './zoo/cnn.js'
import { mlp } from './zoo/dense.js'
import { mobilenet } from './zoo/mobilenet.js'
import { resnet } from './zoo/resnet.js'
import { bag, transformer } from './zoo/text.js'

export { tfjsSeed } from './zoo/layers.js'

export interface StudentOptions {
  /** What comes in: its kind, its shape and, of tokens, how many there are. */
  input: StudentInput
  /** `input.shape`: [height, width, channels] of images, of any length of features, [length] of tokens. */
  inputShape: number[]
  /** 1; or the length of the tokens, where the teacher has logits for each: the student gives [N, positions, classes] then. */
  positions: number
  classes: number
  /** A positive integer; seed every initializer from it, and the same seed gives the same student. */
  seed: number
}

/**
 * Makes a student: [N, ...inputShape] in, float32 normalised images or features, or int32 tokens (id + 1, 0 = padding); raw logits
 * float32 [N, classes] out. The signature of a user's own module, too. Methods that look into a student find the outputs of its stages
 * by the names of layers, stage1, stage2, …
 */
export type MakeStudent = (options: StudentOptions) => LayersModel | Promise<LayersModel>

interface Family {
  form: string
  /** How many numbers it takes. */
  takes: (count: number) => boolean
  /** of input */
  kinds: StudentInput['kind'][]
  make: (sizes: number[], options: StudentOptions) => LayersModel
}

const families: Record<string, Family> = {
  linear: { form: 'linear', takes: (n) => n === 0, kinds: ['image', 'features'], make: mlp },
  mlp: { form: 'mlp:<units>,… (mlp:128, mlp:800,800)', takes: (n) => n > 0, kinds: ['image', 'features'], make: mlp },
  cnn: { form: 'cnn:<filters>,… (cnn:32,64)', takes: (n) => n > 0, kinds: ['image'], make: cnn },
  resnet: {
    form: 'resnet:<depth>,<width> (resnet:20,16)',
    takes: (n) => n === 2,
    kinds: ['image'],
    make: (sizes, options) => resnet(sizes as [number, number], options),
  },
  mobilenet: {
    form: 'mobilenet:<width> (mobilenet:16)',
    takes: (n) => n === 1,
    kinds: ['image'],
    make: (sizes, options) => mobilenet(sizes as [number], options),
  },
  bag: {
    form: 'bag:<dim> (bag:64)',
    takes: (n) => n === 1,
    kinds: ['tokens'],
    make: (sizes, options) => bag(sizes as [number], options),
  },
  transformer: {
    form: 'transformer:<dim>,<layers> (transformer:64,2)',
    takes: (n) => n === 2,
    kinds: ['tokens'],
    make: (sizes, options) => transformer(sizes as [number, number], options),
  },
}

const forms = Object.values(families)
  .map(({ form }) => form)
  .join(', ')

/** A student of the zoo by its specification, as `mlp:800,800`. */
export function zooStudent(specification: string): MakeStudent {
  const [, name = '', list = ''] = /^([a-z]+)(?::(.*))?$/.exec(specification) ?? []
  const family = Object.hasOwn(families, name) ? families[name] : undefined
  if (!family) throw unknown(specification, `expected one of ${forms}, or the path of a module (./my-student.ts)`)
  const sizes = list.split(',').filter((text) => text !== '')
  if (!family.takes(sizes.length) || !sizes.every((text) => /^[1-9]\d{0,5}$/.test(text))) {
    throw unknown(specification, `expected ${forms}`)
  }
  return (options) => {
    const { kind } = options.input
    if (!family.kinds.includes(kind)) {
      const other = kind === 'tokens' ? '; bag and transformer learn from tokens' : ''
      throw unknown(
        specification,
        `learns from ${names(family.kinds)}, and the rows are ${describeInput(options.input)}${other}`,
      )
    }
    return family.make(sizes.map(Number), options)
  }
}

const names = (kinds: StudentInput['kind'][]) =>
  kinds.map((kind) => ({ image: 'images', features: 'features', tokens: 'tokens' })[kind]).join(' or ')

const unknown = (specification: string, expected: string) => new DecantError(`student '${specification}': ${expected}`)
