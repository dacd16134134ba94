import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { declaredSize, planGeometry } from '../../src/source/geometry.js'

const side = fc.integer({ min: 1, max: 3000 })
const size = fc.record({ width: side, height: side })

describe('planGeometry', () => {
  test('changes nothing where nothing is declared', () => {
    fc.assert(
      fc.property(size, (image) => {
        expect(planGeometry(image, { version: 1 })).toEqual({ result: image })
      }),
    )
  })

  test('shorter: the shorter side is exact, the longer one is floor(s·long/short)', () => {
    fc.assert(
      fc.property(size, fc.integer({ min: 1, max: 300 }), (image, shorter) => {
        const [short, long] = [Math.min(image.width, image.height), Math.max(image.width, image.height)]
        fc.pre((shorter * shorter * long) / short < 2e8)
        const { result } = planGeometry(image, { version: 1, resize: { shorter } })
        const [a, b] = image.width <= image.height ? [result.width, result.height] : [result.height, result.width]
        expect([a, b]).toEqual([shorter, Math.floor((shorter * long) / short)])
      }),
    )
  })

  test('crop: a box of the declared size inside the image, as far from either edge but for one pixel', () => {
    fc.assert(
      fc.property(size, size, (image, crop) => {
        if (crop.width > image.width || crop.height > image.height) {
          expect(() => planGeometry(image, { version: 1, crop })).toThrow(/the crop \d+×\d+ is larger than the image/)
          return
        }
        const plan = planGeometry(image, { version: 1, crop })
        expect(plan.result).toEqual(crop)
        const { left, top } = plan.crop ?? { left: 0, top: 0 }
        expect(Math.abs(image.width - crop.width - 2 * left)).toBeLessThanOrEqual(1)
        expect(Math.abs(image.height - crop.height - 2 * top)).toBeLessThanOrEqual(1)
      }),
    )
  })

  test('crop offsets round half to even, as torchvision’s center_crop does', () => {
    const left = (cut: number) =>
      planGeometry({ width: 10 + cut, height: 1 }, { version: 1, crop: { width: 10, height: 1 } }).crop?.left
    expect([1, 2, 3, 4, 5, 6, 7].map(left)).toEqual([0, 1, 2, 2, 2, 3, 4])
  })

  test('refuses a sliver that would be resized to gigapixels', () => {
    expect(() => planGeometry({ width: 1, height: 65535 }, { version: 1, resize: { shorter: 256 } })).toThrow(
      /from 1×65535 it would be 256×16776960/,
    )
  })

  test('crop by ratio: before the resize, floor((side - ratio·side)/2) off either end, as TensorFlow central_crop', () => {
    const crop = { ratio: 0.875 }
    expect(planGeometry({ width: 341, height: 256 }, { version: 1, crop })).toEqual({
      cut: { left: 21, top: 16, width: 299, height: 224 },
      result: { width: 299, height: 224 },
    })
    const resize = { width: 224, height: 224 }
    expect(planGeometry({ width: 640, height: 480 }, { version: 1, crop, resize })).toEqual({
      cut: { left: 40, top: 30, width: 560, height: 420 },
      resize,
      result: resize,
    })
    expect(planGeometry({ width: 30, height: 10 }, { version: 1, crop: { ratio: 0.8 } }).cut).toEqual({
      left: 3, // (30 - 30·0.8)/2 is 3, though as doubles it is less
      top: 1,
      width: 24,
      height: 8,
    })
    expect(planGeometry({ width: 1, height: 2 }, { version: 1, crop: { ratio: 0.01 } }).result).toEqual({
      width: 1,
      height: 2,
    })
    expect(planGeometry({ width: 9, height: 9 }, { version: 1, crop: { ratio: 1 } })).toEqual({
      result: { width: 9, height: 9 },
    })
  })

  test('pad: one side fits, the other is rounded half to even; what is left is halved, an odd pixel to the right or below', () => {
    const pad = (width: number, height: number, align?: 'start') =>
      planGeometry(
        { width, height },
        { version: 1, resize: { width: 64, height: 48, fit: 'pad', ...(align && { align }) } },
      )
    const result = { width: 64, height: 48 }
    expect(pad(128, 32)).toEqual({ resize: { width: 64, height: 16 }, pad: { left: 0, top: 16 }, result })
    expect(pad(128, 34)).toEqual({ resize: { width: 64, height: 17 }, pad: { left: 0, top: 15 }, result })
    expect(pad(128, 35)).toMatchObject({ resize: { width: 64, height: 18 } }) // 17.5
    expect(pad(128, 33)).toMatchObject({ resize: { width: 64, height: 16 } }) // 16.5
    expect(pad(10, 96)).toEqual({ resize: { width: 5, height: 48 }, pad: { left: 29, top: 0 }, result })
    expect(pad(10, 96, 'start')).toMatchObject({ pad: { left: 0, top: 0 } })
    expect(pad(32, 48)).toEqual({ pad: { left: 16, top: 0 }, result })
    expect(pad(32, 24)).toEqual({ resize: result, result })
    expect(pad(1, 60_000)).toMatchObject({ resize: { width: 1, height: 48 } })
  })

  test('the size of the inputs is known from the declaration where crop or both sides are given', () => {
    const both = { width: 3, height: 4 }
    expect(declaredSize({ version: 1, resize: { shorter: 9 }, crop: both })).toEqual(both)
    expect(declaredSize({ version: 1, resize: both })).toEqual(both)
    expect(declaredSize({ version: 1, resize: { ...both, fit: 'pad' }, crop: { ratio: 0.5 } })).toEqual(both)
    expect(declaredSize({ version: 1, resize: { shorter: 9 } })).toBeUndefined()
    expect(declaredSize({ version: 1, crop: { ratio: 0.5 } })).toBeUndefined()
  })
})
