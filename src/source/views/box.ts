import { DecantError } from '../../errors.js'
import type { Random } from '../../random.js'
import { between, type ImageShape, logUniform, real } from './augmentation.js'

/** A rectangle of whole pixels within an image: sides first, because they bound the corner. */
export const boxParameters = ['width', 'height', 'x', 'y']

/** What rectangles are drawn: their share of the image, and their aspect's bound. */
export interface BoxKind {
  least: number
  most: number
  ratio: number
}

/** @throws DecantError where the shares are the wrong way round */
export function boxKind(name: string, kind: BoxKind): BoxKind {
  if (kind.least > kind.most)
    throw new DecantError(
      `${name}: least ${kind.least} is more than most ${kind.most}: expected shares of the image in order`,
    )
  return kind
}

/** At most so many tries at a rectangle that lies within the image, as torchvision has it. */
const TRIES = 10

/** A rectangle of `area` (a share of the image, uniform from least to most) and of an aspect width/height log-uniform in [1/ratio, ratio], anywhere within the image; undefined where none was found. */
export function drawBox(
  random: Random,
  { least, most, ratio }: BoxKind,
  [height, width]: ImageShape,
): number[] | undefined {
  for (let i = 0; i < TRIES; i++) {
    const area = height * width * real(random, least, most)
    const aspect = logUniform(random, ratio)
    const w = Math.round(Math.sqrt(area * aspect))
    const h = Math.round(Math.sqrt(area / aspect))
    if (w >= 1 && w <= width && h >= 1 && h <= height)
      return [w, h, between(random, 0, width - w), between(random, 0, height - h)]
  }
  return undefined
}

/** Ranges of a rectangle's parameters; `least`: of its sides. */
export const boxRanges =
  (least: 0 | 1, [height, width]: ImageShape) =>
  (p: ArrayLike<number>): [number, number][] => [
    [least, width],
    [least, height],
    [0, width - p[0]!],
    [0, height - p[1]!],
  ]

/** Copies `from` and sets the rectangle to 0. */
export function blacken(from: Uint8Array, into: Uint8Array, box: number[], [, width, channels]: ImageShape): void {
  const [w, h, x, y] = box as [number, number, number, number]
  into.set(from)
  for (let row = y; row < y + h; row++) into.fill(0, (row * width + x) * channels, (row * width + x + w) * channels)
}
