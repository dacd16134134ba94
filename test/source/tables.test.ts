import { readdir, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import {
  Decimal,
  Dictionary,
  Float32,
  Int32,
  IntervalDayTime,
  Message,
  makeData,
  makeVector,
  Table,
  tableToIPC,
  Utf8,
  type Vector,
  vectorFromArray,
} from 'apache-arrow'
import { Footer } from 'apache-arrow/ipc/metadata/file'
import {
  RecordBatch as BatchMetadata,
  BodyCompression,
  BufferRegion,
  FieldNode,
} from 'apache-arrow/ipc/metadata/message'
import { describe, expect, onTestFinished, test } from 'vitest'
import { idAt } from '../../src/source/ids.js'
import { type Batch, openSource } from '../../src/source/index.js'
import { openTable } from '../../src/source/open-table.js'
import type { OpenOptions } from '../../src/source/source.js'
import { CELL_BYTES } from '../../src/source/table.js'
import { walkTar } from '../../src/source/tar.js'
import { npy, tar, zip } from './files-of-rows.js'
import { collect, pattern, plain, temporaryFolder } from './fixtures.js'

async function open(files: Record<string, string | Uint8Array>, options: OpenOptions = {}) {
  const folder = await temporaryFolder()
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content)
  const source = await openSource(
    Object.keys(files).map((name) => join(folder, name)),
    options,
  )
  onTestFinished(() => source.close())
  return source
}
const seen = ({ rows, ids, labels, inputs }: Batch) => ({
  ids: Array.from({ length: rows }, (_, i) => idAt(ids, i)),
  labels: [...labels],
  inputs: [...inputs],
})
const read = async (...[files, options]: Parameters<typeof open>) => {
  const source = await open(files, options)
  return seen(await source.read(Array.from({ length: source.rows }, (_, i) => i)))
}

describe('CSV', () => {
  test('has a header; quotes hold separators, quotes and line ends; blank lines and CR LF are of no account', async () => {
    const text = 'x,name,id\r\n1,"a, ""b""",one\r\n\r\n2.5,"c\nd","tw\r\no"\r\n-3,"a, ""b""",three'
    const source = await open({ 'r.csv': text }, { input: 'x', label: 'name', id: 'id' })
    expect(source).toMatchObject({ kind: 'csv', rows: 3, classes: ['a, "b"', 'c\nd'], topLabel: 1 })
    expect(source.input).toEqual({ kind: 'features', dtype: 'float32', shape: [1] })
    expect(seen(await source.read([0, 1, 2]))).toEqual({
      ids: ['one', 'tw\r\no', 'three'],
      labels: [0, 1, 0],
      inputs: [1, 2.5, -3],
    })
  })

  test('labels of digits are numbers, an empty one is none; tabs separate .tsv; gzip is decompressed', async () => {
    expect(await read({ 'r.csv': '\ufeffx,y\n1,7\n2,\n3,0\n' }, { input: 'x', label: 'y' })).toMatchObject({
      labels: [7, -1, 0],
    })
    const tabs = await read({ 'r.tsv.gz': gzipSync('a\tb\n1\t2\n3\t4\n') }, { input: ['b', 'a'] })
    expect(tabs).toEqual({ ids: ['r.tsv.gz:0', 'r.tsv.gz:1'], labels: [-1, -1], inputs: [2, 1, 4, 3] })
  })

  test('of many blocks is read from any row', async () => {
    const rows = Array.from({ length: 60_000 }, (_, i) => `${i},"line ${i}\n${'x'.repeat(i % 40)}"`)
    const source = await open({ 'r.csv': `n,text\n${rows.join('\n')}\n` }, { input: 'n' })
    expect((await source.read([59_999, 0, 31_234])).inputs).toEqual(Float32Array.of(59_999, 0, 31_234))
    let at = 20_000
    for await (const { inputs } of source.batches({ from: 20_000, size: 7_000 }))
      for (const n of inputs) expect(n).toBe(at++)
    expect(at).toBe(60_000)
  })

  test.each([
    ['x,y\n1,2\n3\n', {}, /r.csv: line 3: 1 fields, the header has 2/],
    ['x,y\n1,2\n3,"4\n', {}, /r.csv: line \d: Quote Not Closed/],
    ['x,y\n1,2\n3,4"5\n', {}, /r.csv: line 3: Invalid Opening Quote|r.csv: line \d: Quote Not Closed/],
    ['x,x\n1,2\n', {}, /the header names 'x' twice/],
    ['', {}, /empty/],
    ['x,y\n1,2\nz,3\n', {}, /r.csv: row 1 \(line 3\): column 'x': expected a number, found "z"; text becomes tokens/],
    [
      'x,y\n1,2\n1,-5\n',
      {},
      /r.csv: row 1 \(line 3\): label 'y': expected class numbers, -1 or nothing .*, or names; found -5/,
    ],
    ['x,y\n1,2\n', { input: 'z' }, /r.csv: no column 'z'; it has 'x', 'y'/],
    ['x,y\n1,2\n', { input: undefined }, /say which column is the input \(--input\); it has 'x', 'y'/],
  ])('%j is refused', async (text, options, message) => {
    await expect(read({ 'r.csv': text }, { input: 'x', label: 'y', ...options } as OpenOptions)).rejects.toThrow(
      message,
    )
  })
})

describe('JSON Lines', () => {
  test('has an object a line; lists nest, keys lead into objects', async () => {
    const lines = [
      {
        v: [
          [1, 2],
          [3, 4],
        ],
        m: { y: 'b' },
      },
      {
        v: [
          [5, 6],
          [7, 8],
        ],
        m: {},
      },
    ]
    const source = await open(
      { 'r.jsonl': lines.map((line) => JSON.stringify(line)).join('\n') },
      { input: 'v', label: 'm.y' },
    )
    expect(source).toMatchObject({ input: { kind: 'features', shape: [2, 2] }, classes: ['b'] })
    expect(seen(await source.read([1, 0]))).toEqual({
      ids: ['r.jsonl:1', 'r.jsonl:0'],
      labels: [-1, 0],
      inputs: [5, 6, 7, 8, 1, 2, 3, 4],
    })
  })

  test.each([
    ['{"v":[1,2]}\n{"v":[1]}\n', /r.jsonl: row 1 \(line 2\): column 'v': expected 2 values, found 1/],
    ['{"v":1}\n\n{"v":\n', /r.jsonl: line 3: not JSON/],
    ['{"v":1}\n[1]\n', /r.jsonl: line 2: expected a JSON object, found \[1\]/],
  ])('%j is refused', async (text, message) => {
    await expect(read({ 'r.jsonl': text }, { input: 'v' })).rejects.toThrow(message)
  })

  test('nested without end is refused in one line', async () => {
    const deep = `${'['.repeat(20_000)}1${']'.repeat(20_000)}`
    await expect(read({ 'r.jsonl': `{"v":${deep}}` }, { input: 'v' })).rejects.toThrow(
      /r.jsonl: row 0: column 'v': lists in more than 32 lists$/,
    )
    await expect(read({ 'r.jsonl': deep }, { input: 'v' })).rejects.toThrow(
      'r.jsonl: line 1: expected a JSON object, found a list nested too deeply to show',
    )
    await expect(read({ 'r.jsonl': `{"v":1,"y":${deep}}` }, { input: 'v', label: 'y' })).rejects.toThrow(
      /r.jsonl: row 0 \(line 1\): label 'y': expected a class number or a name, found a list nested too deeply/,
    )
  })

  test('labels are of one kind', async () => {
    const text = '{"v":1,"y":1}\n{"v":1,"y":"a"}\n'
    await expect(read({ 'r.jsonl': text }, { input: 'v', label: 'y' })).rejects.toThrow(
      /r.jsonl: row 1 \(line 2\): label 'y': found "a", the labels before are numbers/,
    )
    await expect(read({ 'r.jsonl': '{"v":1,"y":1.5}' }, { input: 'v', label: 'y' })).rejects.toThrow(
      'expected a class number or a name, found 1.5',
    )
  })

  test('a row that cannot be read is left out where that is wanted', async () => {
    const source = await open(
      { 'r.jsonl': '{"v":1,"i":"a"}\n{"v":"x","i":"b"}\n{"v":3,"i":"c"}\n' },
      { input: 'v', id: 'i' },
    )
    const [batch] = await collect(source.batches({ size: 10, onError: 'skip' }))
    expect(seen(batch!)).toMatchObject({ ids: ['a', 'c'], inputs: [1, 3] })
    expect(batch!.skipped).toEqual([{ id: 'b', reason: expect.stringContaining("column 'v': expected a number") }])
  })
})

describe('NPY and NPZ', () => {
  test('bytes of rank 3 and 4 are images, preprocessed; floats are features; integers of rank 2 are tokens', async () => {
    const images = await open(
      { 'a.npy': npy('|u1', [2, 4, 4, 3], pattern(96)) },
      { preprocess: { version: 1, crop: { width: 2, height: 2 } } },
    )
    expect(images.input.shape).toEqual([2, 2, 3])
    const image = (row: number) =>
      [5, 6, 9, 10].flatMap((at) => [...pattern(96).subarray(row * 48 + at * 3, row * 48 + at * 3 + 3)])
    expect([...(await images.read([1, 0])).inputs]).toEqual([...image(1), ...image(0)])
    const floats = Float32Array.of(1, 2, 3, 4, 5, 6)
    expect(await read({ 'f.npy': npy('<f4', [2, 3], floats) })).toEqual({
      ids: ['f.npy:0', 'f.npy:1'],
      labels: [-1, -1],
      inputs: [...floats],
    })
    const tokens = await open({ 't.npy': npy('<i4', [2, 3], Int32Array.of(5, 6, -100, 7, -1, -1)) })
    expect(tokens.input).toEqual({ kind: 'tokens', dtype: 'int32', shape: [3] })
    expect([...(await tokens.read([0, 1])).inputs]).toEqual([5, 6, -1, 7, -1, -1])
  })

  test('keep their shape, in an archive and joined, too', async () => {
    const values = Float32Array.from({ length: 2 * 3 * 2 * 2 }, (_, i) => i)
    const cube = npy('<f4', [2, 3, 2, 2], values)
    for (const [file, bytes] of [
      ['x.npy', cube],
      ['x.npz', zip({ 'x.npy': cube })],
    ] as const) {
      const source = await open({ [file]: bytes })
      expect(source.input).toEqual({ kind: 'features', dtype: 'float32', shape: [3, 2, 2] })
      expect((await source.read([1, 0])).inputs).toEqual(
        Float32Array.of(...values.subarray(12), ...values.subarray(0, 12)),
      )
    }
    const joined = zip({
      'x.npy': npy('<f8', [2, 2, 1], new Float64Array([1, 2, 3, 4])),
      'y.npy': npy('<i8', [2], BigInt64Array.of(7n, 8n)),
    })
    const both = await open({ 'a.npz': joined }, { input: ['x', 'y'] })
    expect(both.input.shape).toEqual([3])
    expect([...(await both.read([0, 1])).inputs]).toEqual([1, 2, 7, 3, 4, 8])
  })

  test('bytes [C, H, W] are refused with what to do; booleans are features, whatever their rank', async () => {
    await expect(open({ 'a.npy': npy('|u1', [2, 3, 4, 4], pattern(96)) })).rejects.toThrow(
      /arrays of 3×4×4 bytes: expected images .*; save images \[C, H, W\] as array.transpose\(0, 2, 3, 1\)/,
    )
    const mask = await open({ 'm.npy': npy('|b1', [2, 1, 2], Uint8Array.of(1, 0, 0, 1)) })
    expect(mask.input).toEqual({ kind: 'features', dtype: 'float32', shape: [1, 2] })
    expect([...(await mask.read([0, 1])).inputs]).toEqual([1, 0, 0, 1])
  })

  test.each([false, true])('arrays of an archive go by name (deflated: %s)', async (deflate) => {
    const x = npy('<f4', [3, 1], Float32Array.of(1, 2, 3))
    const y = npy('<i8', [3], BigInt64Array.of(2n, 0n, -1n))
    const archive = zip({ 'x.npy': x, 'y.npy': y }, { deflate })
    expect(await read({ 'a.npz': archive }, { input: 'x', label: 'y' })).toMatchObject({
      labels: [2, 0, -1],
      inputs: [1, 2, 3],
    })
    const only = zip({ 'x.npy': x }, { deflate })
    expect((await read({ 'a.npz': only })).inputs).toEqual([1, 2, 3])
    await expect(read({ 'a.npz': archive })).rejects.toThrow("say which column is the input (--input); it has 'x', 'y'")
    const flipped = Buffer.from(archive)
    flipped[40 + 128 / 2]! ^= 1
    await expect(read({ 'a.npz': flipped }, { input: 'x', label: 'y' }).then((r) => r.inputs)).rejects.toThrow(/a\.npz/)
  })

  test.each([
    ['stored, of 4 GiB', { deflate: false, said: 0xfffffffe }, /a\.npz: 'x\.npy': stored \d+ bytes as 4294967294/],
    [
      'deflated, of 4 GiB',
      { deflate: true, said: 0xfffffffe },
      /a\.npz: 'x\.npy': \d+ bytes are said to hold 4294967294, at most \d+/,
    ],
    [
      'deflated, of a few bytes more',
      { deflate: true, said: 1000 },
      /a\.npz: 'x\.npy': inflates to \d+ bytes, expected 1000/,
    ],
  ])('an archive that declares more than it has is refused: %s', async (_, { deflate, said }, message) => {
    const archive = zip({ 'x.npy': npy('<f4', [3, 1], Float32Array.of(1, 2, 3)) }, { deflate })
    archive.writeUInt32LE(said, archive.indexOf('PK\x01\x02') + 24)
    await expect(read({ 'a.npz': archive })).rejects.toThrow(message)
  })

  test('have no keys', async () => {
    const x = npy('<f4', [3, 1], Float32Array.of(1, 2, 3))
    const files: Record<string, Buffer>[] = [
      { 'x.npy': x },
      { 'x.npz': zip({ 'x.npy': x }) },
      { 'x.npz': zip({ 'x.npy': x, 'y.npy': x }) },
    ]
    for (const one of files) await expect(read(one, { input: 'x.y' })).rejects.toThrow(/: no column 'x.y'; it has 'x'/)
  })

  test('are read row by row, too', async () => {
    const folder = await temporaryFolder()
    const [x, y] = [
      npy('<f4', [4, 2], Float32Array.of(0, 1, 2, 3, 4, 5, 6, 7)),
      npy('<i8', [4], BigInt64Array.of(3n, 2n, 1n, 0n)),
    ]
    await writeFile(join(folder, 'a.npz'), zip({ 'x.npy': x, 'y.npy': y }))
    const table = await openTable(join(folder, 'a.npz'), 'npz', { wanted: ['x', 'y'] })
    expect(await table.pick!(0, [3, 1], ['y', 'x'])).toEqual({
      columns: [
        [0n, 2n],
        [Float32Array.of(6, 7), Float32Array.of(2, 3)],
      ],
    })
    expect(table.blockBytes(0, ['x'])).toBe(4 * (8 + CELL_BYTES))
    await table.close()
  })

  test.each([
    [npy('>f4', [2], new Float32Array(2)), /big-endian type '>f4'; save array.astype\('<f4'\)/],
    [npy('|O', [2], new Uint8Array(2)), /numpy type '\|O'/],
    [npy('<f4', [3], new Float32Array(2)), /3 of '<f4' are 12 bytes of data, found 8/],
    [npy('<f4', [4294967296, 4294967296], new Float32Array(2)), /bytes of data, found 8/],
    [
      npy('<f4', [9007199254740991, 0], new Float32Array(0)),
      /9007199254740991×0: expected at most \d+ rows, none of them empty/,
    ],
    [
      Buffer.from(npy('<f4', [2], new Float32Array(2)).toString('latin1').replace('False', 'True '), 'latin1'),
      /Fortran order/,
    ],
    [Buffer.from('\x93NUMPY\x01\x00', 'latin1'), /not an NPY file|truncated/],
  ])('what is not read is refused (%#)', async (bytes, message) => {
    await expect(read({ 'a.npy': bytes })).rejects.toThrow(message)
  })
})

describe('WebDataset', () => {
  test('members of one base name are a sample: images, classes, fields', async () => {
    const [red, blue] = [await plain(2, 2, '#f00'), await plain(2, 2, '#00f')]
    const archive = tar({
      'd/1.jpg': red,
      'd/1.cls': '4\n',
      'd/1.json': '{"who":"ann"}',
      '._x': 'no',
      'd/2.jpg': blue,
      'd/2.cls': '0',
    })
    const source = await open({ 's.tar': archive })
    expect(source).toMatchObject({
      kind: 'webdataset',
      rows: 2,
      topLabel: 4,
      input: { kind: 'image', shape: [2, 2, 3] },
    })
    const { ids, labels, inputs } = seen(await source.read([0, 1]))
    expect({ ids, labels }).toEqual({ ids: ['s.tar/d/1', 's.tar/d/2'], labels: [4, 0] })
    expect(inputs).toEqual([...[1, 1, 1, 1].flatMap(() => [255, 0, 0]), ...[1, 1, 1, 1].flatMap(() => [0, 0, 255])])
    expect(await read({ 's.tar': archive }, { id: 'json.who' }).catch((error) => error.message)).toMatch(
      /row 1: column 'json.who': expected an id, found nothing/,
    )
  })

  test('a member that cannot be read costs its row only, where that is wanted', async () => {
    const member = (i: number) => (i === 1 ? '{"x":' : `{"x":${i},"y":"${'ab'[i % 2]}"}`)
    const archive = tar(Object.fromEntries(Array.from({ length: 4 }, (_, i) => [`${i}.json`, member(i)])))
    const columns = { input: 'json.x', label: 'json.y' }
    await expect(read({ 's.tar': archive }, columns)).rejects.toThrow(
      /s.tar: row 1: label 'json.y': '1.json': not JSON: /,
    )
    await expect(read({ 's.tar': archive }, { input: 'json.x' })).rejects.toThrow(/s.tar: row 1: '1.json': not JSON: /)
    const source = await open({ 's.tar': archive }, { ...columns, onError: 'skip' })
    expect(source.classes).toEqual(['a', 'b'])
    const [batch] = await collect(source.batches({ size: 10, onError: 'skip' }))
    expect(seen(batch!)).toEqual({ ids: ['s.tar/0', 's.tar/2', 's.tar/3'], labels: [0, 0, 1], inputs: [0, 2, 3] })
    expect(batch!.skipped).toEqual([{ id: 's.tar/1', reason: expect.stringMatching(/^'1.json': not JSON/) }])
    await expect(source.read([1])).rejects.toThrow(/s.tar: row 1: '1.json': not JSON: /)
    expect(source.options).toEqual(columns)
  })

  test('a label that cannot be read costs its row only, where that is wanted', async () => {
    const archive = tar({ 'a.txt': '1', 'a.cls': 'dog', 'b.txt': '2', 'b.cls': '3' })
    const source = await open({ 's.tar': archive }, { input: 'txt', label: 'cls', onError: 'skip' })
    const [batch] = await collect(source.batches({ size: 10, onError: 'skip' }))
    expect(seen(batch!)).toEqual({ ids: ['s.tar/b'], labels: [3], inputs: [2] })
    expect(batch!.skipped[0]!.reason).toMatch(/^label 'cls': 'a.cls': expected a class number, found "dog"/)
  })

  test('many small members are found in few reads', async () => {
    const archive = tar(Object.fromEntries(Array.from({ length: 2000 }, (_, i) => [`${i}.cls`, String(i)])))
    let reads = 0
    const read = async (at: number, length: number) => {
      reads++
      return new Uint8Array(archive.subarray(at, at + length))
    }
    const bytes = { path: 'a.tar', size: archive.length, sha256: '', read, close: async () => {} }
    const members = await collect(walkTar({ ...bytes, open: async () => ({ read, done: async () => {} }) }))
    expect(members.length).toBe(2000)
    expect(members[1234]).toEqual({ name: '1234.cls', offset: 1234 * 1024 + 512, size: 4 })
    expect(reads).toBeLessThan(200)
  })

  test.each([
    [tar({ '1.txt': 'x', '1.cls': 'dog' }), /say which column is the input|'1.cls'/],
    [tar({ '1.jpg': 'x' }).subarray(0, 600), /s.tar: row 0|truncated|not an image/],
    [Buffer.alloc(2048, 'x'), /s.tar: not a tar archive/],
    [tar({ hidden: 'x' }), /no samples/],
    [tar({ 'a.cls': '0', 'b.cls': '1', 'a.jpg': 'x' }), /s.tar: the members of sample 'a' are not together/],
    [
      tar(Object.fromEntries(Array.from({ length: 1001 }, (_, i) => [`a.x${i}`, '']))),
      /more than 1000 different extensions/,
    ],
  ])('what is not one is refused (%#)', async (bytes, message) => {
    await expect(read({ 's.tar': bytes }, { label: 'cls' })).rejects.toThrow(message)
  })
})

describe('several files', () => {
  test('are one source, in the order given; * stands for the files that match, by name', async () => {
    const folder = await temporaryFolder()
    for (const n of [10, 2, 1]) await writeFile(join(folder, `p-${n}.csv`), `x,y\n${n},a${n}\n`)
    const all = await openSource(join(folder, 'p-*.csv'), { input: 'x', label: 'y' })
    expect(seen(await all.read([0, 1, 2]))).toEqual({
      ids: ['p-1.csv:0', 'p-10.csv:0', 'p-2.csv:0'],
      labels: [0, 1, 2],
      inputs: [1, 10, 2],
    })
    expect(all.classes).toEqual(['a1', 'a10', 'a2'])
    const { files, classes: _, ...columns } = all.options
    const again = await openSource(files!, columns)
    expect(again.fingerprint).toBe(all.fingerprint)
    expect((await openSource(folder, { input: 'x', label: 'y' })).fingerprint).toBe(all.fingerprint)
    expect((await openSource(folder, { input: 'x' })).fingerprint).not.toBe(all.fingerprint)
    await expect(openSource(join(folder, 'q*.csv'))).rejects.toThrow('no file matches')
  })

  test('of one name give an id twice, unless a column has ids', async () => {
    const folders = await Promise.all([temporaryFolder(), temporaryFolder()])
    const files = folders.map((folder) => join(folder, 't.csv'))
    for (const [i, file] of files.entries()) await writeFile(file, `x,key\n${i},k${i}\n`)
    await expect(openSource(files, { input: 'x' })).rejects.toThrow(
      /t.csv and .*t.csv have one name, which ids begin with/,
    )
    const source = await openSource(files, { input: 'x', id: 'key' })
    expect(seen(await source.read([0, 1])).ids).toEqual(['k0', 'k1'])
  })

  test('leave no inflated copy behind where a later one cannot be read', async () => {
    const inflated = async () => (await readdir(tmpdir())).filter((name) => name.startsWith('decant-inflated-')).length
    const before = await inflated()
    const packed = gzipSync('x\n1\n')
    await expect(open({ 'a.csv': 'x\n1\n', 'b.csv': '', 'c.csv.gz': packed, 'd.csv.gz': packed })).rejects.toThrow(
      /b.csv/,
    )
    expect(await inflated()).toBe(before)
  })

  test('are of one kind', async () => {
    await expect(open({ 'a.csv': 'x\n1\n', 'b.jsonl': '{"x":1}' })).rejects.toThrow(
      /a.csv is csv, .*b.jsonl is jsonl: a source is of files of one kind/,
    )
  })
})

/** The messages of a stream of some columns. */
function streamMessages(columns: Record<string, Vector>): Buffer[] {
  const bytes = Buffer.from(tableToIPC(new Table(columns), 'stream'))
  const found: Buffer[] = []
  for (let at = 0; bytes.readInt32LE(at + 4) > 0; at += found.at(-1)!.length) {
    const length = bytes.readInt32LE(at + 4)
    const { bodyLength } = Message.decode(bytes.subarray(at + 8, at + 8 + length))
    found.push(bytes.subarray(at, at + 8 + length + Number(bodyLength)))
  }
  return found
}

describe('an Arrow stream', () => {
  /** Labels 0 and 1 of a dictionary, as the messages of a stream. */
  const messages = (names: string[]) => {
    const type = new Dictionary(new Utf8(), new Int32(), 7)
    const dictionary = vectorFromArray(names, new Utf8())
    const y = makeVector(makeData({ type, data: Int32Array.of(0, 1), dictionary, length: 2 }))
    return streamMessages({ x: vectorFromArray([1, 2], new Float32()), y })
  }

  test('may replace a dictionary: each batch has the one before it', async () => {
    const [, ...later] = messages(['dog', 'cat'])
    const stream = Buffer.concat([...messages(['cat', 'dog']), ...later, Buffer.from([255, 255, 255, 255, 0, 0, 0, 0])])
    const source = await open({ 's.arrows': stream }, { input: 'x', label: 'y' })
    const { labels } = await source.read([0, 1, 2, 3])
    expect([...labels].map((label) => source.classes![label])).toEqual(['cat', 'dog', 'dog', 'cat'])
  })
})

test('an Arrow file that lists its dictionary a thousand times is refused: each would be held', async () => {
  const type = new Dictionary(new Utf8(), new Int32(), 7)
  const dictionary = vectorFromArray(['cat', 'dog'], new Utf8())
  const y = makeVector(makeData({ type, data: Int32Array.of(0, 1), dictionary, length: 2 }))
  const file = Buffer.from(tableToIPC(new Table({ x: vectorFromArray([1, 2], new Float32()), y }), 'file'))
  const length = file.readInt32LE(file.length - 10)
  const found = Footer.decode(file.subarray(-10 - length, -10))
  const [batches, dictionaries] = [[...found.recordBatches()], [...found.dictionaryBatches()]]
  expect(dictionaries).toHaveLength(1)
  const footer = Buffer.from(
    Footer.encode(new Footer(found.schema, found.version, batches, Array(1000).fill(dictionaries[0]))),
  )
  const end = Buffer.alloc(10)
  end.writeInt32LE(footer.length)
  end.write('ARROW1', 4)
  const bent = Buffer.concat([file.subarray(0, -10 - length), footer, end])
  expect((await open({ 'a.arrow': file }, { input: 'x', label: 'y' })).rows).toBe(2)
  await expect(open({ 'a.arrow': bent }, { input: 'x' })).rejects.toThrow(
    /its footer lists messages of \d+ bytes in all/,
  )
})

describe('an Arrow column', () => {
  test('of decimals is numbers, not their words; one of intervals is refused', async () => {
    const decimals = makeData({
      type: new Decimal(2, 20, 128),
      data: Uint32Array.from([150, 0, 0, 0, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff]),
      length: 2,
    })
    const file = tableToIPC(new Table({ x: makeVector(decimals) }), 'file')
    expect((await read({ 'a.arrow': file })).inputs).toEqual([1.5, Math.fround(-0.01)])
    const intervals = makeData({ type: new IntervalDayTime(), data: new Int32Array(4), length: 2 })
    await expect(read({ 'a.arrow': tableToIPC(new Table({ x: makeVector(intervals) }), 'file') })).rejects.toThrow(
      /a.arrow: .*intervals is neither numbers nor text|intervals/,
    )
  })

  /** A stream of one batch, its one column of floats compressed as LZ4: the frame, and what is said of it. */
  const compressed = (frame: Buffer, said: bigint, rows = 2) => {
    const [schema] = streamMessages({ x: vectorFromArray([1, 2], new Float32()) })
    const body = Buffer.alloc(Math.ceil((8 + frame.length) / 8) * 8)
    body.writeBigInt64LE(said)
    body.set(frame, 8)
    const buffers = [new BufferRegion(0, 0), new BufferRegion(0, 8 + frame.length)]
    const batch = new BatchMetadata(rows, [new FieldNode(rows, 0)], buffers, new BodyCompression(0))
    const message = Buffer.from(Message.encode(Message.from(batch as never, body.length)))
    const head = Buffer.alloc(8 + Math.ceil(message.length / 8) * 8)
    head.writeUInt32LE(0xffffffff)
    head.writeInt32LE(head.length - 8, 4)
    head.set(message, 8)
    return Buffer.concat([schema!, head, body])
  }
  const frame = (content: Buffer) => {
    const size = Buffer.alloc(4)
    size.writeUInt32LE(0x80000000 + content.length)
    return Buffer.concat([Buffer.from([0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82]), size, content, Buffer.alloc(4)])
  }
  const floats = Buffer.from(Float32Array.of(3, 4).buffer)

  test('that is compressed is decompressed to what it says', async () => {
    expect((await read({ 's.arrows': compressed(frame(floats), 8n) })).inputs).toEqual([3, 4])
  })

  test.each([
    [compressed(frame(floats), 2n ** 40n), /a record batch: \d+ bytes that unpack to 1099511627776/],
    [compressed(frame(floats), -2n), /unpack to NaN/],
    [compressed(frame(floats), 4n), /longer than it can be/],
    [compressed(frame(floats), 12n), /a buffer of 8 bytes, expected 12/],
    [compressed(frame(floats), 8n, 2 ** 30), /a record batch of 1073741824 rows: .*unpack to 8589934592/],
  ])('that claims more than it can hold is refused (%#)', async (file, message) => {
    await expect(read({ 's.arrows': file })).rejects.toThrow(message)
  })
})
