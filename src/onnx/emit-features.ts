import type { ValueInfoProto } from 'onnx-buf'
import { DecantError } from '../errors.js'
import { printShape, printValueInfo, type ValueInfo } from './describe-model.js'
import type { ElementName } from './dtypes.js'
import { type Emit, emitCast } from './emit-ops.js'
import { fits, floats, integers } from './emit-pixels.js'
import { type Dimension, makeValueInfo } from './graph-builder.js'
import { layouts } from './layouts.js'

export interface FeaturesInput {
  kind: 'features'
  /** Of one row. */
  shape: readonly number[]
}

/**
 * In front of the teacher: 'features', float32 [N, ...shape], in its input's type and shape: as they are, flat, or with axes of
 * length 1 where it has them. Returns the declaration of 'features'. Throws DecantError where the two do not fit.
 */
export function emitFeatures(
  emit: Emit,
  options: { features: FeaturesInput; batch: string | number; input: ValueInfo },
): ValueInfoProto {
  const { features, batch, input } = options
  const { builder } = emit
  if (![...floats, ...integers].includes(input.dtype)) {
    throw new DecantError(`expected an input of numbers, found ${printValueInfo(input)}`)
  }
  const shape = arrange({ features, batch, input })
  const same = shape.length === features.shape.length
  const shaped = same ? 'features' : builder.node('Reshape', ['features', builder.i64([0, ...shape])])
  const value = input.dtype === 'float32' ? shaped : emitCast(emit, shaped, input.dtype as ElementName)
  builder.node('Identity', [value], {}, { outputs: [input.name] })
  return makeValueInfo('features', 'float32', [batch, ...features.shape])
}

interface Arrange {
  features: FeaturesInput
  batch: string | number
  input: ValueInfo
}

/** The shape in which the teacher takes a row. */
function arrange({ features: { shape }, batch, input }: Arrange): number[] {
  if (!input.shape) return [...shape]
  const flat = [shape.reduce((product, n) => product * n, 1)]
  // sizes of 1 that only one of the two spells out
  const spelled = insertOnes(shape, input.shape.slice(1))
  const found = [[...shape], flat, spelled].find((sizes) => fits([batch, ...sizes], input.shape!))
  if (found) return found
  throw new DecantError(
    `the teacher's input ${printValueInfo(input)} does not fit the features: they give ${printShape([batch, ...shape])}. Taken are ${layouts.features}`,
  )
}

/** `sizes` with a 1 wherever `taken` has one and they do not: [20] for [1, 20] gives [1, 20]. */
function insertOnes(sizes: readonly number[], taken: readonly Dimension[]): number[] {
  const rest = sizes.filter((size) => size !== 1)
  return taken.map((dim) => (dim === 1 ? 1 : (rest.shift() ?? 0))).concat(rest)
}
