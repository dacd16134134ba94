import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { readPreprocess } from '../../src/source/preprocess.js'
import { openDetokenizer, openTokenizer } from '../../src/source/tokenize.js'
import { hasPackage, python } from '../helpers/python.js'
import { scripts } from './scripts.js'

const folder = mkdtempSync(join(tmpdir(), 'decant-tokenizers-'))
afterAll(() => rmSync(folder, { recursive: true }))

/** What Python's `tokenizers` says of each text. */
interface Answer {
  name: string
  file: string
  ids: number[][]
  /** Without special tokens. */
  bare: number[][]
  /** To 8 tokens, special ones among them. */
  truncated: Record<'left' | 'right', number[][]>
  decoded: string[]
}

/** Strings of any characters, of graphemes, and of words, marks and the names of tokens in any order. */
function strangeTexts(): string[] {
  const parts = Object.values(scripts).flatMap((text) => text.split(/(?=\s)|(?<=\s)/))
  const tokens = [
    '<mask>',
    'sind',
    'ein',
    'eins',
    '人',
    'ΜΟΥ',
    '[CLS]',
    '<s>',
    '</s>',
    '<0x41>',
    '##',
    '▁',
    '()',
    ' ',
    'Σ',
    "'s",
    '٣',
  ]
  const mixed = fc.array(fc.constantFrom(...parts, ...tokens), { maxLength: 20 }).map((list) => list.join(''))
  const any = fc.string({ unit: 'binary', maxLength: 40 })
  const graphemes = fc.string({ unit: 'grapheme', maxLength: 40 })
  return fc.sample(fc.oneof(mixed, any, graphemes), { seed: 1, numRuns: 600 })
}

const texts = [...Object.values(scripts), '', ' ', ...strangeTexts()]

function askPython(): Answer[] {
  if (!hasPackage('tokenizers') || !hasPackage('sentencepiece')) return []
  writeFileSync(join(folder, 'corpus.json'), JSON.stringify({ train: Object.values(scripts), texts }))
  const script = fileURLToPath(new URL('train-tokenizers.py', import.meta.url))
  execFileSync(python, [script, folder], { stdio: ['ignore', 'ignore', 'pipe'] })
  return JSON.parse(readFileSync(join(folder, 'ids.json'), 'utf8')) as Answer[]
}

const answers = askPython()

/** The ids of all texts as the dataset would have them, padding left out. */
async function idsOf(file: string, text: object): Promise<number[][]> {
  const path = join(folder, 'p.json')
  writeFileSync(path, JSON.stringify({ version: 1, text: { tokenizer: file, length: 4096, ...text } }))
  const { text: declared } = await readPreprocess(path)
  const { tokenize, close } = await openTokenizer({ ...declared!, tokenizer: declared!.tokenizer! })
  try {
    return await Promise.all(
      texts.map(async (one) => {
        const into = new Int32Array(declared!.length)
        await tokenize(one, into)
        const end = into.indexOf(-1)
        return [...into.subarray(0, end < 0 ? into.length : end)]
      }),
    )
  } finally {
    close()
  }
}

/** The texts of which the ids differ, for a message that says more than two long lists. */
const differing = (found: unknown[], expected: unknown[]) =>
  texts.flatMap((text, i) =>
    JSON.stringify(found[i]) === JSON.stringify(expected[i]) ? [] : [{ text, found: found[i], expected: expected[i] }],
  )

describe.skipIf(answers.length === 0)('Python’s tokenizers gives the same ids', () => {
  it.each(answers.map((answer) => [answer.name, answer] as const))('%s', async (_, answer) => {
    const { file, ids, bare, truncated } = answer
    expect(ids.some((list) => list.length > 8)).toBe(true)
    expect(differing(await idsOf(file, {}), ids)).toEqual([])
    expect(differing(await idsOf(file, { special: false }), bare)).toEqual([])
    expect(differing(await idsOf(file, { length: 8 }), truncated.right)).toEqual([])
    expect(differing(await idsOf(file, { length: 8, truncate: 'left' }), truncated.left)).toEqual([])
  })

  it.each(answers.map((answer) => [answer.name, answer] as const))(
    '%s: and the same texts of them',
    async (_, answer) => {
      const { file, ids, decoded } = answer
      const path = join(folder, 'p.json')
      writeFileSync(path, JSON.stringify({ version: 1, text: { tokenizer: file, length: 1 } }))
      const { text } = await readPreprocess(path)
      const { toText, close } = await openDetokenizer({ ...text, tokenizer: text!.tokenizer! })
      expect(differing(await Promise.all(ids.map((list) => toText(list))), decoded)).toEqual([])
      close()
    },
  )
})
