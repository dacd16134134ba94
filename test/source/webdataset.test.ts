import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { describe, expect, onTestFinished, test } from 'vitest'
import { FormatError } from '../../src/errors.js'
import type { Bytes } from '../../src/source/bytes.js'
import { openSource } from '../../src/source/index.js'
import type { OpenOptions } from '../../src/source/source.js'
import { walkTar } from '../../src/source/tar.js'
import { npy, tar } from './files-of-rows.js'
import { collect, plain, temporaryFolder } from './fixtures.js'

async function open(archive: Uint8Array, options: OpenOptions = {}, name = 's.tar') {
  const path = join(await temporaryFolder(), name)
  await writeFile(path, archive)
  const source = await openSource(path, options)
  onTestFinished(() => source.close())
  return source
}
const readAll = async (...[archive, options, name]: Parameters<typeof open>) => {
  const source = await open(archive, options, name)
  return source.read(Array.from({ length: source.rows }, (_, i) => i))
}
const labelsOf = async (...args: Parameters<typeof open>) => [...(await readAll(...args)).labels]

function inMemory(data: Uint8Array): Bytes {
  const read = async (at: number, length: number) => new Uint8Array(data.subarray(at, at + length))
  return {
    path: 's.tar',
    size: data.length,
    sha256: '',
    read,
    open: async () => ({ read, done: async () => {} }),
    close: async () => {},
  }
}

describe('extensions', () => {
  test('are read without regard to case, and so are the columns asked for', async () => {
    const image = await plain(2, 2)
    const archive = tar({ 'a.JPG': image, 'a.CLS': '3', 'b.jpg': image, 'b.Cls': '1' })
    expect(await labelsOf(archive)).toEqual([3, 1])
    expect(await labelsOf(archive, { input: 'JPG', label: 'CLS' })).toEqual([3, 1])
    expect(await labelsOf(tar({ 'a.JPG': image, 'a.Json': '{"Y":2}' }), { input: 'jpg', label: 'JSON.Y' })).toEqual([2])
    await expect(open(tar({ 'a.JPG': image, 'a.jpg': image }))).rejects.toThrow("sample 'a' has 'jpg' twice")
  })

  test('may be several: of each sample the first that it has', async () => {
    const [red, blue] = [await plain(1, 1, '#f00'), await plain(1, 1, '#00f')]
    const archive = tar({ 'a.png': red, 'b.jpeg': blue, 'c.webp': red })
    for (const options of [{}, { input: 'png,jpeg,webp' }, { input: 'JPEG,gif,webp,png' }])
      expect([...(await readAll(archive, options)).inputs]).toEqual([255, 0, 0, 0, 0, 255, 255, 0, 0])
    const both = tar({ 'a.png': red, 'a.jpg': blue, 'b.jpg': red })
    await expect(open(both)).rejects.toThrow("say which column is the input (--input); it has '__key__', 'png', 'jpg'")
    expect([...(await readAll(both, { input: 'jpg,png' })).inputs]).toEqual([0, 0, 255, 255, 0, 0])
    await expect(open(archive, { input: 'gif,bmp' })).rejects.toThrow("no column 'gif,bmp'; it has")
  })

  test('a shard may have others than the first', async () => {
    const folder = await temporaryFolder()
    await writeFile(join(folder, '0.tar'), tar({ 'a.png': await plain(1, 1, '#f00') }))
    await writeFile(join(folder, '1.tar'), tar({ 'b.webp': await plain(1, 1, '#00f') }))
    const source = await openSource(folder, { input: 'png,webp' })
    expect([...(await source.read([1, 0])).inputs]).toEqual([0, 0, 255, 255, 0, 0])
  })
})

describe('.cls', () => {
  const archive = tar({ 'a.txt': '1', 'a.cls': 'dog\n', 'b.txt': '2', 'b.cls': 'cat' })

  test('is a name where names are given, and a whole number however it is written', async () => {
    const classes = { names: ['cat', 'cow', 'dog'] }
    expect(await labelsOf(archive, { input: 'txt', classes })).toEqual([2, 0])
    expect(await labelsOf(tar({ 'a.txt': '1', 'a.cls': ' 3.0\n' }), { input: 'txt' })).toEqual([3])
  })

  test('else a name is refused, with what to do', async () => {
    await expect(open(archive, { input: 'txt' })).rejects.toThrow(
      /s.tar: row 0: label 'cls': 'a.cls': expected a class number, found "dog"; names need --classes/,
    )
  })
})

describe('.npy members', () => {
  const floats = (n: number, from = 0) => Float32Array.from({ length: n }, (_, i) => from + i)

  test('are features of their shape, pictures where they are bytes', async () => {
    const archive = tar({ 'a.npy': npy('<f4', [3, 2, 2], floats(12)), 'b.npy': npy('<f4', [3, 2, 2], floats(12, 20)) })
    const source = await open(archive, { input: 'npy' })
    expect(source.input).toEqual({ kind: 'features', dtype: 'float32', shape: [3, 2, 2] })
    expect((await source.read([1, 0])).inputs).toEqual(Float32Array.of(...floats(12, 20), ...floats(12)))
    const pixels = tar({ 'a.image.npy': npy('|u1', [1, 2, 3], Uint8Array.of(1, 2, 3, 4, 5, 6)) })
    const picture = await open(pixels, { input: 'image.npy' })
    expect(picture.input).toEqual({ kind: 'image', dtype: 'uint8', shape: [1, 2, 3] })
    expect([...(await picture.read([0])).inputs]).toEqual([1, 2, 3, 4, 5, 6])
  })

  test('one that is damaged, or of another type or shape, costs its row', async () => {
    const good = npy('<f4', [2], floats(2))
    const archive = tar({
      'a.npy': 'no',
      'b.npy': good,
      'c.npy': npy('<f4', [3], floats(3)),
      'd.npy': npy('<i4', [2], Int32Array.of(1, 2)),
    })
    const source = await open(archive, { input: 'npy', onError: 'skip' })
    for await (const batch of source.batches({ size: 9, onError: 'skip' })) {
      expect([...batch.inputs]).toEqual([0, 1])
      expect(batch.skipped.map(({ reason }) => reason)).toEqual([
        "'a.npy': not an NPY file: it does not begin with \\x93NUMPY",
        "'c.npy': an array float32 [3], that of the first sample is float32 [2]",
        "'d.npy': an array int32 [2], that of the first sample is float32 [2]",
      ])
    }
  })
})

describe('an archive', () => {
  const members = { '1.txt': '1', '1.cls': '4', '2.txt': '2', '2.cls': '5', '3.txt': '3', '3.cls': '6' }
  const whole = tar(members)
  const end = whole.length
  const rows = async (bytes: Uint8Array, name?: string) => labelsOf(bytes, { input: 'txt' }, name)

  test('that is cut short anywhere is refused', async () => {
    expect(await rows(whole)).toEqual([4, 5, 6])
    const taken: number[] = []
    for (let length = 0; length < end; length++) {
      const error = await collect(walkTar(inMemory(whole.subarray(0, length)))).catch((error: Error) => error)
      if (!(error instanceof FormatError && error.message.startsWith('s.tar: '))) taken.push(length)
    }
    expect(taken).toEqual([])
    await expect(rows(whole.subarray(0, 4096))).rejects.toThrow(
      'truncated: the archive stops at byte 4096 without the two blocks of zeros that end it; get the file again',
    )
  })

  test('that is compressed is refused where the gzip is cut short, or what was compressed', async () => {
    const packed = gzipSync(whole)
    expect(await rows(packed, 's.tar.gz')).toEqual([4, 5, 6])
    for (const bytes of [packed.subarray(0, -9), packed.subarray(0, 30), gzipSync(whole.subarray(0, 4096))])
      await expect(rows(bytes, 's.tar.gz')).rejects.toThrow(/truncated/)
  })

  test('may be padded with zeros, as GNU tar and Python do, but has nothing else behind its end', async () => {
    expect(await rows(Buffer.concat([whole, Buffer.alloc(10240 - end)]))).toEqual([4, 5, 6])
    await expect(rows(Buffer.concat([whole, whole]))).rejects.toThrow(
      `the archive ends at byte ${end}, but there is more at byte ${end}: join archives with tar --concatenate`,
    )
  })

  test('with links in place of files is refused: their content is elsewhere', async () => {
    for (const type of ['1', '2', 'S'])
      await expect(rows(tar(members, { '2.cls': type }))).rejects.toThrow(/s.tar: '2.cls' is a link or a sparse file/)
  })
})
