import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  Dictionary,
  Field,
  FixedSizeList,
  Float32,
  Int8,
  makeData,
  RecordBatch,
  Schema,
  Struct,
  Table,
  tableToIPC,
  Uint8,
  Utf8,
  vectorFromArray,
} from 'apache-arrow'
import { describe, expect, onTestFinished, test } from 'vitest'
import { openSource } from '../../src/source/index.js'
import { openTable } from '../../src/source/open-table.js'
import type { OpenOptions } from '../../src/source/source.js'
import { temporaryFolder } from './fixtures.js'
import { parquet } from './parquet-file.js'

const columns = { input: 'x', label: 'y' }

/** What pandas keeps of a categorical column 'y'. */
const pandas = (categories: number, ordered: boolean) =>
  JSON.stringify({
    columns: [
      { field_name: 'y', pandas_type: 'categorical', metadata: { num_categories: categories, ordered } },
      { field_name: null, pandas_type: 'int64', metadata: null },
    ],
  })

interface Written {
  /** Of the dictionary's type in Arrow. */
  ordered?: boolean
  metadata?: Record<string, string>
}

/** An Arrow file of a column of numbers and one of categories, as the codes have them. */
function arrow(names: string[], codes: number[], { ordered = false, metadata = {} }: Written = {}): Uint8Array {
  const type = new Dictionary(new Utf8(), new Int8(), 1, ordered)
  const dictionary = vectorFromArray(names, new Utf8())
  const y = makeData({ type, data: Int8Array.from(codes), dictionary, length: codes.length })
  const x = makeData({ type: new Float32(), data: Float32Array.from(codes), length: codes.length })
  const fields = [new Field('x', new Float32()), new Field('y', type)]
  const schema = new Schema(fields, new Map(Object.entries(metadata)))
  const struct = makeData({ type: new Struct(fields), children: [x, y], length: codes.length })
  return tableToIPC(new Table(schema, [new RecordBatch(schema, struct)]), 'file')
}

async function open(files: Uint8Array[], options: OpenOptions = columns) {
  const folder = await temporaryFolder()
  const paths = files.map((_, i) => join(folder, `${i}.arrow`))
  for (const [i, path] of paths.entries()) await writeFile(path, files[i]!)
  const source = await openSource(paths, options)
  onTestFinished(() => source.close())
  const { labels } = await source.read(Array.from({ length: source.rows }, (_, i) => i))
  return { labels: [...labels], classes: source.classes }
}

describe('the categories of an Arrow dictionary', () => {
  const names = ['low', 'mid', 'high', 'none']
  const codes = [1, 0, 2, 0]

  test('that is ordered are the classes, in its order, those without a row among them', async () => {
    expect(await open([arrow(names, codes, { ordered: true })])).toEqual({ labels: codes, classes: names })
  })

  test('of pandas are, whether pandas calls them ordered or not: their codes are their places', async () => {
    for (const ordered of [false, true])
      expect(await open([arrow(names, codes, { ordered, metadata: { pandas: pandas(4, ordered) } })])).toEqual({
        labels: codes,
        classes: names,
      })
  })

  test('that is only an encoding are sorted by their bytes', async () => {
    const sorted = { labels: [2, 1, 0, 1], classes: ['high', 'low', 'mid'] }
    expect(await open([arrow(names, codes)])).toEqual(sorted)
    expect(await open([arrow(names, codes, { metadata: { pandas: '{"columns":[]}' } })])).toEqual(sorted)
    expect(await open([arrow(names, codes, { metadata: { pandas: 'no JSON' } })])).toEqual(sorted)
  })

  test('are mapped by the names that are given', async () => {
    const given = ['none', 'high', 'low', 'mid']
    const file = arrow(names, codes, { ordered: true })
    expect(await open([file], { ...columns, classes: { names: given } })).toEqual({
      labels: [3, 2, 1, 2],
      classes: given,
    })
  })

  test('that are numbers in another order could be classes by value or by place: refused, or by value where no order is meant', async () => {
    const file = (ordered: boolean) => arrow(['3', '1', '2'], [0, 1, 2], { metadata: { pandas: pandas(3, ordered) } })
    await expect(open([file(true)])).rejects.toThrow(
      /0.arrow: column 'y': its categories are numbers, in the order '3', '1', '2': .* say with --classes/,
    )
    expect(await open([file(false)])).toEqual({ labels: [3, 1, 2], classes: undefined })
    expect((await open([arrow(['0', '1'], [1, 0], { ordered: true })])).labels).toEqual([1, 0])
    expect((await open([arrow(['7', 'cat'], [1, 0], { ordered: true })])).classes).toEqual(['7', 'cat'])
  })
})

describe('several files', () => {
  const one = (names: string[], ordered: boolean) =>
    arrow(names, [...names.keys()], { metadata: { pandas: pandas(names.length, ordered) } })

  test('of the same categories have them', async () => {
    expect((await open([one(['b', 'a'], true), one(['b', 'a'], true)])).labels).toEqual([0, 1, 0, 1])
  })

  test('of different ones, as pandas makes them of the values of each file, have all of them sorted', async () => {
    const found = await open([one(['a', 'c'], false), one(['b'], false)])
    expect(found).toEqual({ labels: [0, 2, 1], classes: ['a', 'b', 'c'] })
  })

  test('of different ones whose order is meant are refused', async () => {
    const message = /1.arrow: column 'y': its categories are 'a', 'b', in .*0.arrow 'b', 'a': say with --classes/
    await expect(open([one(['b', 'a'], true), one(['a', 'b'], true)])).rejects.toThrow(message)
    await expect(open([one(['b', 'a'], false), one(['a', 'b'], false)])).rejects.toThrow(message)
    const options = { ...columns, classes: { names: ['a', 'b'] } }
    expect((await open([one(['b', 'a'], true), one(['a', 'b'], true)], options)).labels).toEqual([1, 0, 0, 1])
  })

  test('of Hugging Face with different class names are refused', async () => {
    const hub = (names: string[]) => {
      const features = { y: { _type: 'ClassLabel', names } }
      const schema = new Schema(
        [new Field('x', new Float32()), new Field('y', new Int8())],
        new Map([['huggingface', JSON.stringify({ info: { features } })]]),
      )
      const x = makeData({ type: new Float32(), data: Float32Array.of(1, 2), length: 2 })
      const y = makeData({ type: new Int8(), data: Int8Array.of(0, 1), length: 2 })
      const struct = makeData({ type: new Struct(schema.fields), children: [x, y] as never, length: 2 })
      return tableToIPC(new Table(schema, [new RecordBatch(schema, struct as never)]), 'file')
    }
    expect(await open([hub(['no', 'yes'])])).toEqual({ labels: [0, 1], classes: ['no', 'yes'] })
    // integers mean the names that the file gives them
    const given = { names: ['yes', 'no'] }
    expect((await open([hub(['no', 'yes'])], { ...columns, classes: given })).labels).toEqual([1, 0])
    await expect(open([hub(['no', 'yes']), hub(['yes', 'no'])])).rejects.toThrow(
      /1.arrow: the class names of 'y' are 'yes', 'no', in .*0.arrow 'no', 'yes': integer labels would mean different/,
    )
  })
})

describe('the categories of a Parquet column', () => {
  const texts = (values: string[]) =>
    Buffer.concat(values.flatMap((text) => [Buffer.from(Uint32Array.of(text.length).buffer), Buffer.from(text)]))
  const said = (categories: number) => ({ pandas: pandas(categories, true).replaceAll('"y"', '"x"') })
  /** Rows 2, 0 of a dictionary: a run of present values, then indices of two bits, bit-packed. */
  const data = Buffer.from([2, 0, 0, 0, 4, 1, 2, 3, 0b0010, 0])

  async function categoriesOf(file: Buffer) {
    const path = join(await temporaryFolder(), 'a.parquet')
    await writeFile(path, file)
    const table = await openTable(path, 'parquet')
    onTestFinished(() => table.close())
    return { found: await table.categories?.('x'), cells: (await table.block(0, ['x'])).columns[0] }
  }
  const file = (names: string[], metadata: Record<string, string>) =>
    parquet(
      [
        { data: texts(names), values: names.length, dictionary: true },
        { data, values: 2, encoding: 8 },
      ],
      { type: 6, metadata },
    )

  test('are those of its dictionary, where pandas says that they are categories', async () => {
    const names = ['b', 'c', 'a']
    const { found, cells } = await categoriesOf(file(names, said(3)))
    expect(cells).toEqual([Buffer.from('a'), Buffer.from('b')].map((text) => new Uint8Array(text)))
    expect(found).toEqual({ names, ordered: true })
    expect((await categoriesOf(file(names, {}))).found).toBeUndefined()
  })

  test('are refused where the dictionary has not all of them', async () => {
    await expect(categoriesOf(file(['b', 'c', 'a'], said(4)))).rejects.toThrow(
      /a.parquet: column 'x': the order of its categories is not in the file: say with --classes/,
    )
  })
})

describe('tensors of Arrow', () => {
  /** Two rows of twelve numbers, as lists of these lengths in each other. */
  function tensors(lengths: number[], metadata: Record<string, string> = {}, bytes = false) {
    const element = bytes ? new Uint8() : new Float32()
    const values = Array.from({ length: 24 }, (_, i) => i)
    let child = makeData({
      type: element as Float32,
      data: (bytes ? Uint8Array.from(values) : Float32Array.from(values)) as Float32Array,
      length: 24,
    }) as never
    let type = element as never
    let rows = 24
    for (const length of lengths.toReversed()) {
      rows /= length
      type = new FixedSizeList(length, new Field('item', type)) as never
      child = makeData({ type, child, length: rows } as never) as never
    }
    const field = new Field('x', type as FixedSizeList, true, new Map(Object.entries(metadata)))
    const schema = new Schema([field])
    const struct = makeData({ type: new Struct([field]), children: [child], length: 2 } as never)
    return tableToIPC(new Table(schema, [new RecordBatch(schema, struct as never)]), 'file')
  }
  const extension = (says: object) => ({
    'ARROW:extension:name': 'arrow.fixed_shape_tensor',
    'ARROW:extension:metadata': JSON.stringify(says),
  })
  async function read(file: Uint8Array) {
    const path = join(await temporaryFolder(), 'a.arrow')
    await writeFile(path, file)
    const source = await openSource(path)
    onTestFinished(() => source.close())
    return { input: source.input, inputs: [...(await source.read([1])).inputs] }
  }
  const second = [12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23]

  test('and fixed-size lists in each other keep their shape', async () => {
    const input = { kind: 'features', dtype: 'float32', shape: [3, 2, 2] }
    expect(await read(tensors([12], extension({ shape: [3, 2, 2] })))).toEqual({ input, inputs: second })
    expect(await read(tensors([3, 2, 2]))).toEqual({ input, inputs: second })
    expect((await read(tensors([12]))).input.shape).toEqual([12])
  })

  test('of bytes [H, W, 3] are pictures', async () => {
    const input = { kind: 'image', dtype: 'uint8', shape: [2, 2, 3] }
    expect(await read(tensors([12], extension({ shape: [2, 2, 3] }), true))).toEqual({ input, inputs: second })
    expect(await read(tensors([2, 2, 3], {}, true))).toEqual({ input, inputs: second })
  })

  test.each([
    [{ shape: [3, 2, 2], permutation: [2, 0, 1] }, /stored with their axes in another order \(permutation 2,0,1\)/],
    [{ shape: [3, 2, 3] }, /a tensor whose shape does not fit its numbers/],
    [{}, /a tensor whose shape does not fit its numbers/],
  ])('that are not as they seem are refused: %j', async (says, message) => {
    await expect(read(tensors([12], extension(says)))).rejects.toThrow(message)
    const unmoved = tensors([12], extension({ shape: [3, 2, 2], permutation: [0, 1, 2] }))
    expect((await read(unmoved)).inputs).toEqual(second)
  })

  test('with a number missing cost their row', async () => {
    const type = new FixedSizeList(2, new Field('item', new FixedSizeList(1, new Field('item', new Float32()))))
    const file = tableToIPC(new Table({ x: vectorFromArray([[[1], [2]], null, [[3], [null]]], type) }), 'file')
    const path = join(await temporaryFolder(), 'a.arrow')
    await writeFile(path, file)
    const source = await openSource(path, { onError: 'skip' })
    onTestFinished(() => source.close())
    for await (const batch of source.batches({ size: 3, onError: 'skip' })) {
      expect([...batch.inputs]).toEqual([1, 2])
      expect(batch.skipped.map(({ reason }) => reason)).toEqual([
        "column 'x': expected 2 values, found nothing",
        'a list in which numbers are missing',
      ])
    }
  })
})
