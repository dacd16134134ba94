import { expect, test } from 'vitest'
import { isCodecName } from '../../src/cache/index.js'
import { random } from '../../src/random.js'
import { candidatesOf, chooseCodec } from '../../src/teacher/choose-codec.js'

const logitsOf = (rows: number, classes: number) => {
  const { normal } = random('choose', rows, classes)
  return Float32Array.from({ length: rows * classes }, () => 3 * normal())
}

test('the smallest codec that stays within the bound is taken, and what was tried is told, smallest first', () => {
  const { codec, trials } = chooseCodec({ logits: logitsOf(20, 100), kind: { classes: 100 }, maxKl: 1e-3 })
  expect(trials.at(-1)!.codec).toBe(codec)
  expect(trials.at(-1)!.kl).toBeLessThanOrEqual(1e-3)
  for (const { kl } of trials.slice(0, -1)) expect(kl).toBeGreaterThan(1e-3)
  expect(trials.map(({ bytesPerRow }) => bytesPerRow)).toEqual(
    trials.map(({ bytesPerRow }) => bytesPerRow).toSorted((a, b) => a - b),
  )
  expect(chooseCodec({ logits: logitsOf(20, 100), kind: { classes: 100 }, maxKl: 0 }).codec).toBe('f32')
})

test('only codecs that there are come into question, however many classes', () => {
  for (const classes of [2, 10, 1000, 2 ** 20])
    expect(candidatesOf({ classes }).filter(({ codec }) => !isCodecName(codec))).toEqual([])
  expect(candidatesOf({ classes: 1000 }).map(({ codec }) => codec)).toContain('hybrid:600')
  expect(candidatesOf({ classes: 2 ** 20 }).map(({ codec }) => codec)).toContain('hybrid:786457')
})

test('without a finite row there is nothing to choose by', () => {
  const choose = () => chooseCodec({ logits: new Float32Array(0), kind: { classes: 3 }, maxKl: 1e-3 })
  expect(choose).toThrow('--codec auto: no sampled row has finite logits')
})
