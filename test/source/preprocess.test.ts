import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { DecantError, FormatError } from '../../src/errors.js'
import { affine, parsePreprocess, readPreprocess } from '../../src/source/preprocess.js'
import { temporaryFolder } from './fixtures.js'

describe('a preprocessing file', () => {
  const full = {
    version: 1,
    color: 'rgb',
    resize: { shorter: 256 },
    crop: { width: 224, height: 224 },
    scale: 1 / 255,
    mean: [0.485, 0.456, 0.406],
    std: [0.229, 0.224, 0.225],
    layout: 'NCHW',
  }

  const others = [
    { version: 1, resize: { shorter: 9, filter: 'bicubic', antialias: false }, color: 'bgr', scale: -1, std: [-1] },
    { version: 1, resize: { width: 9, height: 8, fit: 'pad', fill: [1, 2, 3], align: 'start' }, crop: { ratio: 0.5 } },
    { version: 1, resize: { shorter: 9, draft: true }, crop: { width: 1, height: 1 } },
  ]

  test('is read as it is, nothing added', async () => {
    const path = join(await temporaryFolder(), 'p.json')
    for (const value of [full, { version: 1 }, { version: 1, resize: { width: 32, height: 24 } }, ...others]) {
      await writeFile(path, JSON.stringify(value))
      expect(await readPreprocess(path)).toEqual(value)
    }
  })

  test.each([
    ['an unknown version', { version: 2 }, /^p: version: .*1.*, found 2$/],
    ['no version', {}, /^p: version: .*found nothing$/],
    ['an unknown key', { version: 1, means: [0] }, /^p: unknown key 'means'$/],
    ['an unknown key inside', { version: 1, crop: { width: 1, height: 1, left: 0 } }, /^p: crop: unknown key 'left'$/],
    [
      'half a resize',
      { version: 1, resize: { width: 3 } },
      /^p: resize: expected \{shorter\} or \{width, height\}.*found \{"width":3\}$/,
    ],
    [
      'a resize of both forms',
      { version: 1, resize: { shorter: 3, width: 3 } },
      /^p: resize: expected \{shorter\} or \{width, height\}/,
    ],
    [
      'an unknown filter',
      { version: 1, resize: { shorter: 3, filter: 'cubic' } },
      /^p: resize.filter: .*lanczos3.*found "cubic"$/,
    ],
    [
      'a filter that is always antialiased',
      { version: 1, resize: { shorter: 3, antialias: false } },
      /^p: resize: antialias: false goes with the filters bilinear, bicubic and nearest/,
    ],
    ['a pad of no size', { version: 1, resize: { shorter: 3, fit: 'pad' } }, /^p: resize: fit: pad goes with/],
    [
      'a fill without a pad',
      { version: 1, resize: { width: 3, height: 3, fill: 3 } },
      /fill and align go with fit: pad/,
    ],
    [
      'a fill that is no byte',
      { version: 1, resize: { width: 3, height: 3, fit: 'pad', fill: 127.5 } },
      /^p: resize.fill: expected 0 to 255, or a list of it, found 127.5$/,
    ],
    [
      'a crop after a pad',
      { version: 1, resize: { width: 3, height: 3, fit: 'pad' }, crop: { width: 2, height: 2 } },
      /a crop by size does not go with resize.fit: pad/,
    ],
    [
      'a draft of a part',
      { version: 1, resize: { shorter: 3, draft: true }, crop: { ratio: 0.5 } },
      /resize.draft does not go with crop.ratio/,
    ],
    ['a ratio above 1', { version: 1, crop: { ratio: 1.5 } }, /^p: crop.ratio: .*found 1.5$/],
    ['half a crop', { version: 1, crop: { width: 3 } }, /^p: crop: expected \{width, height\} in pixels or \{ratio\}/],
    ['a scale of zero', { version: 1, scale: 0 }, /^p: scale: expected a number that is not 0, found 0$/],
    ['a side of zero', { version: 1, crop: { width: 0, height: 1 } }, /^p: crop.width: .*found 0$/],
    ['a standard deviation of zero', { version: 1, std: [1, 0] }, /^p: std.1: .*found 0$/],
    ['an unknown layout', { version: 1, layout: 'CHW' }, /^p: layout: .*found "CHW"$/],
    ['no object', [], /^p: .*found \[\]$/],
  ])('is refused in one line for %s', (_, value, message) => {
    expect(() => parsePreprocess(value, 'p')).toThrow(FormatError)
    expect(() => parsePreprocess(value, 'p')).toThrow(message)
  })

  test('is refused where it is not JSON or not there', async () => {
    const path = join(await temporaryFolder(), 'p.json')
    await expect(readPreprocess(path)).rejects.toThrow(/p\.json: cannot read the preprocessing file: ENOENT$/)
    await writeFile(path, '{version: 1}')
    await expect(readPreprocess(path)).rejects.toThrow(/p\.json: not JSON: /)
  })
})

describe('affine', () => {
  test('x·multiply + add is (x·scale - mean)/std to float32', () => {
    const value = fc.double({ min: -4, max: 4, noNaN: true })
    // negative ones invert the picture
    const factor = fc
      .tuple(fc.double({ min: 0.01, max: 4, noNaN: true }), fc.boolean())
      .map(([x, minus]) => (minus ? -x : x))
    const channel = fc.record({ mean: value, std: factor })
    fc.assert(
      fc.property(fc.array(channel, { minLength: 1, maxLength: 4 }), factor, fc.nat(255), (channels, scale, x) => {
        const [mean, std] = [channels.map((c) => c.mean), channels.map((c) => c.std)]
        const { multiply, add } = affine({ version: 1, scale, mean, std }, channels.length)
        for (const [c, { mean, std }] of channels.entries()) {
          const terms = (Math.abs(x * scale) + Math.abs(mean)) / Math.abs(std)
          expect(Math.abs(x * multiply[c]! + add[c]! - (x * scale - mean) / std)).toBeLessThanOrEqual(
            terms * 2 ** -24 + 1e-44,
          )
        }
      }),
    )
  })

  test('without numbers it divides by 255', () => {
    expect(affine({ version: 1 }, 2)).toEqual({
      multiply: Float32Array.of(1 / 255, 1 / 255),
      add: Float32Array.of(0, 0),
    })
  })

  test('as many numbers as channels, or an error', () => {
    expect(() => affine({ version: 1, mean: [0, 0, 0] }, 1)).toThrow(DecantError)
    expect(() => affine({ version: 1, mean: [0, 0, 0] }, 1)).toThrow('mean has 3 entries, the images have 1 channels')
  })
})
