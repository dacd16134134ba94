import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { idAt } from '../../src/source/ids.js'
import { openSource, type Source } from '../../src/source/index.js'
import type { OpenOptions } from '../../src/source/source.js'

const python = process.env.DECANT_PYTHON ?? 'python3'
const run = promisify(execFile)
const missing = await run(python, ['-c', 'import pyarrow, numpy, datasets']).then(
  () => undefined,
  (error: Error) => error.message.trim().split('\n').at(-1),
)
if (missing)
  console.warn(
    `SKIPPED test/source/formats.interop.test.ts: ${python} has no pyarrow, numpy and datasets (${missing}); set DECANT_PYTHON`,
  )

interface Expected {
  pixels: number[][]
  features: number[][]
  half: number[][]
  tokens: number[][]
  labels: number[]
  names: string[]
  texts: string[]
}

let dir: string
let expected: Expected
const classes = ['ant', 'bee "x", y', 'zebra']
const rows = 300

beforeAll(async () => {
  if (missing) return
  dir = await mkdtemp(join(tmpdir(), 'decant-formats-'))
  await run(python, [fileURLToPath(new URL('write-sources.py', import.meta.url)), dir])
  expected = JSON.parse(await readFile(join(dir, 'expected.json'), 'utf8'))
})
afterAll(() => dir && rm(dir, { recursive: true, force: true }))

/** All rows by batches of 64, and some of them at random: they must be the same. */
async function readAll(files: string | string[], options: OpenOptions) {
  const paths = (typeof files === 'string' ? [files] : files).map((file) => join(dir, file))
  const source = await openSource(paths, options)
  const width = source.input.shape.reduce((a, b) => a * b, 1)
  const [inputs, ids, labels]: [number[][], string[], number[]] = [[], [], []]
  for await (const batch of source.batches({ size: 64 })) {
    for (let i = 0; i < batch.rows; i++) {
      inputs.push([...batch.inputs.subarray(i * width, (i + 1) * width)])
      ids.push(idAt(batch.ids, i))
      labels.push(batch.labels[i]!)
    }
  }
  const some = [299, 0, 150, 69, 70, 7, 7]
  const picked = await source.read(some)
  expect([...picked.labels]).toEqual(some.map((row) => labels[row]))
  expect(some.map((_, i) => idAt(picked.ids, i))).toEqual(some.map((row) => ids[row]))
  expect([...picked.inputs]).toEqual(some.flatMap((row) => inputs[row]!))
  await source.close()
  return { source, inputs, ids, labels }
}

const indices = () => expected.names.map((name) => classes.indexOf(name))
const keys = Array.from({ length: rows }, (_, i) => `k${i}`)
const image = (source: Source) => expect(source.input).toEqual({ kind: 'image', dtype: 'uint8', shape: [6, 6, 3] })

describe.skipIf(missing)('Parquet, Arrow', () => {
  test.each([
    ...['none', 'snappy', 'gzip', 'brotli', 'zstd', 'lz4', 'v2'].map((name) => `${name}.parquet`),
    ...['uncompressed', 'lz4', 'zstd'].map((name) => `${name}.feather`),
    'stream.arrow',
  ])('%s: images as structs and as bytes, numbers, lists, ids, labels as numbers and as names', async (file) => {
    const structs = await readAll(file, { input: 'image', label: 'label', id: 'key' })
    image(structs.source)
    expect(structs).toMatchObject({ inputs: expected.pixels, labels: expected.labels, ids: keys })
    const bytes = await readAll(file, { input: 'raw', label: 'name' })
    expect(bytes).toMatchObject({ inputs: expected.pixels, labels: indices(), source: { classes, topLabel: 2 } })
    expect(bytes.ids[299]).toBe(`${file}:299`)
    for (const input of ['vector', 'fixed']) {
      const { source, inputs } = await readAll(file, { input })
      expect(source.input).toEqual({ kind: 'features', dtype: 'float32', shape: [4] })
      expect(inputs).toEqual(expected.features)
    }
    const joined = await readAll(file, { input: ['b', 'a'] })
    expect(joined.inputs).toEqual(expected.features.map(([a, b]) => [b, a]))
    const tokens = await readAll(file, { input: 'ids', preprocess: { version: 1, text: { length: 6 } } })
    expect(tokens.inputs).toEqual(expected.tokens.map((ids) => [...ids, -1]))
  })

  test('a dataset of Hugging Face: class names from the schema, its folder of streams, several files in order', async () => {
    const parquet = await readAll('hf.parquet', { input: 'image', label: 'label' })
    expect(parquet).toMatchObject({ inputs: expected.pixels, labels: expected.labels })
    expect(parquet.source.classes).toEqual(['no', 'maybe', 'yes'])
    expect((await readAll('hf', { input: 'image', label: 'label' })).source.classes).toEqual(['no', 'maybe', 'yes'])
    const both = await readAll(['none.parquet', 'snappy.parquet'], { input: 'raw', label: 'label' })
    expect(both.labels).toEqual([...expected.labels, ...expected.labels])
    expect(both.ids[300]).toBe('snappy.parquet:0')
    expect((await readAll('*.parquet', { input: 'raw', label: 'name' }).catch((error) => error)).message).toMatch(
      /hf.parquet: no column 'raw'; it has 'image', 'label'/,
    )
  })
})

describe.skipIf(missing)('other formats', () => {
  test('CSV of pyarrow: quotes, lines inside of them, numbers, names', async () => {
    const numbers = await readAll('rows.csv', { input: ['a', 'b'], label: 'label', id: 'key' })
    expect(numbers).toMatchObject({ inputs: expected.features.map((row) => row.slice(0, 2)), labels: expected.labels })
    expect((await readAll('rows.csv', { input: 'a', label: 'name' })).labels).toEqual(indices())
    const ids = await readAll('rows.csv', { input: 'a', id: 'text' })
    expect(ids.ids).toEqual(expected.texts)
  })

  test('JSON Lines: numbers, lists, names', async () => {
    const { inputs, labels, ids } = await readAll('rows.jsonl', { input: 'vector', label: 'name', id: 'text' })
    expect({ inputs, labels, ids }).toEqual({ inputs: expected.features, labels: indices(), ids: expected.texts })
  })

  test('NPY: images, features in float16, tokens; labels in a second file', async () => {
    const labels = join(dir, 'labels.npy')
    const pixels = await readAll('pixels.npy', { labels })
    image(pixels.source)
    expect(pixels).toMatchObject({ inputs: expected.pixels, labels: expected.labels })
    const gray = await readAll('gray.npy', {})
    expect(gray.source.input.shape).toEqual([6, 6, 1])
    expect(gray.inputs[5]).toEqual(expected.pixels[5]!.filter((_, i) => i % 3 === 0))
    expect((await readAll('half.npy', {})).inputs).toEqual(expected.half)
    const tokens = await readAll('tokens.npy', {})
    expect(tokens.source.input).toEqual({ kind: 'tokens', dtype: 'int32', shape: [5] })
    expect(tokens.inputs).toEqual(expected.tokens)
  })

  test.each(['stored', 'deflated'])('NPZ, %s: arrays by name', async (name) => {
    const { inputs, labels } = await readAll(`${name}.npz`, { input: 'x', label: 'y' })
    expect({ inputs, labels }).toEqual({ inputs: expected.pixels, labels: expected.labels })
    expect((await readAll(`${name}.npz`, { input: 'f' })).inputs).toEqual(expected.features)
  })

  test.each(['gnu', 'pax'])('WebDataset, %s: image and class by extension, fields of json', async (name) => {
    const { inputs, labels, ids } = await readAll(`${name}.tar`, {})
    expect({ inputs, labels }).toEqual({ inputs: expected.pixels, labels: expected.labels })
    expect(ids[4]).toBe(`${name}.tar/00004`)
    expect(ids[3]).toBe(`${name}.tar/${'a'.repeat(120)}/00003`)
    const text = await readAll(`${name}.tar`, { id: 'json.text' })
    expect(text.ids).toEqual(expected.texts)
  })
})
