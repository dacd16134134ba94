import { type AugmentationForm, between } from './augmentation.js'
import { blacken, boxKind, boxParameters, boxRanges, drawBox } from './box.js'

/**
 * `erase[:<probability>[:<least>[:<most>]]]`: with that probability, a rectangle that covers from `least` to `most` of the image becomes 0
 * (random erasing, Zhong et al. 2020, with their defaults 0.5, 0.02, 0.4 and aspect 0.3 to 1/0.3). Sides of 0: nothing is erased.
 */
export const erase: AugmentationForm = {
  name: 'erase',
  arguments: [
    { name: 'probability', least: 0, most: 1, default: 0.5 },
    { name: 'least', least: 0, most: 1, default: 0.02 },
    { name: 'most', least: 0, most: 1, default: 0.4 },
  ],
  parameters: boxParameters,
  make([probability, least, most], shape) {
    const kind = boxKind('erase', { least: least!, most: most!, ratio: 1 / 0.3 })
    return {
      draw: (random) => (random.uniform() < probability! && drawBox(random, kind, shape)) || [0, 0, 0, 0],
      ranges: boxRanges(0, shape),
      apply: (from, into, p) => blacken(from, into, Array.from(p), shape),
    }
  },
}

/** `cutout:<side>`: a square of 0 whose centre is anywhere in the image, cut off at its border (DeVries and Taylor 2017). x, y: the centre. */
export const cutout: AugmentationForm = {
  name: 'cutout',
  arguments: [{ name: 'side', least: 1, most: 65_535, whole: true }],
  parameters: ['x', 'y'],
  make([side], shape) {
    const [height, width] = shape
    const cut = (centre: number, length: number): [from: number, length: number] => {
      const start = centre - (side! >> 1)
      const from = Math.max(0, start)
      return [from, Math.min(length, start + side!) - from]
    }
    return {
      draw: (random) => [between(random, 0, width - 1), between(random, 0, height - 1)],
      ranges: () => [
        [0, width - 1],
        [0, height - 1],
      ],
      apply(from, into, p) {
        const [x, w] = cut(p[0]!, width)
        const [y, h] = cut(p[1]!, height)
        blacken(from, into, [w, h, x, y], shape)
      },
    }
  },
}
