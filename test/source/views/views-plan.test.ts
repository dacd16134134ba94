import { describe, expect, it } from 'vitest'
import { FormatError } from '../../../src/errors.js'
import { checkView, openViews, parseAugment } from '../../../src/source/views/index.js'

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

it('checkView refuses parameters that could not have been drawn, with the name of their row', () => {
  const pipeline = parseAugment('crop:2,flip', [8, 8, 1])
  checkView(pipeline, [4, 0, 1], 'row 3')
  expect(() => checkView(pipeline, [5, 0, 1], "row 3 ('a.png', view 1)")).toThrow(
    "row 3 ('a.png', view 1): crop.x: expected 0 to 4, found 5",
  )
})
