import { expect, it } from 'vitest'
import type { Plan } from '../../src/cache/index.js'
import type { Preprocess, SourceInput } from '../../src/source/index.js'
import type { Padding } from '../../src/teacher/choose-padding.js'
import { recordTokens } from '../../src/teacher/record-tokens.js'

const input: SourceInput = { kind: 'tokens', dtype: 'int32', shape: [8] }
const padding: Padding = { id: 0, side: 'right', why: 'default' }
const teacher = { padding, vocabulary: 30, positions: undefined }
const none = { classes: 2, before: undefined }
const text = (given: object): Preprocess => ({ version: 1, text: { length: 8, ...given } })

it("records the tokenizer's vocabulary, else the teacher's, where either is known", () => {
  expect(recordTokens({ input, vocabulary: 20 }, { teacher, ...none })).toEqual(text({ vocabulary: 20 }))
  expect(recordTokens({ input }, { teacher, ...none })).toEqual(text({ vocabulary: 30 }))
  expect(recordTokens({ input }, { teacher: { ...teacher, vocabulary: undefined }, ...none })).toBeUndefined()
})

it('says nothing of one that the classes of a language model are', () => {
  expect(
    recordTokens({ input }, { teacher: { ...teacher, positions: 8 }, classes: 30, before: undefined }),
  ).toBeUndefined()
  expect(recordTokens({ input }, { teacher: { ...teacher, positions: 8 }, classes: 32, before: undefined })).toEqual(
    text({ vocabulary: 30 }),
  )
})

it('lets an unfinished export go on as an older decant began it', () => {
  const [older, newer] = [null, text({ vocabulary: 30 })].map((preprocess) => ({ preprocess }) as Plan)
  expect(recordTokens({ input }, { teacher, classes: 2, before: older })).toBeUndefined()
  expect(recordTokens({ input }, { teacher, classes: 2, before: newer })).toEqual(text({ vocabulary: 30 }))
})

it('records the id that was fed at padding, where it is not 0 or was declared', () => {
  const unknown = { ...teacher, vocabulary: undefined }
  expect(recordTokens({ input }, { teacher: { ...unknown, padding: { ...padding, id: 7 } }, ...none })).toEqual(
    text({ pad: 7 }),
  )
  expect(recordTokens({ input, preprocess: text({ pad: '[PAD]' }) }, { teacher: unknown, ...none })).toEqual(
    text({ pad: 0 }),
  )
})

it('leaves alone what is said of other inputs', () => {
  const image: SourceInput = { kind: 'image', dtype: 'uint8', shape: [2, 2, 1] }
  const preprocess: Preprocess = { version: 1, scale: 1 }
  expect(recordTokens({ input: image, preprocess }, { teacher, ...none })).toBe(preprocess)
})
