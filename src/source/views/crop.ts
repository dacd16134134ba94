import { DecantError } from '../../errors.js'
import { type AugmentationForm, between } from './augmentation.js'

/**
 * `crop:<pad>`: pad with `pad` pixels of 0 on every side, then cut the image's size out of it, anywhere (Lee et al. 2015; He et al. 2016,
 * section 4.2). The same as a shift by up to `pad` pixels in both directions. x, y: the cut's corner in the padded image.
 */
export const crop: AugmentationForm = {
  name: 'crop',
  arguments: [{ name: 'pad', least: 1, most: 1024, whole: true }],
  parameters: ['x', 'y'],
  make([pad], [height, width, channels]) {
    if (pad! >= Math.min(height, width))
      throw new DecantError(
        `crop:${pad} can cut all of an image of ${width}×${height} away: pad by less than its sides`,
      )
    const most = 2 * pad!
    return {
      draw: (random) => [between(random, 0, most), between(random, 0, most)],
      ranges: () => [
        [0, most],
        [0, most],
      ],
      apply(from, into, p) {
        const [dx, dy] = [p[0]! - pad!, p[1]! - pad!]
        const [left, right] = [Math.max(0, -dx), Math.min(width, width - dx)]
        into.fill(0)
        for (let y = Math.max(0, -dy); y < Math.min(height, height - dy); y++) {
          const row = (y + dy) * width + dx
          into.set(from.subarray((row + left) * channels, (row + right) * channels), (y * width + left) * channels)
        }
      },
    }
  },
}
