import type { ValueInfoProto } from 'onnx-buf'
import { DecantError } from '../errors.js'
import { printShape, printValueInfo, type ValueInfo } from './describe-model.js'
import type { ElementName } from './dtypes.js'
import { type Emit, emitCast } from './emit-ops.js'
import { type Dimension, makeValueInfo } from './graph-builder.js'

export interface ImageInput {
  height: number
  width: number
  channels: number
  /** What the teacher takes. */
  layout: 'NCHW' | 'NHWC'
  /** [channels]: the teacher sees x * multiply[c] + add[c] of the uint8 pixel x. */
  multiply: Float32Array
  add: Float32Array
}

const floats = ['float32', 'float16', 'bfloat16', 'float64']
const integers = ['uint8', 'int8', 'uint16', 'int16', 'uint32', 'int32', 'uint64', 'int64']

/**
 * In front of the teacher: 'pixels', uint8 [N, height, width, channels], normalised and laid out as its input. Returns the
 * declaration of 'pixels'. Throws DecantError where the two do not fit.
 */
export function emitPixels(
  emit: Emit,
  options: { image: ImageInput; batch: string; input: ValueInfo },
): ValueInfoProto {
  const { image, batch, input } = options
  const { height, width, channels } = image
  const arranged = arrange(image, batch, input)
  const value = layOut(emit, image, normalise(emit, image, input), arranged)
  emit.builder.node('Identity', [value], {}, { outputs: [input.name] })
  return makeValueInfo('pixels', 'uint8', [batch, height, width, channels])
}

/** x * multiply + add in the teacher's type, [N, height, width, channels]; computed in float32. */
function normalise(emit: Emit, { channels, multiply, add }: ImageInput, input: ValueInfo): string {
  const { builder } = emit
  if (multiply.length !== channels || add.length !== channels) {
    throw new DecantError(`expected ${channels} values to normalise by, found ${multiply.length} and ${add.length}`)
  }
  const dtype = input.dtype as ElementName
  const same = multiply.every((m) => m === 1) && add.every((a) => a === 0)
  if (same) return dtype === 'uint8' ? 'pixels' : emitCast(emit, 'pixels', dtype)
  if (!floats.includes(dtype)) {
    throw new DecantError(
      `the teacher's input '${input.name}' takes pixels as ${dtype}: declare "scale": 1 and no mean or std, since they would be rounded`,
    )
  }
  let value = emitCast(emit, 'pixels', 'float32')
  value = builder.node('Mul', [value, builder.f32(multiply)])
  if (add.some((a) => a !== 0)) value = builder.node('Add', [value, builder.f32(add)])
  return dtype === 'float32' ? value : emitCast(emit, value, dtype)
}

/** The shape in which the teacher gets the image: 4-D, 3-D without a channel axis, or flat; a batch in front. */
function arrange(image: ImageInput, batch: string, input: ValueInfo): Dimension[] {
  const { height, width, channels, layout } = image
  const full = layout === 'NCHW' ? [batch, channels, height, width] : [batch, height, width, channels]
  if (![...floats, ...integers].includes(input.dtype)) {
    throw new DecantError(`expected an input of numbers, found ${printValueInfo(input)}`)
  }
  if (!input.shape) return full
  const arrangements = [full, [batch, height * width * channels], ...(channels === 1 ? [[batch, height, width]] : [])]
  const found = arrangements.find((shape) => fits(shape, input.shape!))
  if (found) return found
  const other = layout === 'NCHW' ? [batch, height, width, channels] : [batch, channels, height, width]
  const hint = fits(other, input.shape) ? `; is its layout ${layout === 'NCHW' ? 'NHWC' : 'NCHW'}?` : ''
  throw new DecantError(
    `the teacher's input ${printValueInfo(input)} does not fit the images: they give ${printShape(full)} (${layout})${hint}`,
  )
}

function fits(given: readonly Dimension[], taken: readonly Dimension[]): boolean {
  const free = (dim: Dimension | undefined) => typeof dim !== 'number'
  return given.length === taken.length && given.every((dim, i) => i === 0 || free(taken[i]) || taken[i] === dim)
}

/** From [N, height, width, channels] to the arranged shape. */
function layOut({ builder }: Emit, image: ImageInput, value: string, arranged: readonly Dimension[]): string {
  const { channels, height, width, layout } = image
  const moves = layout === 'NCHW' && channels > 1 && height * width > 1
  const moved = moves ? builder.node('Transpose', [value], { perm: [0, 3, 1, 2] }) : value
  if (arranged.length === 4 && (moves || layout === 'NHWC')) return moved
  // One channel in front or behind is the same memory. 0 keeps the batch.
  return builder.node('Reshape', [moved, builder.i64([0, ...arranged.slice(1).map(Number)])])
}
