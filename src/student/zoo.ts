import { initializers, type LayersModel, layers, sequential } from '@tensorflow/tfjs-layers'
import { DecantError } from '../errors.js'
import { random } from '../random.js'
import { describeInput, type StudentInput } from './inputs.js'

export interface StudentOptions {
  /** What comes in: its kind, its shape and, of tokens, how many there are. */
  input: StudentInput
  /** `input.shape`: [height, width, channels] of images, of any length of features, [length] of tokens. */
  inputShape: number[]
  classes: number
  /** A positive integer; seed every initializer from it, and the same seed gives the same student. */
  seed: number
}

/**
 * Makes a student: [N, ...inputShape] in, float32 normalised images or features, or int32 tokens (id + 1, 0 = padding); raw logits
 * float32 [N, classes] out. The signature of a user's own module, too.
 */
export type MakeStudent = (options: StudentOptions) => LayersModel | Promise<LayersModel>

const forms = 'linear, mlp:<units>,… (mlp:128, mlp:800,800), cnn:<filters>,… (cnn:32,64)'

/** A student of the zoo by its specification, as `mlp:800,800`. */
export function zooStudent(specification: string): MakeStudent {
  const [, family, list] = /^([a-z]+)(?::(.*))?$/.exec(specification) ?? []
  const found = families.get(family ?? '')
  if (!found) throw unknown(specification, `expected one of ${forms}, or the path of a module (./my-student.ts)`)
  const sizes = (list ?? '').split(',').filter((text) => text !== '')
  if ((family === 'linear') !== (sizes.length === 0) || !sizes.every((text) => /^[1-9]\d{0,5}$/.test(text))) {
    throw unknown(specification, `expected ${forms}`)
  }
  const { make, kinds } = found
  return (options) => {
    const { kind } = options.input
    if (!kinds.includes(kind)) {
      const own = kind === 'tokens' ? '; take the path of a module (./my-student.ts)' : ''
      throw unknown(
        specification,
        `learns from ${names(kinds)}, and the rows are ${describeInput(options.input)}${own}`,
      )
    }
    return make(sizes.map(Number), options)
  }
}

const unknown = (specification: string, expected: string) => new DecantError(`student '${specification}': ${expected}`)

interface Family {
  make: (sizes: number[], options: StudentOptions) => LayersModel
  /** of input */
  kinds: StudentInput['kind'][]
}

const families = new Map<string, Family>([
  ['linear', { make: mlp, kinds: ['image', 'features'] }],
  ['mlp', { make: mlp, kinds: ['image', 'features'] }],
  ['cnn', { make: cnn, kinds: ['image'] }],
])

const names = (kinds: StudentInput['kind'][]) =>
  kinds.map((kind) => ({ image: 'images', features: 'features', tokens: 'tokens' })[kind]).join(' or ')

function mlp(units: number[], { inputShape, classes, seed }: StudentOptions): LayersModel {
  return sequential({
    name: 'student',
    layers: [
      inputShape.length > 1 ? layers.flatten({ inputShape, name: 'flatten' }) : layers.inputLayer({ inputShape }),
      ...units.map((n, i) =>
        layers.dense({ units: n, activation: 'relu', name: `dense${i + 1}`, ...seeded(seed, `dense${i + 1}`) }),
      ),
      layers.dense({ units: classes, name: 'logits', ...seeded(seed, 'logits') }),
    ],
  })
}

/** 3×3 convolution, relu and 2×2 max-pool for each entry of `filters`, then one dense layer. */
function cnn(filters: number[], { inputShape, classes, seed }: StudentOptions): LayersModel {
  const [height, width] = inputShape as [number, number, number]
  if (Math.min(height, width) >> filters.length < 1) {
    throw new DecantError(
      `student 'cnn:${filters}': ${filters.length} poolings leave nothing of ${height}x${width} images`,
    )
  }
  const blocks = filters.flatMap((n, i) => [
    layers.conv2d({
      ...(i === 0 && { inputShape }),
      filters: n,
      kernelSize: 3,
      padding: 'same',
      activation: 'relu',
      name: `conv${i + 1}`,
      ...seeded(seed, `conv${i + 1}`),
    }),
    layers.maxPooling2d({ poolSize: 2, name: `pool${i + 1}` }),
  ])
  const head = [
    layers.flatten({ name: 'flatten' }),
    layers.dense({ units: classes, name: 'logits', ...seeded(seed, 'logits') }),
  ]
  return sequential({ name: 'student', layers: [...blocks, ...head] })
}

/** Glorot and Bengio 2010, equation 16, from a stream of the layer's own: a layer more does not change the others. */
function seeded(seed: number, layer: string) {
  return { kernelInitializer: initializers.glorotUniform({ seed: tfjsSeed(seed, 'init', layer) }) }
}

/** tfjs takes 0 for "no seed". */
export const tfjsSeed = (...path: (string | number)[]): number => random(...path).uint32() || 1
