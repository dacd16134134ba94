/** How a picture is brought to another size. */
export const filters = ['lanczos3', 'bicubic', 'bilinear', 'box', 'nearest'] as const
export type Filter = (typeof filters)[number]

/** What is made of one axis of a picture: `count` pixels from `start` of the `to` that `from` pixels would become. */
export interface AxisOptions {
  from: number
  to: number
  start: number
  count: number
  filter: Filter
  /** Whether a filter is widened where the axis shrinks, so that every pixel counts. */
  antialias: boolean
}

/** Pixel i of the result is the sum over t of weights[i, t]·x[first[i] + t]. */
export interface Axis {
  /** [count], ascending. first[i] + t may lie behind the last pixel only where the weight is 0. */
  first: Int32Array
  taps: number
  /** [count, taps], in 2^-PRECISION. */
  weights: Int32Array
}

/** Bits of a weight behind the point, as many as Pillow has for pictures of bytes: 8 of a byte, 2 for filters that overshoot, and these are 32. */
export const PRECISION = 22

interface Kernel {
  /** Half of its width, in pixels of the finer of both grids. */
  support: number
  weight(x: number): number
}

/** Keys 1981, equation 4: cubic convolution, with the slope at 1 that the equation calls a. */
const cubic = (a: number): Kernel => ({
  support: 2,
  weight(x) {
    const d = Math.abs(x)
    if (d < 1) return ((a + 2) * d - (a + 3)) * d * d + 1
    return d < 2 ? (((d - 5) * d + 8) * d - 4) * a : 0
  },
})

const triangle: Kernel = { support: 1, weight: (x) => Math.max(0, 1 - Math.abs(x)) }

/** Lanczos's sinc(x)·sinc(x/3) (Duchon 1979), with sin(πx) as s·(3 - 4s²) of s = sin(πx/3): one sine instead of two. */
function lanczos3(x: number): number {
  if (x === 0) return 1
  if (!(x >= -3 && x < 3)) return 0
  const angle = Math.PI * x
  const s = Math.sin(angle / 3)
  return (3 * s * s * (3 - 4 * s * s)) / (angle * angle)
}

/** Widened with the step between pixels, as Pillow's Image.resize has them. */
const widened: Record<Exclude<Filter, 'nearest'>, Kernel> = {
  lanczos3: { support: 3, weight: lanczos3 },
  bicubic: cubic(-0.5),
  bilinear: triangle,
  box: { support: 0.5, weight: (x) => (x > -0.5 && x <= 0.5 ? 1 : 0) },
}

/** Between neighbours only, as torch's interpolate(align_corners=False) and OpenCV's resize have them. */
const interpolating = { bicubic: cubic(-0.75), bilinear: triangle }

/** Filters that are used without antialiasing, too. */
export const isInterpolating = (filter: Filter): filter is 'bicubic' | 'bilinear' | 'nearest' =>
  filter === 'nearest' || filter in interpolating

/**
 * Weights of one axis. Pixel i of the result has its centre at (i + ½)·from/to of the axis, whose pixels have theirs at k + ½.
 * - antialiased: the weights of what lies behind the picture's edge are left out and the rest divided by their sum (Pillow);
 *   nearest: the pixel that the centre lies in.
 * - not antialiased: what lies behind the edge is the edge's pixel; nearest: pixel ⌊i·from/to⌋ (torch's `nearest`, OpenCV's INTER_NEAREST).
 */
export function planAxis({ from, to, start, count, filter, antialias }: AxisOptions): Axis {
  const scale = from / to
  if (filter === 'nearest')
    return single(antialias ? centred(scale, start + count) : floored(from, to, start + count), start, from)
  const widening = antialias ? Math.max(scale, 1) : 1
  const { support, weight } = antialias ? widened[filter] : interpolating[filter as keyof typeof interpolating]
  const reach = support * widening
  const taps = Math.min(from, 2 * Math.ceil(reach) + 1)
  const axis: Axis = { first: new Int32Array(count), taps, weights: new Int32Array(count * taps) }
  const own = new Float64Array(2 * Math.ceil(reach) + 2)
  for (let i = 0; i < count; i++) {
    const centre = (start + i + 0.5) * scale
    const [least, most] = antialias
      ? [Math.max(0, Math.trunc(centre - reach + 0.5)), Math.min(from, Math.trunc(centre + reach + 0.5))]
      : [Math.floor(centre - 0.5) + 1 - support, Math.floor(centre - 0.5) + 1 + support]
    let sum = 0
    for (let t = 0; t < most - least; t++) sum += own[t] = weight((t + least - centre + 0.5) * (1 / widening))
    const first = Math.max(0, Math.min(least, from - taps))
    axis.first[i] = first
    for (let t = 0; t < most - least; t++) {
      const place = Math.max(0, Math.min(least + t, from - 1)) - first
      axis.weights[i * taps + place]! += toFixed(antialias && sum !== 0 ? own[t]! / sum : own[t]!)
    }
  }
  return axis
}

/** Rounded to nearest, halves away from zero. */
const toFixed = (weight: number) => Math.sign(weight) * Math.trunc(Math.abs(weight) * 2 ** PRECISION + 0.5)

/** The pixels that a result takes, one each. */
function single(places: Int32Array, start: number, from: number): Axis {
  const first = places.subarray(start).map((place) => Math.min(place, from - 1))
  return { first, taps: 1, weights: new Int32Array(first.length).fill(2 ** PRECISION) }
}

/** ⌊(i + ½)·scale⌋, by adding up: where a centre falls on the edge between two pixels, the sum's rounding decides as in Pillow. */
function centred(scale: number, count: number): Int32Array {
  const places = new Int32Array(count)
  for (let i = 0, at = scale / 2; i < count; i++, at += scale) places[i] = at
  return places
}

const floored = (from: number, to: number, count: number) =>
  Int32Array.from({ length: count }, (_, i) => Math.floor((i * from) / to))

/** Every pixel as it is. */
export const sameAxis = (length: number): Axis => ({
  first: Int32Array.from({ length }, (_, i) => i),
  taps: 1,
  weights: new Int32Array(length).fill(2 ** PRECISION),
})
