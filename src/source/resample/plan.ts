import type { Box, Size } from '../geometry.js'
import { type Axis, type AxisOptions, type Filter, planAxis, sameAxis } from './axis.js'
import type { Fraction } from './kernel.js'

/** What made the pixels of a resized picture, as manifests name it. The number rises when any of them come out otherwise. */
export const RESAMPLER = 'decant resampling 1'

/** What a picture becomes, and of which of its pixels. */
export interface Resampling {
  /** The pixels that are needed. Those of the passes are counted from its corner. */
  region: Box
  /** One after the other. */
  passes: { across: Axis; down: Axis }[]
  /** What is kept between across and down. */
  fraction: Fraction
}

/** How many axes are kept: pictures of a dataset often have few sizes. */
const KEPT = 32
const kept = new Map<string, Axis>()

/**
 * Plans to resample a picture of size `from` to size `to`, of which `window` is wanted. As in Pillow the picture is resampled across, then down; but first
 * down where it becomes lower by more than twice what it becomes narrower, which is so since Pillow 13. The order shows only where a filter
 * overshoots, or in the last level.
 */
export function planResampling(
  from: Size,
  {
    to,
    window,
    filter = 'lanczos3',
    antialias = true,
  }: { to: Size; window: Box; filter?: Filter | undefined; antialias?: boolean | undefined },
): Resampling {
  const options = { filter, antialias }
  const across = axisOf({ from: from.width, to: to.width, start: window.left, count: window.width, ...options })
  const down = axisOf({ from: from.height, to: to.height, start: window.top, count: window.height, ...options })
  const [columns, rows] = [spanOf(across), spanOf(down)]
  const region = { left: columns.start, top: rows.start, width: columns.length, height: rows.length }
  const [wide, high] = [behind(across, columns.start), behind(down, rows.start)]
  const lower = from.height - to.height
  const downFirst = antialias && lower > 0 && lower > 2 * (from.width - to.width)
  return {
    region,
    fraction: antialias ? 0 : 6,
    passes: downFirst
      ? [
          { across: sameAxis(region.width), down: high },
          { across: wide, down: sameAxis(window.height) },
        ]
      : [{ across: wide, down: high }],
  }
}

function axisOf(options: AxisOptions): Axis {
  const key = Object.values(options).join()
  const axis = kept.get(key) ?? planAxis(options)
  kept.delete(key)
  kept.set(key, axis)
  if (kept.size > KEPT) kept.delete(kept.keys().next().value!)
  return axis
}

/** The pixels that a result is made of. */
function spanOf({ first, taps }: Axis): { start: number; length: number } {
  const start = first[0]!
  return { start, length: first.at(-1)! + taps - start }
}

const behind = (axis: Axis, start: number): Axis => ({ ...axis, first: axis.first.map((at) => at - start) })
