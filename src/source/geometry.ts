import { DecantError } from '../errors.js'
import type { Preprocess } from './preprocess.js'

export interface Size {
  width: number
  height: number
}

/** Some pixels of a larger picture. */
export interface Box extends Size {
  left: number
  top: number
}

/** What is done to the pixel grid, in this order. Absent: not done. */
export interface Geometry {
  /** Is cut out of the image. */
  cut?: Box
  /** What that becomes. */
  resize?: Size
  /** Is cut out of the resized image. */
  crop?: Box
  /** Where the image lies in the result; the rest is filled. */
  pad?: { left: number; top: number }
  result: Size
}

/** Above this an image is refused: 1×65,535 pixels resized to `shorter: 256` would be 4 Gpixel. The same bound as sharp's for its input. */
export const MAX_PIXELS = 0x3fff * 0x3fff

/**
 * What becomes of an image of this size (after EXIF rotation).
 * - crop by ratio: r of each side, before the resize: ⌊(side - r·side)/2⌋ is cut off at either end, as TensorFlow's central_crop does;
 * - resize by `shorter`: the longer side is ⌊s·long/short⌋, as in torchvision;
 * - resize with `fit: pad`: the side that fits is exact, the other rounded, half to even, as in Pillow's ImageOps.pad. What is left over is halved, an
 *   odd pixel goes to the right or below; with `align: start` all of it does;
 * - crop by size: the offset is half of what is cut, rounded half to even, as in torchvision.
 * @throws DecantError where the crop is larger than the image, or the resized image is beyond MAX_PIXELS
 */
export function planGeometry(image: Size, { resize, crop }: Preprocess): Geometry {
  const plan: Geometry = { result: image }
  if (crop && 'ratio' in crop) {
    const [left, top] = [cutOff(image.width, crop.ratio), cutOff(image.height, crop.ratio)]
    plan.result = { width: image.width - 2 * left, height: image.height - 2 * top }
    if (!sameSize(plan.result, image)) plan.cut = { ...plan.result, left, top }
  }
  if (resize) {
    const before = plan.result
    plan.result = resized(before, resize)
    if (plan.result.width * plan.result.height > MAX_PIXELS)
      throw new DecantError(
        `resized from ${sizeText(before)} it would be ${sizeText(plan.result)}, at most ${MAX_PIXELS} pixels are allowed`,
      )
    if (!sameSize(plan.result, before)) plan.resize = plan.result
    if ('fit' in resize && resize.fit === 'pad') {
      const { width, height } = resize
      const [right, below] = [width - plan.result.width, height - plan.result.height]
      const part = resize.align === 'start' ? 0 : 0.5
      if (right + below > 0) plan.pad = { left: Math.floor(right * part), top: Math.floor(below * part) }
      plan.result = { width, height }
    }
  }
  if (crop && 'width' in crop) {
    const { width, height } = plan.result
    if (crop.width > width || crop.height > height)
      throw new DecantError(
        `the crop ${sizeText(crop)} is larger than the image, ${sizeText(plan.result)}${plan.resize ? ' after resizing' : ''}`,
      )
    const [left, top] = [halfToEven(width - crop.width), halfToEven(height - crop.height)]
    if (!sameSize(crop, plan.result)) plan.crop = { ...crop, left, top }
    plan.result = { ...crop }
  }
  return plan
}

/** The size that every image has after preprocessing, where the declaration alone says it. */
export function declaredSize({ resize, crop }: Preprocess): Size | undefined {
  if (crop && 'width' in crop) return crop
  return resize && 'width' in resize ? { width: resize.width, height: resize.height } : undefined
}

/** `28×28`: width × height, as image programs print it. */
export const sizeText = ({ width, height }: Size): string => `${width}×${height}`

export const sameSize = (a: Size, b: Size): boolean => a.width === b.width && a.height === b.height

function resized({ width, height }: Size, resize: NonNullable<Preprocess['resize']>): Size {
  if ('shorter' in resize) {
    const long = (side: number, other: number) =>
      side <= other ? resize.shorter : Math.floor((resize.shorter * side) / other)
    return { width: long(width, height), height: long(height, width) }
  }
  if (resize.fit !== 'pad') return { width: resize.width, height: resize.height }
  return resize.width * height <= resize.height * width
    ? { width: resize.width, height: Math.max(1, divideToEven(height * resize.width, width)) }
    : { width: Math.max(1, divideToEven(width * resize.height, height)), height: resize.height }
}

/** What a ratio leaves out at either end. A last bit of a product may not cut a pixel off: 0.1 of 30 is 3. */
const cutOff = (side: number, ratio: number): number =>
  Math.min(Math.floor((side - side * ratio) / 2 + 1e-9), Math.floor((side - 1) / 2))

/** a/b of whole numbers, rounded to nearest, half to even. */
function divideToEven(a: number, b: number): number {
  const [whole, rest] = [Math.floor(a / b), 2 * (a % b)]
  return rest > b || (rest === b && whole % 2 === 1) ? whole + 1 : whole
}

const halfToEven = (n: number): number => divideToEven(n, 2)
