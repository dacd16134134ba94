import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { random } from '../../../src/random.js'
import { logUniform } from '../../../src/source/views/augmentation.js'
import { drawView, faultOf, parseAugment } from '../../../src/source/views/index.js'

const everything = 'rrc,crop:2,flip,vflip,jitter:0.4:0.4:0.4,erase,cutout:3,noise:5'

describe('parseAugment', () => {
  it('writes out every argument, so that the same text always means the same', () => {
    const pipeline = parseAugment(' crop:4, flip,erase:0.25', [28, 28, 1])
    expect(pipeline.augment).toBe('crop:4,flip,erase:0.25:0.02:0.4')
    expect(parseAugment(pipeline.augment, [28, 28, 1]).augment).toBe(pipeline.augment)
    expect(pipeline.parameters).toEqual([
      'crop.x',
      'crop.y',
      'flip.flipped',
      'erase.width',
      'erase.height',
      'erase.x',
      'erase.y',
    ])
  })

  it('tells two of a kind apart', () => {
    expect(parseAugment('cutout:2,cutout:3', [9, 9, 1]).parameters).toEqual([
      'cutout.x',
      'cutout.y',
      'cutout2.x',
      'cutout2.y',
    ])
  })

  it.each([
    ['mixup', /'mixup' cannot be replayed: it mixes two samples/],
    ['flip,cutmix:1', /'cutmix' cannot be replayed: it pastes a piece of another sample/],
    ['./mine.ts', /'\.\/mine\.ts' cannot be replayed: decant does not know it, .*What can: crop:<pad>, rrc\[/],
    ['', /'' cannot be replayed/],
    ['crop', /'crop': pad: expected a whole number from 1 to 1024, found nothing \(crop:<pad>\)/],
    ['crop:1.5', /found '1\.5'/],
    ['crop:x', /found 'x'/],
    ['flip:1', /'flip:1': expected flip, found 1 arguments/],
    ['crop:6', /crop:6 can cut all of an image of 9×6 away/],
    ['rotate90', /rotate90 turns square images only, these are 9×6/],
    ['rrc:0.5:0.2', /rrc: least 0\.5 is more than most 0\.2/],
    [Array(17).fill('flip').join(), /17 augmentations, expected at most 16/],
  ])('refuses %j with the reason', (text, reason) => {
    expect(() => parseAugment(text, [6, 9, 1])).toThrow(reason)
  })
})

describe('drawView', () => {
  const pipeline = parseAugment(everything, [9, 14, 3])

  it('gives parameters without a fault, for any seed, id and view', () => {
    fc.assert(
      fc.property(fc.integer(), fc.string(), fc.nat(10_000), (seed, id, view) => {
        expect(faultOf(pipeline, drawView(pipeline, { seed, id, view }))).toBeUndefined()
      }),
    )
  })

  it('depends on seed, id and view, each', () => {
    const key = { seed: 1, id: 'a', view: 0 }
    const draw = (change: Partial<typeof key>) => drawView(pipeline, { ...key, ...change }).join()
    expect(new Set([draw({}), draw({ seed: 2 }), draw({ id: 'b' }), draw({ view: 1 })]).size).toBe(4)
    expect(draw({})).toBe(draw({}))
  })

  it('draws every place and both sides alike', () => {
    const simple = parseAugment('crop:1,flip', [6, 6, 1])
    const counts = new Map<string, number>()
    for (let id = 0; id < 9000; id++) {
      const drawn = drawView(simple, { seed: 0, id: String(id), view: 3 }).join()
      counts.set(drawn, (counts.get(drawn) ?? 0) + 1)
    }
    expect(counts.size).toBe(18)
    for (const count of counts.values()) expect(Math.abs(count - 500)).toBeLessThan(5 * Math.sqrt(500))
  })
})

it('faultOf names the parameter that is out of range, and what would be in it', () => {
  const pipeline = parseAugment('rrc,flip', [6, 9, 1])
  expect(faultOf(pipeline, [4, 3, 5, 3, 1])).toBeUndefined()
  expect(faultOf(pipeline, [4, 3, 6, 3, 1])).toBe('rrc.x: expected 0 to 5, found 6')
  expect(faultOf(pipeline, [10, 3, 0, 3, 1])).toBe('rrc.width: expected 1 to 9, found 10')
  expect(faultOf(pipeline, [4, 0, 0, 3, 1])).toBe('rrc.height: expected 1 to 6, found 0')
  expect(faultOf(pipeline, [4, 3, 5, 3, -1])).toBe('flip.flipped: expected 0 to 1, found -1')
  expect(faultOf(pipeline, [4, 3, 5, 3])).toBe('expected 5 parameters, found 4')
})

it('logUniform is log-uniform in [1/base, base)', () => {
  const stream = random('log')
  const logs = Array.from({ length: 20_000 }, () => Math.log(logUniform(stream, 3)) / Math.log(3))
  expect(Math.min(...logs)).toBeGreaterThanOrEqual(-1)
  expect(Math.max(...logs)).toBeLessThan(1)
  for (const at of [-0.8, -0.25, 0, 0.5]) {
    const share = logs.filter((x) => x < at).length / logs.length
    expect(Math.abs(share - (1 + at) / 2)).toBeLessThan(0.015)
  }
})
