import { createHash } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { compareDecoder } from '../../src/source/compare-decoder.js'
import { openSource, type Preprocess, readPreprocess, type SourceInput } from '../../src/source/index.js'
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

const { model, ...rest } = JSON.parse(tokenizer)
const changed = (changes: { model?: object } & Record<string, unknown>) =>
  JSON.stringify({ ...rest, ...changes, model: { ...model, ...changes.model } })
/** Opens the two rows of the text above with another tokenizer, and reads them. */
async function readWith(changes: Parameters<typeof changed>[0], length = 8) {
  const { path, preprocess } = await setUp({ length }, changed(changes))
  const source = await openSource(path, { preprocess, input: 't' })
  try {
    return [...(await source.read([0, 1])).inputs]
  } finally {
    await source.close()
  }
}

test('a tokenizer that would give wrong tokens is refused', async () => {
  const vocab = { ...model.vocab, cat: 2 ** 32 + 2 }
  await expect(readWith({ model: { vocab } })).rejects.toThrow(/not a tokenizer.json: .*4294967298/)
  await expect(readWith({ model: { vocab: { ...vocab, cat: 2 ** 31 } } })).rejects.toThrow(
    /row 0 .*token 2 of the text has the id 2147483648/,
  )
  await expect(readWith({ model: { unk_token: '[NONE]' } })).rejects.toThrow(/row 1 .*: .*\[UNK\] token/)
  // as in training: another id each time
  await expect(readWith({ model: { type: 'BPE', merges: [], dropout: 0.1 } })).rejects.toThrow(
    /tokenizer.json: model.dropout is 0.1/,
  )
  await expect(readWith({ padding: { ...rest.padding, pad_id: 2 } })).rejects.toThrow(
    /padding says id 2 and token "\[PAD\]", which has id 0/,
  )
  // no length of a row, whatever is cut from its text
  const single = [{ Sequence: { id: 'A', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }]
  await expect(
    readWith({ post_processor: { type: 'TemplateProcessing', single, pair: single, special_tokens: {} } }, 4),
  ).rejects.toThrow(/row 0 .*8 tokens where 4 have room/)
})

test('special tokens are put where the file says, also where no letter is in the vocabulary', async () => {
  const vocab = { '[CLS]': 2, '[SEP]': 3, c: 4, t: 5 }
  expect(await readWith({ model: { type: 'BPE', merges: [], unk_token: null, vocab } }, 6)).toEqual(
    // 'a cat sat down' and 'a, dog': BPE without an unknown token leaves out what it does not know
    [2, 4, 5, 5, 3, -1, 2, 3, -1, -1, -1, -1],
  )
})

test('text that is not Unicode is refused by its row', async () => {
  const { folder, preprocess } = await setUp({ length: 8 })
  const path = join(folder, 't.jsonl')
  await writeFile(path, '{"t": "a cat"}\n{"t": "a \\ud83d cat"}\n{"t": "sat \\ud83d\\ude00"}\n')
  const source = await openSource(path, { preprocess, input: 't' })
  await expect(source.read([1])).rejects.toThrow(/row 1 \(line 2\): .*half of a surrogate pair/)
  expect([...(await source.read([2])).inputs]).toEqual([2, 6, 1, 3, -1, -1, -1, -1])
  await source.close()
})

test.each<[string, Parameters<typeof changed>[0], RegExp]>([
  [
    'a merge that is longer than each token of the vocabulary', // an index beyond the library's buffer
    { model: { type: 'BPE', vocab: { a: 0, b: 1 }, merges: ['a b'] } },
    /tokenizer.json: not a tokenizer.json: the library crashed on it: range end index 2/,
  ],
  [
    'a normalizer that is no trie',
    { normalizer: { type: 'Precompiled', precompiled_charsmap: 'aGVsbG8=' } },
    /tokenizer.json: not a tokenizer.json: the library crashed on it: .*precompiled_charsmap/,
  ],
  [
    'pieces of length 0',
    { pre_tokenizer: { type: 'FixedLength', length: 0 } },
    /row 0 .*: the tokenizer's library crashed on it: chunk size must be non-zero/,
  ],
])('what ends the process of the library is an error: %s', async (_, changes, message) => {
  await expect(readWith(changes)).rejects.toThrow(message)
})

test('a text that the library crashes on is a row that cannot be read, and the others are', async () => {
  // needs 2^n steps for n letters before something else; Oniguruma gives up, and the library panics
  const pre_tokenizer = { type: 'Split', pattern: { Regex: '(a+)+$' }, behavior: 'Removed', invert: false }
  const { folder, preprocess } = await setUp({ length: 4 }, changed({ pre_tokenizer }))
  const path = join(folder, 't.csv')
  await writeFile(path, `t\nsat\n${'a'.repeat(64)}b\ndown\n`)
  const source = await openSource(path, { preprocess, input: 't', onError: 'skip' })
  for await (const batch of source.batches({ size: 3, onError: 'skip' })) {
    expect([...batch.inputs]).toEqual([2, 6, 3, -1, 2, 7, 3, -1])
    expect(batch.skipped).toEqual([
      { id: 't.csv:1', reason: expect.stringContaining('library crashed on it: Onig: Regex search error') },
    ])
  }
  await expect(source.read([1])).rejects.toThrow(/row 1 .*crashed/)
  await source.close()
})

test('without a binary for this machine there are no ids, and the error says why', async () => {
  const { path, preprocess } = await setUp({ length: 8 })
  process.env.NAPI_RS_NATIVE_LIBRARY_PATH = '/nowhere' // the package's loader then looks for no other
  try {
    await expect(openSource(path, { preprocess, input: 't' })).rejects.toThrow(
      /tokenizer.json: tokenizers [\d.]+ does not run on \w+ \w+: make the ids of the texts on another machine/,
    )
  } finally {
    delete process.env.NAPI_RS_NATIVE_LIBRARY_PATH
  }
})

test('the source says what made the tokens', async () => {
  const { path, preprocess } = await setUp({ length: 8 })
  const source = await openSource(path, { preprocess, input: 't' })
  const require = createRequire(import.meta.url)
  expect(source.decoder).toBe(`tokenizers ${require('tokenizers/package.json').version}`)
  await source.close()
})

test('the source says how many ids there are: those of the file, or as declared', async () => {
  const vocabularyOf = async (text: object, content?: string) => {
    const { path, preprocess } = await setUp({ length: 8, ...text }, content)
    const source = await openSource(path, { preprocess, input: 't' })
    await source.close()
    return source.vocabulary
  }
  expect(await vocabularyOf({})).toBe(8)
  expect(await vocabularyOf({ vocabulary: 64 })).toBe(64)
  const added = JSON.parse(tokenizer)
  added.added_tokens.push({ ...added.added_tokens[0], id: 30, content: '[MASK]' })
  expect(await vocabularyOf({}, JSON.stringify(added))).toBe(31)
  const pieces = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '▁a'].map((piece) => [piece, -1])
  const unigram = { ...JSON.parse(tokenizer), model: { type: 'Unigram', unk_id: 1, vocab: pieces } }
  expect(await vocabularyOf({}, JSON.stringify(unigram))).toBe(5)
})

test('a dataset whose tokens were made by another library, or version, is told of', () => {
  const input: SourceInput = { kind: 'tokens', dtype: 'int32', shape: [8] }
  const source = { uri: 't.csv', input, decoder: 'tokenizers 0.23.2' }
  expect(compareDecoder('tokenizers 0.23.2', source)).toBeUndefined()
  expect(compareDecoder('tokenizers 0.22.0', source)).toMatch(
    /^t.csv: decoded by tokenizers 0.22.0 when it was exported, by tokenizers 0.23.2 now: texts may have other token ids/,
  )
  // manifests did not say so before
  expect(compareDecoder(undefined, source)).toContain('decoded by @huggingface/tokenizers 0.2.0')
  expect(compareDecoder(undefined, { ...source, decoder: undefined })).toBeUndefined() // ids that came ready
  const image: SourceInput = { kind: 'image', dtype: 'uint8', shape: [2, 2, 3] }
  expect(compareDecoder('sharp 1, libvips 2', { uri: 'i', input: image, decoder: 'sharp 1, libvips 3' })).toContain(
    'pixels may differ',
  )
})
