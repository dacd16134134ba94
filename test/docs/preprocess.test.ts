import { readdirSync, readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { affine, readPreprocess } from '../../src/source/index.js'

const files = readdirSync('docs/preprocess')
const text = readFileSync('docs/preprocessing.md', 'utf8')

it.each(files)('%s is a preprocessing file of three channels, and in the table', async (file) => {
  const preprocess = await readPreprocess(`docs/preprocess/${file}`)
  expect(affine(preprocess, 3).multiply.every(Number.isFinite)).toBe(true)
  expect(text).toContain(`[${file}](preprocess/${file})`)
})

it('the table names no other files', () => {
  const named = [...text.matchAll(/\(preprocess\/([^)]+)\)/g)].map((match) => match[1]!)
  expect(named.toSorted()).toEqual(files.toSorted())
})
