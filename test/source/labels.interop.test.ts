import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { openSource } from '../../src/source/index.js'
import type { OpenOptions } from '../../src/source/source.js'
import { hasPackage, python } from '../helpers/python.js'

const missing = !['pandas', 'pyarrow', 'polars', 'webdataset'].every(hasPackage)

interface Expected {
  /** By file, or by file and column: class numbers as they were read back, and the names of categories. */
  labels: Record<string, number[] & string[]>
  arrays: Record<string, { shape: number[]; values: number[][] }>
}
let dir: string
let expected: Expected

beforeAll(async () => {
  if (missing) return
  dir = await mkdtemp(join(tmpdir(), 'decant-labels-'))
  await promisify(execFile)(python, [fileURLToPath(new URL('write-labels.py', import.meta.url)), dir])
  expected = JSON.parse(await readFile(join(dir, 'expected.json'), 'utf8'))
}, 120_000)
afterAll(() => dir && rm(dir, { recursive: true, force: true }))

async function readAll(file: string, options: OpenOptions) {
  const source = await openSource(join(dir, file), options)
  onTestFinished(() => source.close())
  return { source, ...(await source.read(Array.from({ length: source.rows }, (_, i) => i))) }
}

describe.skipIf(missing)('class numbers', () => {
  test.each([
    'numbers.csv',
    'text.csv',
    'numbers.parquet',
    'numbers.feather',
    'numbers.jsonl',
    'nullable.parquet',
    'polars.csv',
    'polars.jsonl',
  ])('with holes, which pandas makes floats of (%s)', async (file) => {
    const { labels, source } = await readAll(file, { input: 'x', label: 'y' })
    expect([...labels]).toEqual(expected.labels[file])
    expect(source).toMatchObject({ classes: undefined, topLabel: 11 })
  })
})

describe.skipIf(missing)('categories', () => {
  const files: [string, string][] = [
    ...['pandas.feather', 'pandas.parquet', 'groups.parquet', 'plain.parquet', 'pandas.arrows'].flatMap((file) =>
      ['ordered', 'explicit', 'automatic'].map((column) => [file, column] as [string, string]),
    ),
    ...['polars.arrow', 'zstd.arrow', 'polars.parquet', 'sunk.parquet'].flatMap((file) =>
      ['enum', 'categorical'].map((column) => [file, column] as [string, string]),
    ),
    ['encoded.feather', 'name'],
    ['encoded.parquet', 'name'],
  ]
  test.each(files)('%s: %s', async (file, label) => {
    const { labels, source } = await readAll(file, { input: 'x', label })
    expect([...labels]).toEqual(expected.labels[`${file}:${label}`])
    expect(source.classes).toEqual(expected.labels[`${file}:${label}:names`])
  })

  test('whose order is not in the file are refused, and read where their names are given', async () => {
    await expect(readAll('lost.parquet', { input: 'x', label: 'ordered' })).rejects.toThrow(
      /lost.parquet: column 'ordered': the order of its categories is not in the file: say with --classes/,
    )
    const names = ['none', 'high', 'mid', 'low']
    const { labels } = await readAll('lost.parquet', { input: 'x', label: 'ordered', classes: { names } })
    const ordered = expected.labels['pandas.parquet:ordered']!
    expect([...labels]).toEqual(ordered.map((label) => (label < 0 ? -1 : 3 - label)))
  })
})

describe.skipIf(missing)('arrays', () => {
  const files = ['arrays.feather', 'arrays.parquet']
  test.each(files.flatMap((file) => ['tensor', 'half', 'nested', 'large'].map((column) => [file, column])))(
    'keep their shape (%s: %s)',
    async (file, input) => {
      const { inputs, source } = await readAll(file!, { input: input! })
      const { shape, values } = expected.arrays[input!]!
      expect(source.input).toEqual({ kind: 'features', dtype: 'float32', shape: input === 'large' ? [12] : shape })
      expect(inputs).toEqual(Float32Array.from(values.flat()))
    },
  )

  test.each(files.flatMap((file) => ['picture', 'nested_picture'].map((column) => [file, column])))(
    'of bytes [H, W, 3] are pictures (%s: %s)',
    async (file, input) => {
      const { inputs, source } = await readAll(file!, { input: input! })
      expect(source.input).toEqual({ kind: 'image', dtype: 'uint8', shape: [4, 2, 3] })
      expect(inputs).toEqual(Uint8Array.from(expected.arrays[input!]!.values.flat()))
    },
  )

  test.each(files)('of other integers are features; text may be views, or large (%s)', async (file) => {
    const { inputs, source, labels } = await readAll(file, { input: 'long', label: 'view' })
    expect(source.input).toEqual({ kind: 'features', dtype: 'float32', shape: [4, 2, 3] })
    expect(inputs).toEqual(Float32Array.from(expected.arrays.long!.values.flat()))
    expect(labels).toEqual((await readAll(file, { input: 'long', label: 'large_text' })).labels)
  })

  test.each([
    ['transposed.arrow', "column 'x': tensors stored with their axes in another order (permutation 1,2,0): save"],
    ['runs.arrow', "column 'x' is run-end encoded: decode it (pyarrow.compute.run_end_decode)"],
    ['views.arrow', "column 'x' is of list views: cast it to pyarrow.list_, or write the table as Parquet"],
  ])('that are not read are refused with what to do (%s)', async (file, message) => {
    await expect(readAll(file, { input: 'x' })).rejects.toThrow(message)
  })

  test('of list views are read from Parquet', async () => {
    const { inputs } = await readAll('views.parquet', { input: 'x' })
    expect(inputs).toEqual(Float32Array.from(expected.arrays.large!.values.flat()))
  })
})

describe.skipIf(missing)('WebDataset', () => {
  test('as its own writer writes it', async () => {
    const { source, inputs, labels } = await readAll('wds.tar', { input: 'x.npy' })
    const { shape, values } = expected.arrays['wds.tar']!
    expect(source.input).toEqual({ kind: 'features', dtype: 'float32', shape })
    expect(inputs).toEqual(Float32Array.from(values.flat()))
    expect([...labels]).toEqual(expected.labels['wds.tar'])
    const names = ['mid', 'low', 'high']
    const named = await readAll('wds.tar', { input: 'x.npy', label: 'json.name', classes: { names } })
    expect([...named.labels].slice(0, 4)).toEqual([1, 0, 2, 1])
  })

  test.each(['gnu', 'pax', 'ustar'])('of tarfile (%s): names in .cls, and a cut is refused', async (style) => {
    const options = { input: 'txt', classes: { names: ['mid', 'low', 'high'] } }
    const { inputs, labels } = await readAll(`${style}.tar`, options)
    expect({ inputs: [...inputs], labels: [...labels] }).toEqual({
      inputs: [0, 1, 2, 3, 4, 5],
      labels: [1, 0, 2, 1, 0, 2],
    })
    const whole = await readFile(join(dir, `${style}.tar`))
    const end = whole.findLastIndex((byte) => byte !== 0) + 1
    for (const at of [512, 1024, 2048, Math.ceil(end / 512) * 512, Math.ceil(end / 512) * 512 + 512]) {
      await writeFile(join(dir, `${style}-cut.tar`), whole.subarray(0, at))
      await expect(readAll(`${style}-cut.tar`, options), `${at} bytes`).rejects.toThrow(/truncated/)
    }
  })
})
