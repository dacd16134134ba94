import { createHash } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openSource, type Preprocess, readPreprocess } from '../../src/source/index.js'
import { temporaryFolder } from './fixtures.js'

/** A tokenizer of whole words with BERT's special tokens around a text. */
const tokenizer = JSON.stringify({
  version: '1.0',
  truncation: null,
  padding: { strategy: { Fixed: 4 }, direction: 'Right', pad_id: 0, pad_type_id: 0, pad_token: '[PAD]' },
  added_tokens: ['[PAD]', '[UNK]', '[CLS]', '[SEP]'].map((content, id) => ({
    id,
    content,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: true,
  })),
  normalizer: { type: 'Lowercase' },
  pre_tokenizer: { type: 'Whitespace' },
  post_processor: { type: 'BertProcessing', sep: ['[SEP]', 3], cls: ['[CLS]', 2] },
  decoder: null,
  model: {
    type: 'WordLevel',
    unk_token: '[UNK]',
    vocab: { '[PAD]': 0, '[UNK]': 1, '[CLS]': 2, '[SEP]': 3, a: 4, cat: 5, sat: 6, down: 7 },
  },
})

async function setUp(text: object, content = tokenizer) {
  const folder = await temporaryFolder()
  await writeFile(join(folder, 'tokenizer.json'), content)
  await writeFile(
    join(folder, 'p.json'),
    JSON.stringify({ version: 1, text: { tokenizer: 'tokenizer.json', ...text } }),
  )
  const path = join(folder, 't.csv')
  await writeFile(path, 't,y\nA cat sat down,1\n"a, dog",0\n')
  return { folder, path, preprocess: await readPreprocess(join(folder, 'p.json')) }
}

async function tokens(text: object): Promise<number[][]> {
  const { path, preprocess } = await setUp(text)
  const source = await openSource(path, { preprocess, input: 't', label: 'y' })
  expect(source.input).toMatchObject({ kind: 'tokens', dtype: 'int32' })
  const { inputs } = await source.read([0, 1])
  const [length] = source.input.shape
  return [[...inputs.subarray(0, length)], [...inputs.subarray(length)]]
}

test('text is tokenized, padded with -1 and truncated as declared; special tokens stay', async () => {
  expect(await tokens({ length: 8 })).toEqual([
    [2, 4, 5, 6, 7, 3, -1, -1],
    [2, 4, 1, 1, 3, -1, -1, -1],
  ])
  expect((await tokens({ length: 4 }))[0]).toEqual([2, 4, 5, 3])
  expect((await tokens({ length: 4, truncate: 'left' }))[0]).toEqual([2, 6, 7, 3])
  expect((await tokens({ length: 3, special: false }))[0]).toEqual([4, 5, 6])
})

test('the tokenizer’s hash is part of the preprocessing, and holds', async () => {
  const { folder, path, preprocess } = await setUp({ length: 8 })
  const sha256 = createHash('sha256').update(tokenizer).digest('hex')
  expect(preprocess.text).toEqual({ tokenizer: join(folder, 'tokenizer.json'), length: 8, sha256 })
  const open = (text: Partial<Preprocess['text']>) =>
    openSource(path, { preprocess: { version: 1, text: { ...preprocess.text!, ...text } }, input: 't' })
  await expect(open({ sha256: '0'.repeat(64) })).rejects.toThrow(
    `its SHA-256 is ${sha256}, the preprocessing declares 000`,
  )
  await expect(
    openSource(path, {
      preprocess: { version: 1, text: { tokenizer: preprocess.text!.tokenizer!, length: 8 } },
      input: 't',
    }),
  ).rejects.toThrow('text.sha256 is missing')
  await expect(open({ length: 2 })).rejects.toThrow('text.length is 2, the tokenizer adds 2 special tokens')
  await expect(setUp({ length: 8, sha256: '0'.repeat(64) })).rejects.toThrow(
    /p.json: text.sha256 is 0+, but .*tokenizer.json has/,
  )
  await writeFile(join(folder, 'tokenizer.json'), '{"a": 1}')
  await expect(
    setUp({ length: 8, tokenizer: join(folder, 'tokenizer.json') }).then(({ path, preprocess }) =>
      openSource(path, { preprocess, input: 't' }),
    ),
  ).rejects.toThrow(/tokenizer.json: not a tokenizer.json/)
})

test('a tokenizer that would give wrong tokens is refused', async () => {
  const { model, ...rest } = JSON.parse(tokenizer)
  const read = async (changed: object) => {
    const { path, preprocess } = await setUp(
      { length: 8 },
      JSON.stringify({ ...rest, model: { ...model, ...changed } }),
    )
    return (await openSource(path, { preprocess, input: 't' })).read([0, 1])
  }
  const { cat: _, ...vocab } = model.vocab
  await expect(read({ vocab: { ...vocab, cat: 2 ** 32 + 2 } })).rejects.toThrow(/row 0 .*has the id 4294967298/)
  await expect(
    read({ type: 'BPE', merges: [], unk_token: null, vocab: { '[CLS]': 2, '[SEP]': 3, c: 4 } }),
  ).rejects.toThrow(/tokenizer.json: .*its vocabulary has no 'a'/)
})
