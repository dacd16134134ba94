import { createHash } from 'node:crypto'
import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import sharp from 'sharp'
import { describe, expect, test } from 'vitest'
import { rgbToGray } from '../../src/source/channels.js'
import { idAt } from '../../src/source/ids.js'
import { type Batch, openSource, type Preprocess, reopenSource } from '../../src/source/index.js'
import { planResampling, resample } from '../../src/source/resample/index.js'
import { cutOut } from '../../src/source/transform.js'
import { collect, pattern, plain, temporaryFolder } from './fixtures.js'

async function folderOf(files: Record<string, Uint8Array | string>): Promise<string> {
  const root = join(await temporaryFolder(), 'images')
  for (const [path, bytes] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true })
    await writeFile(join(root, path), bytes)
  }
  return root
}

const ids = (batch: Batch) => Array.from({ length: batch.rows }, (_, i) => idAt(batch.ids, i))
const p = (rest: Omit<Preprocess, 'version'>): Preprocess => ({ version: 1, ...rest })
const all = async (root: string, preprocess?: Preprocess, onError?: 'skip') => {
  const source = await openSource(root, preprocess ? { preprocess } : {})
  return collect(source.batches({ size: 2, ...(onError && { onError }) }))
}
/** The bytes of a folder's only image. */
const decoded = async (bytes: Uint8Array, preprocess?: Preprocess) => [
  ...(await all(await folderOf({ 'x.png': bytes }), preprocess))[0]!.inputs,
]

describe('the list of images', () => {
  test('a directory per class: ids are paths sorted by their bytes, labels index the sorted names, an empty class keeps its place', async () => {
    const image = await plain(2, 2)
    const root = await folderOf({
      'b/ü.png': image,
      'b/z.png': image,
      'a-/1.PNG': image,
      'a/x/deep.png': image,
      'a/notes.txt': '',
      '.git/x.png': 'no',
    })
    await mkdir(join(root, 'aa'))
    const source = await openSource(root)
    expect(source).toMatchObject({
      kind: 'images',
      rows: 4,
      classes: ['a', 'a-', 'aa', 'b'],
      input: { shape: [2, 2, 3] },
    })
    const batch = await source.read([0, 1, 2, 3])
    expect(ids(batch)).toEqual(['a-/1.PNG', 'a/x/deep.png', 'b/z.png', 'b/ü.png'])
    expect([...batch.labels]).toEqual([1, 0, 3, 3])
  })

  test('flat: no labels, no classes', async () => {
    const image = await plain(2, 2)
    const source = await openSource(await folderOf({ '2.png': image, '10.png': image }))
    expect(source.classes).toBeUndefined()
    const batch = await source.read([1, 0])
    expect(ids(batch)).toEqual(['2.png', '10.png'])
    expect([...batch.labels]).toEqual([-1, -1])
  })

  test('a name that is not UTF-8 cannot be an id', async () => {
    const root = await folderOf({ 'a.png': '' })
    await writeFile(Buffer.concat([Buffer.from(`${root}/`), Buffer.of(0xe9), Buffer.from('.png')]), '')
    await expect(openSource(root)).rejects.toThrow('the name is not UTF-8')
  })

  test('both at once, none at all, and a label file for a folder are errors', async () => {
    await expect(openSource(await folderOf({ 'a.png': '', 'd/b.png': '' }))).rejects.toThrow(
      'at the top (a.png) and in directories (d/b.png)',
    )
    await expect(openSource(await folderOf({ 'train-images-idx3-ubyte': '' }))).rejects.toThrow('holds no images')
    await expect(openSource(await folderOf({ 'a.png': '' }), { labels: 'x' })).rejects.toThrow('this is a folder')
    await expect(openSource('/nowhere')).rejects.toThrow('/nowhere: cannot be read: ENOENT')
  })

  test('symbolic links: inside the folder an image, out of it an unreadable one, to a directory an error', async () => {
    const root = await folderOf({ 'a.png': await plain(2, 2) })
    await writeFile(join(root, '../secret.png'), await plain(2, 2))
    await symlink('a.png', join(root, 'inside.png'))
    await symlink('../secret.png', join(root, 'outside.png'))
    await symlink('nothing', join(root, 'broken.png'))
    const [first, second] = await all(root, undefined, 'skip')
    expect([...ids(first!), ...ids(second!)]).toEqual(['a.png', 'inside.png'])
    expect([...first!.skipped, ...second!.skipped].map(({ id }) => id)).toEqual(['broken.png', 'outside.png'])
    await expect(all(root)).rejects.toThrow(
      'broken.png: unreadable image: a symbolic link out of the folder, or to no file, is not followed',
    )
    await symlink('..', join(root, 'up'))
    await expect(openSource(root)).rejects.toThrow('up: links to directories are not followed')
  })
})

test('the fingerprint is of paths and contents, not of preprocessing', async () => {
  const [one, two] = [await plain(2, 2), await plain(2, 2, 'red')]
  const of = async (files: Record<string, Uint8Array>, preprocess: Preprocess = p({})) =>
    (await openSource(await folderOf(files), { preprocess })).fingerprint
  const line = (path: string, bytes: Uint8Array) =>
    `["${path}",${bytes.length},"${createHash('sha256').update(bytes).digest('hex')}"]\n`
  const base = await of({ 'a.png': one, 'b.png': two })
  expect(base).toBe(
    createHash('sha256')
      .update(line('a.png', one) + line('b.png', two))
      .digest('hex'),
  )
  expect(await of({ 'b.png': two, 'a.png': one }, p({ color: 'gray' }))).toBe(base)
  expect(await of({ 'a.png': one, 'c.png': two })).not.toBe(base)
  expect(await of({ 'a.png': two, 'b.png': one })).not.toBe(base)
})

describe('decoding', () => {
  const raw = (values: number[], width: number, channels: 1 | 2 | 3 | 4) =>
    sharp(Uint8Array.from(values), { raw: { width, height: values.length / channels / width, channels } })

  test('lossless rgb is unchanged', async () => {
    const pixels = [...pattern(4 * 3 * 3)]
    expect(await decoded(await raw(pixels, 4, 3).png().toBuffer())).toEqual(pixels)
  })

  test('gray images become rgb, and rgb ones gray by ITU-R 601', async () => {
    const gray = await raw([0, 9, 254, 255], 2, 1).png().toBuffer()
    expect(await decoded(gray)).toEqual([0, 0, 0, 9, 9, 9, 254, 254, 254, 255, 255, 255])
    expect(await decoded(gray, p({ color: 'gray' }))).toEqual([0, 9, 254, 255])
    const colors = [255, 0, 0, 0, 255, 0, 0, 0, 255, 10, 200, 90]
    const luma = [0, 3, 6, 9].map((i) =>
      Math.round(0.299 * colors[i]! + 0.587 * colors[i + 1]! + 0.114 * colors[i + 2]!),
    )
    expect(await decoded(await raw(colors, 2, 3).png().toBuffer(), p({ color: 'gray' }))).toEqual(luma)
  })

  test('alpha goes onto black', async () => {
    expect(
      await decoded(await raw([200, 100, 50, 255, 200, 100, 50, 0, 200, 100, 50, 51], 3, 4).png().toBuffer()),
    ).toEqual([200, 100, 50, 0, 0, 0, 40, 20, 10])
    expect(await decoded(await raw([200, 255, 200, 0], 2, 2).png().toBuffer())).toEqual([200, 200, 200, 0, 0, 0])
  })

  test('16 bits keep their upper 8', async () => {
    const deep = (values: number[], channels: 1 | 3, space: string) =>
      sharp(Uint16Array.from(values), { raw: { width: 1, height: 1, channels } })
        .toColourspace(space)
        .png()
        .toBuffer()
    expect(await decoded(await deep([0x80ff], 1, 'grey16'))).toEqual([0x80, 0x80, 0x80])
    expect(await decoded(await deep([0x01ff, 0x8000, 0xffff], 3, 'rgb16'))).toEqual([0x01, 0x80, 0xff])
  })

  test('EXIF rotation is applied before everything else', async () => {
    const turned = await raw([10, 20, 30, 40, 50, 60], 3, 1).withMetadata({ orientation: 6 }).png().toBuffer() // shown turned 90° clockwise
    const root = await folderOf({ 'x.png': turned })
    expect((await openSource(root)).input.shape).toEqual([3, 2, 3])
    expect([...(await all(root, p({ color: 'gray' })))[0]!.inputs]).toEqual([40, 10, 50, 20, 60, 30])
    expect([...(await all(root, p({ color: 'gray', crop: { width: 2, height: 1 } })))[0]!.inputs]).toEqual([50, 20])
  })

  test('CMYK becomes rgb', async () => {
    const cmyk = await sharp({ create: { width: 8, height: 8, channels: 3, background: '#204060' } })
      .toColourspace('cmyk')
      .jpeg()
      .toBuffer()
    const [r, g, b] = await decoded(cmyk)
    expect(r! < g! && g! < b!).toBe(true)
  })

  test('resize filters: a checkerboard of single pixels shrinks to its mean', async () => {
    const board = Array.from({ length: 64 * 64 }, (_, i) => (((i >> 6) + i) & 1) * 200)
    const small = await decoded(
      await raw(board, 64, 1).png().toBuffer(),
      p({ color: 'gray', resize: { width: 16, height: 16 } }),
    )
    expect(small.length).toBe(256)
    for (const x of small.filter((_, i) => i % 16 > 0 && i % 16 < 15 && i > 15 && i < 240))
      expect(Math.abs(x - 100)).toBeLessThanOrEqual(3)
  })
})

describe('resize, crop and colours', () => {
  const ramp = (width: number, height: number) =>
    Uint8Array.from({ length: width * height * 3 }, (_, i) => (i * 5 + (i % 3) * 50) & 255)
  const png = (width: number, height: number) =>
    sharp(ramp(width, height), { raw: { width, height, channels: 3 } })
      .png()
      .toBuffer()

  test('resize and crop: of the decoded pixels, by the filter that is declared', async () => {
    const [width, height] = [37, 23]
    const whole = { data: ramp(width, height), width, height, channels: 3 as const }
    // floor(32·37/23) = 51; (51 - 20)/2 = 15.5, to even 16
    const options = { to: { width: 51, height: 32 }, window: { left: 16, top: 9, width: 20, height: 14 } }
    for (const filter of ['lanczos3', 'box'] as const) {
      const plan = planResampling(whole, { ...options, filter })
      const expected = await resample(cutOut(whole, plan.region), plan, 3)
      const preprocess = p({ resize: { shorter: 32, filter }, crop: { width: 20, height: 14 } })
      expect(await decoded(await png(width, height), preprocess)).toEqual([...expected.data])
    }
  })

  test('bgr: red and blue change places, gray stays', async () => {
    const image = await sharp(Uint8Array.of(1, 2, 3, 4, 5, 6), { raw: { width: 2, height: 1, channels: 3 } })
      .png()
      .toBuffer()
    expect(await decoded(image, p({ color: 'bgr' }))).toEqual([3, 2, 1, 6, 5, 4])
    const stretched = await decoded(image, p({ color: 'bgr', resize: { width: 4, height: 1, filter: 'nearest' } }))
    expect(stretched).toEqual([3, 2, 1, 3, 2, 1, 6, 5, 4, 6, 5, 4])
  })

  test('pad: the picture in the middle, or at the left and the top, and the fill in the order of color', async () => {
    const image = await sharp(Uint8Array.of(1, 2, 3, 4, 5, 6), { raw: { width: 2, height: 1, channels: 3 } })
      .png()
      .toBuffer()
    const pad = (rest: object) => p({ resize: { width: 2, height: 3, fit: 'pad', ...rest } })
    expect(await decoded(image, pad({ fill: 9 }))).toEqual([9, 9, 9, 9, 9, 9, 1, 2, 3, 4, 5, 6, 9, 9, 9, 9, 9, 9])
    expect(await decoded(image, { ...pad({ fill: [7, 8, 9], align: 'start' }), color: 'bgr' })).toEqual([
      3, 2, 1, 6, 5, 4, 7, 8, 9, 7, 8, 9, 7, 8, 9, 7, 8, 9,
    ])
    const root = await folderOf({ 'x.png': image })
    await expect(openSource(root, { preprocess: { ...pad({ fill: [7, 8, 9] }), color: 'gray' } })).rejects.toThrow(
      'preprocess: resize.fill has 3 entries, the images have 1 channels',
    )
  })

  test('crop by ratio is cut out first: nothing behind its edge is in the resized picture', async () => {
    const [width, height] = [40, 24]
    const inner = cutOut(
      { data: ramp(width, height), width, height, channels: 3 },
      { left: 10, top: 6, width: 20, height: 12 },
    )
    const alone = await sharp(inner.data, { raw: { width: 20, height: 12, channels: 3 } })
      .png()
      .toBuffer()
    const resize = { width: 31, height: 17 }
    expect(await decoded(await png(width, height), p({ crop: { ratio: 0.5 }, resize }))).toEqual(
      await decoded(alone, p({ resize })),
    )
    expect(await decoded(await png(width, height), p({ crop: { ratio: 0.5 } }))).toEqual([...inner.data])
  })

  test('gray is made before the resize, as by convert("L")', async () => {
    const [width, height] = [30, 20]
    const gray = rgbToGray(ramp(width, height))
    const alone = await sharp(gray, { raw: { width, height, channels: 1 } })
      .png()
      .toBuffer()
    const preprocess = p({ color: 'gray', resize: { width: 41, height: 11 } })
    expect(await decoded(await png(width, height), preprocess)).toEqual(await decoded(alone, preprocess))
  })

  test('draft: what is four times as large, or more, is reduced by the decoder first, turned ones too; near to the whole', async () => {
    const [width, height] = [400, 320]
    const smooth = Uint8Array.from(
      { length: width * height },
      (_, i) => 128 + 60 * Math.sin((i % width) / 40) * Math.cos(i / width / 30),
    )
    for (const orientation of [1, 6]) {
      const jpeg = await sharp(smooth, { raw: { width, height, channels: 1 } })
        .jpeg({ quality: 95 })
        .withMetadata({ orientation })
        .toBuffer()
      const made = (draft: boolean, side: number) =>
        decoded(
          jpeg,
          p({ color: 'gray', resize: { shorter: side, ...(draft && { draft }) }, crop: { width: side, height: side } }),
        )
      const [whole, draft] = [await made(false, 40), await made(true, 40)]
      expect(draft).not.toEqual(whole)
      expect(Math.max(...draft.map((x, i) => Math.abs(x - whole[i]!)))).toBeLessThanOrEqual(3)
      expect(await made(true, 90)).toEqual(await made(false, 90))
    }
  })

  test('the decoder says what resized the images; another resize is refused where they are read again', async () => {
    const root = await folderOf({ 'x.png': await png(8, 8) })
    const resized = p({ resize: { width: 4, height: 4 } })
    const source = await openSource(root, { preprocess: resized })
    expect(source.decoder).toMatch(/^sharp \d.*, libvips \d.*, decant resampling 1$/)
    expect((await openSource(root)).decoder).toMatch(/^sharp [\d.]+, libvips [\d.]+$/)
    const recorded = (preprocess: Preprocess, decoder: string) => ({
      source: { uri: root },
      preprocess,
      names: null,
      runtime: { decoder },
    })
    const before = 'sharp 0.35.5, libvips 8.18.3'
    await expect(reopenSource(recorded(resized, before), { dir: 'targets' })).rejects.toThrow(
      /its images were resized otherwise when targets was exported, .*\n {2}resized by: sharp 0.35.5, libvips 8.18.3, found decant resampling 1$/,
    )
    await reopenSource(recorded(resized, source.decoder!), { dir: 'targets' })
    await reopenSource(recorded(p({ crop: { width: 4, height: 4 } }), before), { dir: 'targets' })
  })
})

describe('images that do not fit', () => {
  test('different sizes without resize or crop: both named with their sizes', async () => {
    const root = await folderOf({ 'a.png': await plain(4, 3), 'b.png': await plain(4, 3), 'c.png': await plain(5, 3) })
    await expect(openSource(root)).rejects.toThrow(
      'images of different sizes: a.png is 4×3, c.png is 5×3; declare resize or crop',
    )
    await expect(openSource(root, { preprocess: p({ resize: { shorter: 6 } }) })).rejects.toThrow(
      'a.png is 8×6, c.png is 10×6 after resizing',
    )
    const source = await openSource(root, { preprocess: p({ resize: { shorter: 6 }, crop: { width: 6, height: 6 } }) })
    expect(source.input.shape).toEqual([6, 6, 3])
    expect((await source.read([0, 1, 2])).inputs.length).toBe(3 * 6 * 6 * 3)
  })

  test('an unreadable image is the error of its name, the first by row; or is left out and listed', async () => {
    const jpeg = await sharp({
      create: {
        width: 64,
        height: 64,
        channels: 3,
        background: '#123',
        noise: { type: 'gaussian', mean: 128, sigma: 40 },
      },
    })
      .jpeg()
      .toBuffer()
    const bad = {
      'a/2.jpg': jpeg.subarray(0, jpeg.length / 2),
      'a/3.png': 'no image',
      'b/5.jpg': '<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64"/>',
    }
    const root = await folderOf({ 'a/1.jpg': jpeg, 'a/4.jpg': jpeg, 'b/6.jpg': jpeg, ...bad })
    await expect(all(root)).rejects.toThrow(`${join(root, 'a/2.jpg')}: unreadable image: `)
    await expect((await openSource(root)).read([2])).rejects.toThrow('a/3.png: unreadable image: ')
    const batches = await all(root, undefined, 'skip')
    expect(batches.map((batch) => [batch.first, batch.rows])).toEqual([
      [0, 1],
      [2, 1],
      [4, 1],
    ])
    expect(batches.flatMap(ids)).toEqual(['a/1.jpg', 'a/4.jpg', 'b/6.jpg'])
    expect(batches.flatMap((batch) => [...batch.labels])).toEqual([0, 0, 1])
    expect(batches.flatMap((batch) => batch.skipped)).toEqual([
      { id: 'a/2.jpg', reason: 'damaged or truncated jpeg data' },
      { id: 'a/3.png', reason: 'not an image (jpeg, png, webp, tiff, gif, heif), or its header is damaged' },
      { id: 'b/5.jpg', reason: 'svg images are not supported' },
    ])
    for (const batch of batches) {
      expect(batch.inputs.buffer.byteLength).toBe(64 * 64 * 3)
      expect(batch.inputs).toEqual(batches[0]!.inputs)
    }
  })

  test('a crop larger than an image names the image', async () => {
    const root = await folderOf({ 'a.png': await plain(4, 3) })
    await expect(all(root, p({ crop: { width: 5, height: 3 } }))).rejects.toThrow(
      'a.png: unreadable image: the crop 5×3 is larger than the image, 4×3',
    )
  })
})

test('batches are stopped by a signal, and can be left early', async () => {
  const image = await plain(2, 2)
  const root = await folderOf(Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`${i}.png`, image])))
  const source = await openSource(root)
  for await (const _ of source.batches({ size: 3 })) break
  await expect(collect(source.batches({ size: 3, signal: AbortSignal.abort(new Error('enough')) }))).rejects.toThrow(
    'enough',
  )
})
