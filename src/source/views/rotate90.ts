import { DecantError } from '../../errors.js'
import { type AugmentationForm, between } from './augmentation.js'

/** `rotate90`: by 0, 90, 180 or 270 degrees clockwise (Gidaris et al. 2018). Images must be square. */
export const rotate90: AugmentationForm = {
  name: 'rotate90',
  arguments: [],
  parameters: ['turns'],
  make(_, [height, width, channels]) {
    if (height !== width)
      throw new DecantError(`rotate90 turns square images only, these are ${width}×${height}: crop them square first`)
    // The byte that lands in (y, x) lies at start + y·down + x·right, in pixels.
    const paths = [
      { start: 0, down: width, right: 1 },
      { start: (height - 1) * width, down: 1, right: -width },
      { start: height * width - 1, down: -width, right: -1 },
      { start: width - 1, down: -1, right: width },
    ]
    return {
      draw: (random) => [between(random, 0, 3)],
      ranges: () => [[0, 3]],
      apply(from, into, p) {
        const { start, down, right } = paths[p[0]!]!
        for (let y = 0, to = 0; y < height; y++)
          for (let x = 0; x < width; x++)
            for (let c = 0, at = (start + y * down + x * right) * channels; c < channels; c++) into[to++] = from[at++]!
      },
    }
  },
}
