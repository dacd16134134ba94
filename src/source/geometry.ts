import { DecantError } from '../errors.js'
import type { Preprocess } from './preprocess.js'

export interface Size {
  width: number
  height: number
}

/** What is done to the pixel grid: resize to `size`, then cut `crop` out of it. Absent: not done. */
export interface Geometry {
  resize?: Size
  crop?: Size & { left: number; top: number }
  result: Size
}

/** Above this an image is refused: 1×65,535 pixels resized to `shorter: 256` would be 4 Gpixel. The same bound as sharp's for its input. */
export const MAX_PIXELS = 0x3fff * 0x3fff

/**
 * Resize and centre crop of an image of this size (after EXIF rotation), with torchvision's rounding: the longer side is floor(s·long/short),
 * the crop's offset is half of what is cut, rounded half to even.
 * @throws DecantError where the crop is larger than the image, or the resized image is beyond MAX_PIXELS
 */
export function planGeometry({ width, height }: Size, { resize, crop }: Preprocess): Geometry {
  let result = { width, height }
  if (resize && 'shorter' in resize) {
    const long = (side: number, other: number) =>
      side <= other ? resize.shorter : Math.floor((resize.shorter * side) / other)
    result = { width: long(width, height), height: long(height, width) }
  } else if (resize) result = { width: resize.width, height: resize.height }
  if (result.width * result.height > MAX_PIXELS)
    throw new DecantError(
      `resized from ${sizeText({ width, height })} it would be ${sizeText(result)}, at most ${MAX_PIXELS} pixels are allowed`,
    )
  const plan: Geometry = { result }
  if (result.width !== width || result.height !== height) plan.resize = result
  if (crop) {
    if (crop.width > result.width || crop.height > result.height)
      throw new DecantError(
        `the crop ${sizeText(crop)} is larger than the image, ${sizeText(result)}${plan.resize ? ' after resizing' : ''}`,
      )
    const [left, top] = [halfToEven(result.width - crop.width), halfToEven(result.height - crop.height)]
    if (crop.width !== result.width || crop.height !== result.height) plan.crop = { ...crop, left, top }
    plan.result = { ...crop }
  }
  return plan
}

/** The size that every image has after preprocessing, where the declaration alone says it. */
export function declaredSize({ resize, crop }: Preprocess): Size | undefined {
  if (crop) return crop
  return resize && 'width' in resize ? resize : undefined
}

/** `28×28`: width × height, as image programs print it. */
export const sizeText = ({ width, height }: Size): string => `${width}×${height}`

function halfToEven(n: number): number {
  return n % 4 === 1 ? (n - 1) / 2 : Math.ceil(n / 2)
}
