import { initializers, type LayersModel, layers, sequential } from '@tensorflow/tfjs-layers'
import { DecantError } from '../errors.js'
import { random } from '../random.js'

export interface StudentOptions {
  /** of one normalised image */
  inputShape: [height: number, width: number, channels: number]
  classes: number
  /** A positive integer; seed every initializer from it, and the same seed gives the same student. */
  seed: number
}

/** Makes a student: float32 [N, H, W, C] in, raw logits float32 [N, classes] out. The signature of a user's own module, too. */
export type MakeStudent = (options: StudentOptions) => LayersModel | Promise<LayersModel>

const forms = 'linear, mlp:<units>,… (mlp:128, mlp:800,800), cnn:<filters>,… (cnn:32,64)'

/** A student of the zoo by its specification, as `mlp:800,800`. */
export function zooStudent(specification: string): MakeStudent {
  const [, family, list] = /^([a-z]+)(?::(.*))?$/.exec(specification) ?? []
  const make = families.get(family ?? '')
  if (!make) throw unknown(specification, `expected one of ${forms}, or the path of a module (./my-student.ts)`)
  const sizes = (list ?? '').split(',').filter((text) => text !== '')
  if ((family === 'linear') !== (sizes.length === 0) || !sizes.every((text) => /^[1-9]\d{0,5}$/.test(text))) {
    throw unknown(specification, `expected ${forms}`)
  }
  return (options) => make(sizes.map(Number), options)
}

const unknown = (specification: string, expected: string) => new DecantError(`student '${specification}': ${expected}`)

const families = new Map<string, (sizes: number[], options: StudentOptions) => LayersModel>([
  ['linear', mlp],
  ['mlp', mlp],
  ['cnn', cnn],
])

function mlp(units: number[], { inputShape, classes, seed }: StudentOptions): LayersModel {
  return sequential({
    name: 'student',
    layers: [
      layers.flatten({ inputShape, name: 'flatten' }),
      ...units.map((n, i) =>
        layers.dense({ units: n, activation: 'relu', name: `dense${i + 1}`, ...seeded(seed, `dense${i + 1}`) }),
      ),
      layers.dense({ units: classes, name: 'logits', ...seeded(seed, 'logits') }),
    ],
  })
}

/** 3×3 convolution, relu and 2×2 max-pool for each entry of `filters`, then one dense layer. */
function cnn(filters: number[], { inputShape, classes, seed }: StudentOptions): LayersModel {
  const [height, width] = inputShape
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
