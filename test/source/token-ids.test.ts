import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { openSource, type Preprocess, reopenSource } from '../../src/source/index.js'
import { npy, zip } from './files-of-rows.js'
import { temporaryFolder } from './fixtures.js'

type Row = Record<string, unknown>
type Options = Parameters<typeof openSource>[1] & { text?: object }

async function open(rows: Row[], { text = {}, ...options }: Options = {}) {
  const path = join(await temporaryFolder(), 'ids.jsonl')
  await writeFile(path, rows.map((row) => `${JSON.stringify(row)}\n`).join(''))
  const preprocess: Preprocess = { version: 1, text: { length: 4, ...text } }
  const source = await openSource(path, { preprocess, input: 'input_ids', ...options })
  onTestFinished(() => source.close())
  return source
}

async function tokens(rows: Row[], options?: Options): Promise<number[][]> {
  const source = await open(rows, options)
  const { inputs } = await source.read(rows.map((_, i) => i))
  const [length] = source.input.shape
  return rows.map((_, i) => [...inputs.subarray(i * length, (i + 1) * length)])
}

const ids = (...lists: unknown[]) => lists.map((input_ids) => ({ input_ids }))

describe('ids without a mask', () => {
  test('are padded with -1; negative ones behind them are padding, too, and what is cut from them is tokens', async () => {
    const lists = [[5, 6], [5, 6, -1, -1, -1, -1], [5, -100], [], [1, 2, 3, 4, 5], [1, 2, 3, 4, 5, -1]]
    const left = [
      [5, 6, -1, -1],
      [5, 6, -1, -1],
      [5, -1, -1, -1],
      [-1, -1, -1, -1],
    ]
    expect(await tokens(ids(...lists))).toEqual([...left, [1, 2, 3, 4], [1, 2, 3, 4]])
    expect(await tokens(ids(...lists), { text: { truncate: 'left' } })).toEqual([...left, [2, 3, 4, 5], [2, 3, 4, 5]])
  })

  test.each([
    [[-1, -1, -1, 5, 6, 7, 8, 9], 'id -1 at place 0, before the token 5 at place 3'],
    [[5, 6, -100, 7], 'id -100 at place 2, before the token 7 at place 3'],
    [[5, 6, 7, 8, -1, 9], 'id -1 at place 4, before the token 9 at place 5'], // behind what is kept, too
  ])('%j are refused: padding before a token would move all of them', async (list, what) => {
    await expect(tokens(ids([1], list))).rejects.toThrow(
      new RegExp(`ids.jsonl: row 1 \\(line 2\\): ${what}: without a mask .*; --attention-mask names`),
    )
  })

  test('of an array are refused as well', async () => {
    const path = join(await temporaryFolder(), 'ids.npy')
    await writeFile(path, npy('<i8', [2, 3], new BigInt64Array([1n, 2n, -1n, -1n, 1n, 2n])))
    const source = await openSource(path)
    onTestFinished(() => source.close())
    expect([...(await source.read([0])).inputs]).toEqual([1, 2, -1])
    await expect(source.read([1])).rejects.toThrow('row 1: id -1 at place 0, before the token 1 at place 1')
  })
})

describe('a mask beside ids', () => {
  const padded = [
    { input_ids: [5, 6, 0, 0], attention_mask: [1, 1, 0, 0] },
    { input_ids: [0, 0, 0, 5], attention_mask: [0, 0, 0, 1] }, // 0 may be a token, and is none here
    { input_ids: [9, 9, 0, 9], attention_mask: [false, true, true, true] },
    { input_ids: [-1, -1, 3, 4], attention_mask: [0, 0, 1, 1] },
    { input_ids: [7, 7], attention_mask: [0, 0] },
  ]
  const right = [
    [5, 6, -1, -1],
    [5, -1, -1, -1],
    [9, 0, 9, -1],
    [3, 4, -1, -1],
    [-1, -1, -1, -1],
  ]

  test('says which are tokens, on either side: they come first', async () => {
    expect(await tokens(padded)).toEqual(right)
    const renamed = padded.map(({ input_ids, attention_mask }) => ({ x: input_ids, m: attention_mask }))
    expect(await tokens(renamed, { input: 'x', attentionMask: 'm' })).toEqual(right)
    // longer than a row: what is cut are tokens, not padding
    expect(await tokens(padded.slice(2, 3), { text: { length: 2 } })).toEqual([[9, 0]])
    expect(await tokens(padded.slice(2, 3), { text: { length: 2, truncate: 'left' } })).toEqual([[0, 9]])
  })

  test('is taken by itself where Hugging Face’s names are, and a manifest keeps it', async () => {
    const source = await open(padded)
    expect(source.options).toEqual({ input: 'input_ids', attentionMask: 'attention_mask' })
    const preprocess = { version: 1, text: { length: 4 } }
    const recorded = { source, preprocess, names: null, runtime: {} }
    const again = await reopenSource(recorded, { dir: 'targets' })
    onTestFinished(() => again.close())
    expect(again).toMatchObject({ fingerprint: source.fingerprint, options: source.options })

    // a dataset that was exported before took none, and is read as it was
    const old = { ...recorded, source: { uri: source.uri, options: { input: 'input_ids' } } }
    const before = await reopenSource(old, { dir: 'targets' })
    onTestFinished(() => before.close())
    expect(before.fingerprint).not.toBe(source.fingerprint)
    expect(before.options).toEqual({ input: 'input_ids' })
    expect([...(await before.read([0])).inputs]).toEqual([5, 6, 0, 0])
  })

  test('is an array of an NPZ archive', async () => {
    const path = join(await temporaryFolder(), 'ids.npz')
    const array = (values: number[]) => npy('<i4', [2, 3], Int32Array.from(values))
    const members = { 'input_ids.npy': array([7, 7, 5, 1, 2, 3]), 'attention_mask.npy': array([0, 0, 1, 1, 1, 0]) }
    await writeFile(path, zip(members))
    const source = await openSource(path, { input: 'input_ids' })
    onTestFinished(() => source.close())
    expect([...(await source.read([0, 1])).inputs]).toEqual([5, -1, -1, 1, 2, -1])
  })

  test.each<[string, Row, string]>([
    [
      'with a hole',
      { input_ids: [1, 2, 3], attention_mask: [1, 0, 1] },
      'attention mask 0 at place 1, between the tokens at 0 and 2',
    ],
    ['of another length', { input_ids: [1, 2], attention_mask: [1] }, '2 token ids with an attention mask of 1'],
    ['of other numbers', { input_ids: [1, 2], attention_mask: [1, 2] }, 'attention mask 2 at place 1, expected 0 or 1'],
    [
      'of no numbers',
      { input_ids: [1], attention_mask: ['1'] },
      'expected an attention mask of 0 and 1, found "1" among them',
    ],
    [
      'that is no list',
      { input_ids: [1], attention_mask: 1 },
      'expected a list of an attention mask of 0 and 1, found 1',
    ],
    [
      'at a negative id',
      { input_ids: [1, -1], attention_mask: [1, 1] },
      'id -1 at place 1, where the attention mask is 1',
    ],
  ])('%s is refused by its row', async (_, row, what) => {
    await expect(tokens([padded[0]!, row])).rejects.toThrow(`ids.jsonl: row 1 (line 2): ${what}`)
  })

  test('goes with ids alone', async () => {
    await expect(tokens(padded, { attentionMask: 'mask' })).rejects.toThrow("no column 'mask'")
    await expect(tokens([{ input_ids: 'a', attention_mask: [1] }], { text: { tokenizer: 'x.json' } })).rejects.toThrow(
      'preprocess: text.tokenizer makes ids of texts',
    )
    await expect(open(padded, { preprocess: { version: 1 } })).rejects.toThrow(
      /^preprocess: column 'attention_mask' is a mask of token ids: "text": \{ "length": … \} declares/,
    )
    await expect(openSource(await temporaryFolder(), { attentionMask: 'm' })).rejects.toThrow(
      'has no columns, so --attention-mask cannot name one',
    )
  })
})
