import { DecantError } from '../errors.js'
import { type Channels, swapRedBlue, toChannels } from './channels.js'
import { type Box, planGeometry, type Size, sameSize } from './geometry.js'
import type { Preprocess } from './preprocess.js'
import { type Pixels, planResampling, resample } from './resample/index.js'

/** What becomes of pictures of one size. */
export interface Transform {
  /** The pixels of a picture that are needed. */
  region: Box
  result: Size
  /** Makes the result of those pixels: uint8 [height, width, channels]. */
  apply(pixels: Pixels): Promise<Uint8Array>
}

/**
 * Channels after preprocessing, where the source has `stored`.
 * @throws DecantError where resize.fill has another number of entries
 */
export function channelsOf({ color, resize }: Preprocess, stored: Channels): Channels {
  const channels = color === undefined ? stored : color === 'gray' ? 1 : 3
  const fill = fillOf({ resize })
  if (typeof fill !== 'number' && fill.length !== channels)
    throw new DecantError(`preprocess: resize.fill has ${fill.length} entries, the images have ${channels} channels`)
  return channels
}

/** Plans the pixel part of `preprocess` for pictures of a size. @throws DecantError, see planGeometry */
export function planTransform(size: Size, preprocess: Preprocess, channels: Channels): Transform {
  const { cut = wholeOf(size), resize, crop, pad, result } = planGeometry(size, preprocess)
  const { filter, antialias } = preprocess.resize ?? {}
  const window = crop ?? wholeOf(resize ?? cut)
  const resampling = resize && planResampling(cut, { to: resize, window, filter, antialias })
  const { left, top, ...needed } = resampling?.region ?? window
  return {
    region: { ...needed, left: left + cut.left, top: top + cut.top },
    result,
    async apply(pixels) {
      // Gray is made before the resize, and copied into three channels after it: a third of the work.
      const fewer = Math.min(channels, pixels.channels) as Channels
      const made = resampling ? await resample(pixels, resampling, fewer) : pixels
      const data = recolour(made.data, made.channels, { channels, preprocess })
      return pad ? padded({ ...made, data, channels }, { ...result, ...pad }, fillOf(preprocess)) : data
    },
  }
}

/** Bytes of `stored` channels in the channels, and their order, that the preprocessing declares. */
export function recolour(
  data: Uint8Array,
  stored: Channels,
  { channels, preprocess }: { channels: Channels; preprocess: Preprocess },
): Uint8Array {
  const pixels = toChannels(data, stored, channels)
  return preprocess.color === 'bgr' ? swapRedBlue(pixels) : pixels
}

/** Part of a picture that is in memory. */
export function cutOut(pixels: Pixels, box: Box): Pixels {
  const { data, width, channels } = pixels
  if (sameSize(pixels, box)) return pixels
  const row = box.width * channels
  const part = new Uint8Array(box.height * row)
  for (let y = 0; y < box.height; y++) {
    const start = ((box.top + y) * width + box.left) * channels
    part.set(data.subarray(start, start + row), y * row)
  }
  return { data: part, width: box.width, height: box.height, channels }
}

const fillOf = ({ resize }: Pick<Preprocess, 'resize'>) => (resize && 'fill' in resize && resize.fill) || 0

/** Lays a picture into a larger one of a single colour. */
function padded({ data, width, height, channels }: Pixels, into: Box, fill: number | number[]): Uint8Array {
  const all = new Uint8Array(into.width * into.height * channels)
  if (typeof fill === 'number') all.fill(fill)
  else for (let i = 0; i < all.length; i++) all[i] = fill[i % channels]!
  for (let y = 0; y < height; y++) {
    const row = data.subarray(y * width * channels, (y + 1) * width * channels)
    all.set(row, ((into.top + y) * into.width + into.left) * channels)
  }
  return all
}

const wholeOf = ({ width, height }: Size): Box => ({ width, height, left: 0, top: 0 })
