import { type AugmentationForm, between, clampedView, ONE } from './augmentation.js'

/** Standard deviation of the sum of four uniform bytes: √(4·(256² - 1)/12). */
const SUM_OF_BYTES = Math.sqrt(21_845)

/**
 * `noise:<sigma>`: every byte gets noise of that standard deviation, in levels of 0..255, of its own: the sum of four uniform bytes, which is
 * near to normal and an integer. The noise is a function of `seed` and the byte's place.
 */
export const noise: AugmentationForm = {
  name: 'noise',
  arguments: [{ name: 'sigma', least: 0, most: 100 }],
  parameters: ['seed'],
  make([sigma]) {
    const scale = Math.round((sigma! / SUM_OF_BYTES) * ONE)
    return {
      draw: (random) => [between(random, 0, 2 ** 31 - 1)],
      ranges: () => [[0, 2 ** 31 - 1]],
      apply(from, into, p) {
        const clamped = clampedView(into)
        for (let i = 0, at = p[0]!; i < from.length; i++) {
          at = (at + 0x9e3779b9) | 0
          const h = mix(at)
          const sum = (h & 255) + ((h >>> 8) & 255) + ((h >>> 16) & 255) + (h >>> 24)
          clamped[i] = from[i]! + (((sum - 510) * scale + ONE / 2) >> 16)
        }
      },
    }
  },
}

/** MurmurHash3's finalizer (Appleby 2011): 32 bits from 32 bits, each depending on all. */
function mix(x: number): number {
  let h = x
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return h ^ (h >>> 16)
}
