import { type Augmentation, type AugmentationForm, between } from './augmentation.js'

const coin: Pick<Augmentation, 'draw' | 'ranges'> = {
  draw: (random) => [between(random, 0, 1)],
  ranges: () => [[0, 1]],
}

/** `flip`: left and right change places in every second view. */
export const flip: AugmentationForm = {
  name: 'flip',
  arguments: [],
  parameters: ['flipped'],
  make: (_, [height, width, channels]) => ({
    ...coin,
    apply(from, into, p) {
      if (!p[0]) return into.set(from)
      for (let y = 0, to = 0; y < height; y++)
        for (let x = width - 1; x >= 0; x--)
          for (let c = 0, at = (y * width + x) * channels; c < channels; c++) into[to++] = from[at++]!
    },
  }),
}

/** `vflip`: top and bottom change places in every second view; for images without an upright, as of tissue or from above. */
export const vflip: AugmentationForm = {
  name: 'vflip',
  arguments: [],
  parameters: ['flipped'],
  make: (_, [height, width, channels]) => ({
    ...coin,
    apply(from, into, p) {
      if (!p[0]) return into.set(from)
      const row = width * channels
      for (let y = 0; y < height; y++) into.set(from.subarray(y * row, (y + 1) * row), (height - 1 - y) * row)
    },
  }),
}
