import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { random } from '../../../src/random.js'
import { applyView, drawView, faultOf, type ImageShape, parseAugment } from '../../../src/source/views/index.js'

// Every augmentation against its definition, pixel by pixel: at(y, x, c) of the view from a function of the image.

const shapes = fc.constantFrom<ImageShape[]>([6, 6, 1], [7, 9, 1], [8, 8, 3], [5, 11, 3])
const image = ([height, width, channels]: ImageShape, seed: number) => {
  const { uint32 } = random('image', seed)
  return Uint8Array.from({ length: height * width * channels }, () => uint32() & 255)
}

/** Holds for drawn views that `at` says what each pixel is; `get` is the image, 0 outside. */
function holds(
  augment: string,
  at: (
    place: { y: number; x: number; c: number },
    p: number[],
    get: (y: number, x: number, c: number) => number,
    shape: ImageShape,
  ) => number,
  allowed = (_: ImageShape) => true,
) {
  fc.assert(
    fc.property(shapes.filter(allowed), fc.nat(), (shape, seed) => {
      const pipeline = parseAugment(augment, shape)
      const p = drawView(pipeline, { seed, id: 'a', view: 0 })
      expect(faultOf(pipeline, p)).toBeUndefined()
      const pixels = image(shape, seed)
      const before = pixels.slice()
      const [height, width, channels] = shape
      const get = (y: number, x: number, c: number) =>
        y >= 0 && y < height && x >= 0 && x < width ? pixels[(y * width + x) * channels + c]! : 0
      const expected = Uint8Array.from(pixels, (_, i) => {
        const [c, pixel] = [i % channels, Math.floor(i / channels)]
        return at({ y: Math.floor(pixel / width), x: pixel % width, c }, Array.from(p), get, shape)
      })
      expect(applyView(pipeline, pixels, p)).toEqual(expected)
      expect(pixels).toEqual(before)
    }),
    { numRuns: 30 },
  )
}
const isSquare = ([height, width]: ImageShape) => height === width

describe('augmentations are what they say', () => {
  it('crop pads with 0 and cuts', () => {
    holds('crop:3', ({ y, x, c }, [left, top], get) => get(y + top! - 3, x + left! - 3, c))
  })

  it('flip and vflip mirror every second view', () => {
    holds('flip', ({ y, x, c }, [flipped], get, [, width]) => get(y, flipped ? width - 1 - x : x, c))
    holds('vflip', ({ y, x, c }, [flipped], get, [height]) => get(flipped ? height - 1 - y : y, x, c))
  })

  it('rotate90 turns clockwise', () => {
    const turn = (y: number, x: number, turns: number, side: number): [number, number] =>
      turns === 0 ? [y, x] : turn(side - 1 - x, y, turns - 1, side)
    holds(
      'rotate90',
      ({ y, x, c }, [turns], get, [side]) => {
        const [fromY, fromX] = turn(y, x, turns!, side)
        return get(fromY, fromX, c)
      },
      isSquare,
    )
    const [east] = [parseAugment('rotate90', [2, 2, 1])]
    expect([...applyView(east!, Uint8Array.of(1, 2, 3, 4), [1])]).toEqual([3, 1, 4, 2])
  })

  it('erase and cutout set a rectangle to 0 and leave the rest', () => {
    holds('erase:1', ({ y, x, c }, [w, h, left, top], get) =>
      x >= left! && x < left! + w! && y >= top! && y < top! + h! ? 0 : get(y, x, c),
    )
    holds('cutout:3', ({ y, x, c }, [cx, cy], get) =>
      Math.abs(x - cx!) <= 1 && Math.abs(y - cy!) <= 1 ? 0 : get(y, x, c),
    )
  })

  it('rrc is bilinear interpolation by centres within the rectangle, to less than one level', () => {
    fc.assert(
      fc.property(shapes, fc.nat(), (shape, seed) => {
        const pipeline = parseAugment('rrc:0.1:1', shape)
        const p = drawView(pipeline, { seed, id: 'a', view: 0 })
        const [w, h, left, top] = Array.from(p) as [number, number, number, number]
        const pixels = image(shape, seed)
        const [height, width, channels] = shape
        const view = applyView(pipeline, pixels, p)
        const place = (i: number, from: number, to: number) =>
          Math.min(Math.max(((i + 0.5) * from) / to - 0.5, 0), from - 1)
        for (let i = 0; i < view.length; i++) {
          const [c, pixel] = [i % channels, Math.floor(i / channels)]
          const [sy, sx] = [place(Math.floor(pixel / width), h, height), place(pixel % width, w, width)]
          const get = (y: number, x: number) =>
            pixels[((top + Math.min(y, h - 1)) * width + left + Math.min(x, w - 1)) * channels + c]!
          const [y, x] = [Math.floor(sy), Math.floor(sx)]
          const across = (row: number) => get(row, x) + (get(row, x + 1) - get(row, x)) * (sx - x)
          const exact = across(y) + (across(y + 1) - across(y)) * (sy - y)
          // weights have 11 bits, cut off: 255·(2^-11 + 2^-11), and half a level of rounding
          expect(Math.abs(view[i]! - exact)).toBeLessThan(0.5 + (2 * 255) / 2048 + 1e-9)
        }
      }),
      { numRuns: 30 },
    )
    const whole = parseAugment('rrc', [5, 11, 3])
    const pixels = image([5, 11, 3], 1)
    expect(applyView(whole, pixels, [11, 5, 0, 0])).toEqual(pixels)
  })

  it('jitter scales brightness, then contrast about the mean luma, then saturation about the own luma', () => {
    holds(
      'jitter:0.5:0.6:0.7',
      ({ y, x, c }, p, get, [height, width]) => {
        const [b, k, s] = p.map((factor) => factor / 65_536) as [number, number, number]
        const byte = (x: number) => Math.min(255, Math.max(0, Math.floor(x + 0.5)))
        const luma = (rgb: number[]) =>
          Math.floor((19_595 * rgb[0]! + 38_470 * rgb[1]! + 7_471 * rgb[2]!) / 65_536 + 0.5)
        const bright = (y: number, x: number) => [0, 1, 2].map((c) => byte(get(y, x, c) * b))
        const all = Array.from({ length: height * width }, (_, i) => luma(bright(Math.floor(i / width), i % width)))
        const mean = Math.floor(all.reduce((sum, x) => sum + x, 0) / all.length + 0.5)
        const pixel = bright(y, x).map((x) => byte(mean + (x - mean) * k))
        return byte(luma(pixel) + (pixel[c]! - luma(pixel)) * s)
      },
      ([, , channels]) => channels === 3,
    )
  })

  it('noise has the standard deviation asked for, no drift, and no pattern between neighbours', () => {
    const shape: ImageShape = [100, 100, 1]
    const pipeline = parseAugment('noise:10', shape)
    const p = drawView(pipeline, { seed: 3, id: 'a', view: 0 })
    const noise = Float64Array.from(applyView(pipeline, new Uint8Array(10_000).fill(128), p), (x) => x - 128)
    const mean = (f: (x: number, i: number) => number) => noise.reduce((sum, x, i) => sum + f(x, i), 0) / 10_000
    expect(Math.abs(mean((x) => x))).toBeLessThan(0.4) // 4 standard errors
    expect(Math.abs(mean((x) => x * x) - 100)).toBeLessThan(6)
    expect(Math.abs(mean((x, i) => x * (noise[i + 1] ?? 0)))).toBeLessThan(4)
  })
})
