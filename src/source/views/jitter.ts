import { type AugmentationForm, between, clampedView, type ImageShape, ONE } from './augmentation.js'

/**
 * `jitter:<brightness>[:<contrast>[:<saturation>]]`: x·b, then the distance to the mean luma ·c, then, in colour images, the distance to the
 * pixel's own luma ·s; each factor uniform in [max(0, 1 - strength), 1 + strength], rounded and held to 0..255 after each (torchvision's
 * ColorJitter without hue, in a fixed order). Parameters are the factors in 2^-16.
 */
export const jitter: AugmentationForm = {
  name: 'jitter',
  arguments: [
    { name: 'brightness', least: 0, most: 8 },
    { name: 'contrast', least: 0, most: 8, default: 0 },
    { name: 'saturation', least: 0, most: 8, default: 0 },
  ],
  parameters: ['brightness', 'contrast', 'saturation'],
  make(strengths, shape) {
    const ranges = strengths.map((strength): [number, number] => {
      const spread = Math.round(strength * ONE)
      return [Math.max(0, ONE - spread), ONE + spread]
    })
    return {
      draw: (random) => ranges.map(([least, most]) => between(random, least, most)),
      ranges: () => ranges,
      apply(from, into, p) {
        const [brightness, contrast, saturation] = [p[0]!, p[1]!, p[2]!]
        translate(from, into, (x) => blend(x, 0, brightness))
        if (contrast !== ONE) {
          const mean = meanLuma(into, shape)
          translate(into, into, (x) => blend(x, mean, contrast))
        }
        if (saturation === ONE || shape[2] !== 3) return
        const clamped = clampedView(into)
        for (let i = 0; i < into.length; i += 3) {
          const gray = luma(into, i)
          clamped[i] = blend(into[i]!, gray, saturation)
          clamped[i + 1] = blend(into[i + 1]!, gray, saturation)
          clamped[i + 2] = blend(into[i + 2]!, gray, saturation)
        }
      },
    }
  },
}

/** base + (x - base)·factor, rounded to nearest, halves up. */
const blend = (x: number, base: number, factor: number): number => base + (((x - base) * factor + ONE / 2) >> 16)

/** Maps every byte by a table of what becomes of each of the 256. */
function translate(from: Uint8Array, into: Uint8Array, map: (x: number) => number): void {
  const table = Uint8ClampedArray.from({ length: 256 }, (_, x) => map(x))
  for (let i = 0; i < from.length; i++) into[i] = table[from[i]!]!
}

/** ITU-R 601 luma of a pixel, in 2^-16, rounded. */
const luma = (rgb: Uint8Array, at: number): number =>
  (19_595 * rgb[at]! + 38_470 * rgb[at + 1]! + 7_471 * rgb[at + 2]! + ONE / 2) >> 16

function meanLuma(pixels: Uint8Array, [height, width, channels]: ImageShape): number {
  let sum = 0
  if (channels === 3) for (let i = 0; i < pixels.length; i += 3) sum += luma(pixels, i)
  else for (const x of pixels) sum += x
  const n = channels === 3 ? height * width : pixels.length
  return Math.floor((2 * sum + n) / (2 * n))
}
