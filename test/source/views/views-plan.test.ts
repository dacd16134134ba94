import { describe, expect, it } from 'vitest'
import { FormatError } from '../../../src/errors.js'
import { applyView, createReplay, openViews, parseAugment } from '../../../src/source/views/index.js'

const place = { shape: [8, 8, 1] as const, where: 'm.json' }
const plan = {
  count: 2,
  parameters: ['crop.x', 'crop.y', 'flip.flipped'],
  augment: { pipeline: 1, list: 'crop:2,flip' },
  seed: 1,
}

describe('openViews', () => {
  it('gives the pipeline that a manifest describes', () => {
    expect(openViews(plan, place)).toMatchObject({ augment: 'crop:2,flip', parameters: plan.parameters })
  })

  it.each([
    [
      { augment: { ...plan.augment, pipeline: 2 } },
      /^m\.json: views of pipeline version 2, expected 1; a newer decant/,
    ],
    [{ augment: {} }, /^m\.json: views of pipeline version undefined/],
    [{ augment: { pipeline: 1, list: ['flip'] } }, /expected \{pipeline, list\}, found object/],
    [{ augment: { ...plan.augment, hue: 1 } }, /expected \{pipeline, list\}, found hue/],
    [{ augment: { pipeline: 1, list: 'crop:2,swirl' } }, /^m\.json: augment: 'swirl' cannot be replayed/],
    [{ augment: { pipeline: 1, list: 'crop:99' } }, /crop:99 can cut all/],
    [{ parameters: ['crop.x'] }, /views\.parameters: expected crop\.x, crop\.y, flip\.flipped, found crop\.x/],
  ])('refuses %j', (change, reason) => {
    const open = () => openViews({ ...plan, ...change }, place)
    expect(open).toThrow(FormatError)
    expect(open).toThrow(reason)
  })
})

it('createReplay applies the parameters that are there, and refuses those that could not have been drawn, with their row', () => {
  const replay = createReplay(plan, place)
  const pixels = Uint8Array.from({ length: 64 }, (_, i) => i)
  const into = new Uint8Array(64)
  const name = () => "row 3 ('a.png', view 1)"
  replay({ pixels, p: [4, 0, 1], into, name })
  expect(into).toEqual(applyView(parseAugment('crop:2,flip', place.shape), pixels, [4, 0, 1]))
  expect(() => replay({ pixels, p: [5, 0, 1], into, name })).toThrow(
    "row 3 ('a.png', view 1): crop.x: expected 0 to 4, found 5",
  )
})
