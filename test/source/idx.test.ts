import { createHash } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { idAt } from '../../src/source/ids.js'
import { type Batch, openSource, type Preprocess } from '../../src/source/index.js'
import { collect, idx, pattern, temporaryFolder } from './fixtures.js'

/** Writes images [rows, 3, 2] and labels under the usual names and returns the image file's path. */
async function dataset(rows: number, options: { gz?: boolean; labels?: boolean } = {}) {
  const pack = options.gz ? (bytes: Buffer) => gzipSync(bytes) : (bytes: Buffer) => bytes
  const folder = await temporaryFolder()
  const end = options.gz ? '.gz' : ''
  const path = join(folder, `t-images-idx3-ubyte${end}`)
  const images = idx([rows, 3, 2], pattern(rows * 6))
  const labels = idx([rows], pattern(rows, 5))
  await writeFile(path, pack(images))
  if (options.labels !== false) await writeFile(join(folder, `t-labels-idx1-ubyte${end}`), pack(labels))
  return { folder, path, images, labels }
}

const seen = (batch: Batch) => ({
  ids: Array.from({ length: batch.rows }, (_, i) => idAt(batch.ids, i)),
  labels: [...batch.labels],
  inputs: [...batch.inputs],
})

/** What rows `rows` must look like. */
const expected = (rows: number[], total: number) => ({
  ids: rows.map(String),
  labels: rows.map((r) => pattern(total, 5)[r]),
  inputs: rows.flatMap((r) => [...pattern(total * 6).subarray(r * 6, r * 6 + 6)]),
})

describe.each([
  ['uncompressed', false],
  ['gzip', true],
])('an IDX source, %s', (_, gz) => {
  test('gives any range in batches of any size: ids are row numbers, labels and bytes those of the files', async () => {
    const total = 23
    const { path } = await dataset(total, { gz })
    const source = await openSource(path)
    expect(source).toMatchObject({
      uri: path,
      kind: 'idx',
      rows: total,
      input: { kind: 'image', dtype: 'uint8', shape: [3, 2, 1] },
      classes: undefined,
    })
    await fc.assert(
      fc.asyncProperty(fc.nat(total), fc.nat(total), fc.integer({ min: 1, max: 30 }), async (a, b, size) => {
        const [from, to] = [Math.min(a, b), Math.max(a, b)]
        let at = from
        for await (const batch of source.batches({ from, to, size })) {
          const rows = Array.from({ length: Math.min(size, to - at) }, (_, i) => at + i)
          expect(batch).toMatchObject({ first: at, rows: rows.length, skipped: [] })
          expect(batch.inputs.buffer.byteLength).toBe(batch.inputs.length) // alone in its buffer, so it can be transferred
          expect(seen(batch)).toEqual(expected(rows, total))
          at += rows.length
        }
        expect(at).toBe(to)
      }),
      { numRuns: 40 },
    )
    await source.close()
  })

  test('reads any rows in any order', async () => {
    const total = 23
    const { path } = await dataset(total, { gz })
    const source = await openSource(path)
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(total - 1)), async (rows) => {
        expect(seen(await source.read(rows))).toEqual(expected(rows, total))
      }),
      { numRuns: 40 },
    )
    await expect(source.read([total])).rejects.toThrow('row 23 asked for, the source has 0..22')
    await source.close()
  })

  test('has the SHA-256 of both files’ bytes, decompressed, as its fingerprint', async () => {
    const { path, images, labels } = await dataset(4, { gz })
    const source = await openSource(path)
    expect(source.fingerprint).toBe(createHash('sha256').update(images).update(labels).digest('hex'))
    await source.close()
  })

  test('can be left early, and stopped by a signal', async () => {
    const { path } = await dataset(50, { gz })
    const source = await openSource(path)
    for await (const batch of source.batches({ size: 2 })) if (batch.first > 0) break
    const stop = new AbortController()
    const rows: number[] = []
    const run = async () => {
      for await (const batch of source.batches({ size: 2, signal: stop.signal })) {
        rows.push(batch.first)
        stop.abort(new Error('enough'))
      }
    }
    await expect(run()).rejects.toThrow('enough')
    expect(rows).toEqual([0])
    await source.close()
  })

  test('that changes while it is in use is an error', async () => {
    const { path } = await dataset(50, { gz })
    const source = await openSource(path)
    const cut = idx([50, 3, 2], pattern(100))
    await writeFile(path, gz ? gzipSync(cut) : cut)
    await expect(collect(source.batches({ size: 50 }))).rejects.toThrow(/t-images-idx3-ubyte.*(truncated|shorter)/)
    await source.close()
  })
})

describe('labels', () => {
  test('are found beside the images in either form, or given, or absent', async () => {
    const { folder, path, labels } = await dataset(4, { labels: false })
    const read = async (options = {}) => {
      const source = await openSource(path, options)
      const read = await source.read([0, 1, 2, 3])
      await source.close()
      return [...read.labels]
    }
    expect(await read()).toEqual([-1, -1, -1, -1])
    await writeFile(join(folder, 'given'), labels)
    expect(await read({ labels: join(folder, 'given') })).toEqual([...pattern(4, 5)])
    await writeFile(join(folder, 't-labels-idx1-ubyte.gz'), gzipSync(labels))
    expect(await read()).toEqual([...pattern(4, 5)])
  })

  test('in another number than the images, or not there, are an error', async () => {
    const { folder, path } = await dataset(4)
    await expect(openSource(path, { labels: join(folder, 'none') })).rejects.toThrow(/none: cannot be read: ENOENT/)
    await writeFile(join(folder, 't-labels-idx1-ubyte'), idx([5], pattern(5)))
    await expect(openSource(path)).rejects.toThrow(
      /t-labels-idx1-ubyte: 5 labels, but .*t-images-idx3-ubyte has 4 images/,
    )
  })
})

describe('preprocessing', () => {
  const read = async (preprocess: Preprocess) => {
    const { path } = await dataset(3)
    const source = await openSource(path, { preprocess })
    const [inOrder] = await collect(source.batches({ size: 3 }))
    const picked = await source.read([2, 0, 1])
    await source.close()
    const bytes = source.input.shape.reduce((a, b) => a * b)
    const rows = [0, 1, 2].map((r) => [...inOrder!.inputs.subarray(r * bytes, (r + 1) * bytes)])
    expect([...picked.inputs]).toEqual([2, 0, 1].flatMap((r) => rows[r]!))
    return { shape: source.input.shape, rows }
  }
  const image = (r: number) => [...pattern(18).subarray(r * 6, r * 6 + 6)]

  test('rgb repeats the gray byte', async () => {
    const { shape, rows } = await read({ version: 1, color: 'rgb' })
    expect(shape).toEqual([3, 2, 3])
    expect(rows).toEqual([0, 1, 2].map((r) => image(r).flatMap((x) => [x, x, x])))
  })

  test('crop cuts the middle out, bytes unchanged', async () => {
    const { shape, rows } = await read({ version: 1, crop: { width: 2, height: 1 } })
    expect(shape).toEqual([1, 2, 1])
    expect(rows).toEqual([0, 1, 2].map((r) => image(r).slice(2, 4)))
  })

  test('resize gives the declared size, and keeps one colour as it is', async () => {
    const folder = await temporaryFolder()
    await writeFile(join(folder, 'one'), idx([1, 28, 28], new Uint8Array(784).fill(77)))
    const source = await openSource(join(folder, 'one'), {
      preprocess: { version: 1, color: 'rgb', resize: { shorter: 32 }, crop: { width: 32, height: 30 } },
    })
    expect(source.input.shape).toEqual([30, 32, 3])
    expect(new Set((await source.read([0])).inputs)).toEqual(new Set([77]))
    await source.close()
  })

  test('that cannot be done is an error when the source is opened', async () => {
    const { path } = await dataset(3)
    await expect(openSource(path, { preprocess: { version: 1, crop: { width: 3, height: 3 } } })).rejects.toThrow(
      'the crop 3×3 is larger than the image, 2×3',
    )
    await expect(openSource(path, { preprocess: { version: 2 } as never })).rejects.toThrow('preprocess: version')
  })
})
