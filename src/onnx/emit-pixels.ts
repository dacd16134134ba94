import type { ValueInfoProto } from 'onnx-buf'
import { DecantError } from '../errors.js'
import { printShape, printValueInfo, type ValueInfo } from './describe-model.js'
import type { ElementName } from './dtypes.js'
import { type Emit, emitCast } from './emit-ops.js'
import { type Dimension, makeValueInfo } from './graph-builder.js'
import { layouts } from './layouts.js'

export interface ImageInput {
  kind: 'image'
  height: number
  width: number
  channels: number
  /** What the teacher takes. */
  layout: 'NCHW' | 'NHWC'
  /** [channels]: the teacher sees x * multiply[c] + add[c] of the uint8 pixel x. */
  multiply: Float32Array
  add: Float32Array
}

export const floats = ['float32', 'float16', 'bfloat16', 'float64']
export const integers = ['uint8', 'int8', 'uint16', 'int16', 'uint32', 'int32', 'uint64', 'int64']

/**
 * In front of the teacher: 'pixels', uint8 [N, height, width, channels], normalised and laid out as its input. Returns the
 * declaration of 'pixels'. Throws DecantError where the two do not fit.
 */
export function emitPixels(
  emit: Emit,
  options: { image: ImageInput; batch: string | number; input: ValueInfo },
): ValueInfoProto {
  const { image, batch, input } = options
  const { height, width, channels } = image
  const arranged = arrange(image, batch, input)
  const value = reshape(emit, normalise(emit, image, { input, value: layOut(emit, image) }), arranged)
  emit.builder.node('Identity', [value], {}, { outputs: [input.name] })
  return makeValueInfo('pixels', 'uint8', [batch, height, width, channels])
}

/** Pixels in the teacher's layout, 4-D. Moved as uint8, which is a quarter of the bytes. */
function layOut({ builder }: Emit, { channels, height, width, layout }: ImageInput): string {
  if (layout === 'NHWC') return 'pixels'
  // One channel in front or behind is the same memory. 0 keeps the batch.
  if (channels === 1) return builder.node('Reshape', ['pixels', builder.i64([0, 1, height, width])])
  return builder.node('Transpose', ['pixels'], { perm: [0, 3, 1, 2] })
}

/** x * multiply + add in the teacher's type; computed in float32. */
function normalise(emit: Emit, image: ImageInput, options: { input: ValueInfo; value: string }): string {
  const { channels, multiply, add } = image
  const { input } = options
  if (multiply.length !== channels || add.length !== channels) {
    throw new DecantError(`expected ${channels} values to normalise by, found ${multiply.length} and ${add.length}`)
  }
  const dtype = input.dtype as ElementName
  const same = multiply.every((m) => m === 1) && add.every((a) => a === 0)
  if (same) return dtype === 'uint8' ? options.value : emitCast(emit, options.value, dtype)
  if (!floats.includes(dtype)) {
    throw new DecantError(
      `the teacher's input '${input.name}' takes pixels as ${dtype}: declare "scale": 1 and no mean or std, since they would be rounded`,
    )
  }
  let value = emitCast(emit, options.value, 'float32')
  value = emit.builder.node('Mul', [value, perChannel(emit, image, multiply)])
  if (add.some((a) => a !== 0)) value = emit.builder.node('Add', [value, perChannel(emit, image, add)])
  return dtype === 'float32' ? value : emitCast(emit, value, dtype)
}

/**
 * One value a channel, in a shape that ONNX Runtime broadcasts fast: a whole plane or image at a time. A broadcast over
 * the innermost axis of [N, H, W, C] takes ten times as long, since it goes C by C.
 */
function perChannel({ builder }: Emit, image: ImageInput, values: Float32Array): string {
  const { height, width, channels, layout } = image
  if (layout === 'NCHW') return builder.f32(values, [channels, 1, 1])
  return builder.node('Expand', [builder.f32(values), builder.i64([height, width, channels])])
}

/** The shape in which the teacher gets the image: 4-D, 3-D without a channel axis, or flat; a batch in front. */
function arrange(image: ImageInput, batch: string | number, input: ValueInfo): Dimension[] {
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
    `the teacher's input ${printValueInfo(input)} does not fit the images: they give ${printShape(full)} (${layout})${hint || `. Taken are ${layouts.image}`}`,
  )
}

/** Can an array of the one shape be fed where the other is taken? The batch aside. */
export function fits(given: readonly Dimension[], taken: readonly Dimension[]): boolean {
  const free = (dim: Dimension | undefined) => typeof dim !== 'number'
  return given.length === taken.length && given.every((dim, i) => i === 0 || free(taken[i]) || taken[i] === dim)
}

function reshape({ builder }: Emit, value: string, arranged: readonly Dimension[]): string {
  return arranged.length === 4
    ? value
    : builder.node('Reshape', [value, builder.i64([0, ...arranged.slice(1).map(Number)])])
}
