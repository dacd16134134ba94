import type { AugmentationForm, ImageShape } from './augmentation.js'
import { boxKind, boxParameters, boxRanges, drawBox } from './box.js'

/**
 * `rrc[:<least>[:<most>[:<ratio>]]]`: random resized crop (Szegedy et al. 2015). A rectangle that covers from `least` to `most` of the image
 * (default 0.08 to 1), with an aspect from 1/ratio to ratio (default 4/3), is scaled to the image's size. Rectangles are drawn as torchvision's
 * RandomResizedCrop draws them. The scale is never below 1, so bilinear interpolation needs no low-pass filter.
 */
export const resizedCrop: AugmentationForm = {
  name: 'rrc',
  arguments: [
    { name: 'least', least: 0, most: 1, default: 0.08 },
    { name: 'most', least: 0, most: 1, default: 1 },
    { name: 'ratio', least: 1, most: 16, default: 1.3333333 },
  ],
  parameters: boxParameters,
  make([least, most, ratio], shape) {
    const kind = boxKind('rrc', { least: least!, most: most!, ratio: ratio! })
    return {
      draw: (random) => drawBox(random, kind, shape) ?? wholeBox(ratio!, shape),
      ranges: boxRanges(1, shape),
      apply(from, into, p) {
        const [w, h, x, y] = Array.from(p) as [number, number, number, number]
        enlarge(from, into, { width: w, height: h, x, y }, shape)
      },
    }
  },
}

/** The largest rectangle in the middle whose aspect is allowed. */
function wholeBox(ratio: number, [height, width]: ImageShape): number[] {
  const w = Math.max(1, Math.min(width, Math.round(height * ratio)))
  const h = Math.max(1, Math.min(height, Math.round(width * ratio)))
  return [w, h, (width - w) >> 1, (height - h) >> 1]
}

/** Bits of a bilinear weight: 8 + 2·11 bits stay below 2³¹. */
const BITS = 11

/** Where each of `to` pixels lies among `from`, by centres, held within them: the pixel before it, and the next one's weight in 2^-BITS. */
function places(from: number, to: number): { at: Int32Array; weight: Int32Array } {
  const at = new Int32Array(to)
  const weight = new Int32Array(to)
  for (let i = 0; i < to; i++) {
    // (i + ½)·from/to - ½, of integers below 2^53: the division is exact to the floor
    const place = Math.floor((((2 * i + 1) * from - to) * 2 ** BITS) / (2 * to))
    const held = Math.max(0, Math.min(place, (from - 1) << BITS))
    at[i] = held >> BITS
    weight[i] = held & (2 ** BITS - 1)
  }
  return { at, weight }
}

/** Bilinear interpolation of a rectangle to the image's size, rounded to nearest once, at the end. */
function enlarge(
  from: Uint8Array,
  into: Uint8Array,
  box: { width: number; height: number; x: number; y: number },
  [height, width, channels]: ImageShape,
): void {
  const across = places(box.width, width)
  const down = places(box.height, height)
  const row = width * channels
  /** Rows of the rectangle, interpolated across: two are enough, because places do not go back. */
  const lines = [new Int32Array(row), new Int32Array(row)]
  const held = [-1, -1]
  const line = (y: number): Int32Array => {
    const slot = y & 1
    const out = lines[slot]!
    if (held[slot] === y) return out
    held[slot] = y
    const start = (box.y + y) * row + box.x * channels
    for (let x = 0, to = 0; x < width; x++) {
      const left = start + across.at[x]! * channels
      const next = across.at[x]! + 1 < box.width ? channels : 0
      const weight = across.weight[x]!
      for (let c = 0; c < channels; c++, to++) {
        const a = from[left + c]!
        out[to] = (a << BITS) + (from[left + next + c]! - a) * weight
      }
    }
    return out
  }
  const half = 1 << (2 * BITS - 1)
  for (let y = 0, to = 0; y < height; y++) {
    const top = line(down.at[y]!)
    const bottom = line(Math.min(down.at[y]! + 1, box.height - 1))
    const weight = down.weight[y]!
    for (let i = 0; i < row; i++)
      into[to++] = (top[i]! * ((1 << BITS) - weight) + bottom[i]! * weight + half) >> (2 * BITS)
  }
}
