import type { Random } from '../../random.js'

// An augmentation draws a few integers and applies them. What it applies is integer arithmetic alone, and what it draws with is +, -, ×, ÷ and
// square root of doubles, which IEEE 754 specifies to the bit: so a view is the same on every machine. No exp, log or cos: those are not.

/** Height, width, channels of an image of bytes, row-major. */
export type ImageShape = readonly [height: number, width: number, channels: number]

/** What may stand behind a name's colon: `crop:4` has one, `rrc:0.2:1` two. */
export interface Argument {
  name: string
  least: number
  most: number
  whole?: true
  /** Without it the argument must be given. */
  default?: number
}

/** An augmentation as it can be asked for. */
export interface AugmentationForm {
  name: string
  arguments: Argument[]
  /** Names of the integers that make one view of it. */
  parameters: string[]
  /** Bound to its arguments and to the images' shape. @throws DecantError where the images' shape does not allow it */
  make(given: number[], shape: ImageShape): Augmentation
}

/** Pure functions of the parameters: `p` has as many as the form names, each in its range. */
export interface Augmentation {
  draw(random: Random): number[]
  /** Least and most of each parameter, the later ones given those before: what a file from others is checked against. */
  ranges(p: ArrayLike<number>): [least: number, most: number][]
  /** Writes every byte of `into`, which is not `from`. */
  apply(from: Uint8Array, into: Uint8Array, p: ArrayLike<number>): void
}

/** Factors and weights in fixed point: 1 = 2¹⁶. */
export const ONE = 2 ** 16

/** Uniform in least..most, both included. */
export const between = (random: Random, least: number, most: number): number => least + random.below(most - least + 1)

/** A uniform real in [least, most) of 24 random bits. */
export const real = (random: Random, least: number, most: number): number => least + (most - least) * random.uniform()

/**
 * Log-uniform in [1/base, base): base^(2u - 1) for u uniform of 24 bits, as the product of base^½, base^¼, … over the bits of u, because
 * square roots are specified to the bit and `Math.exp` is not.
 */
export function logUniform(random: Random, base: number): number {
  const bits = random.uint32() >>> 8
  let value = 1
  for (let bit = 23, factor = base * base; bit >= 0; bit--) {
    factor = Math.sqrt(factor)
    if ((bits >>> bit) & 1) value *= factor
  }
  return value / base
}

/** The same bytes, but what is written is held to 0..255. */
export const clampedView = ({ buffer, byteOffset, length }: Uint8Array): Uint8ClampedArray =>
  new Uint8ClampedArray(buffer, byteOffset, length)
