import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Bytes, openBytes } from '../../src/source/bytes.js'
import { openTable } from '../../src/source/open-table.js'
import { openParquet } from '../../src/source/parquet.js'
import { checkRuns, sumDeltas } from '../../src/source/parquet-runs.js'
import { temporaryFolder } from './fixtures.js'
import { type HostilePage, parquet, varint } from './parquet-file.js'

async function read(file: Buffer): Promise<unknown[]> {
  const path = join(await temporaryFolder(), 'a.parquet')
  await writeFile(path, file)
  const table = await openTable(path, 'parquet')
  const rows: unknown[] = []
  for (let block = 0; block + 1 < table.starts.length; block++)
    rows.push(...Array.from((await table.block(block, ['x'])).columns[0]!))
  return rows
}

/** Levels of version 1: a run of `count` ones, then values. */
const levels = (count: number, values: Uint8Array = Buffer.alloc(0)) => {
  const run = Buffer.from([...varint(BigInt(count) * 2n), 1])
  const length = Buffer.alloc(4)
  length.writeUInt32LE(run.length)
  return Buffer.concat([length, run, values])
}
const ints = (...values: number[]) => Buffer.from(Int32Array.from(values).buffer)

test('pages without compression are read, with and without a dictionary', async () => {
  expect(await read(parquet([{ data: levels(3, ints(7, 8, 9)), values: 3 }]))).toEqual([7, 8, 9])
  const pages: HostilePage[] = [
    { data: ints(5, 6), values: 2, dictionary: true },
    { data: levels(3, Buffer.from([1, 3, 0b010])), values: 3, encoding: 8 },
  ]
  expect(await read(parquet(pages))).toEqual([5, 6, 5])
})

describe('a row group of more than 256 MiB, without an index of its pages, is read by parts', () => {
  /** Four pages of 300,000 values, which claim to be large; with what each block has, and the most bytes that were read for one. */
  async function readParts(pages: HostilePage[]) {
    const path = join(await temporaryFolder(), 'a.parquet')
    await writeFile(path, parquet(pages, { unpacked: 2n ** 28n + 1n })) // two parts
    const bytes = await openBytes(path)
    let asked = 0
    const counted: Bytes = {
      ...bytes,
      read(at, length) {
        asked += length
        return bytes.read(at, length)
      },
    }
    const table = await openParquet(counted)
    const values: unknown[] = []
    let most = 0
    for (let block = 0; block + 1 < table.starts.length; block++) {
      asked = 0
      for (const value of Array.from((await table.block(block, ['x'])).columns[0]!)) values.push(value)
      most = Math.max(most, asked)
    }
    return { values, most, size: bytes.size, blocks: table.starts.length - 1 }
  }
  const count = 300_000
  const rows = Array.from({ length: 4 * count }, (_, row) => row)

  test('of plain pages', async () => {
    const pages = [0, 1, 2, 3].map((page) => ({
      data: levels(count, Buffer.from(Int32Array.from({ length: count }, (_, i) => page * count + i).buffer)),
      values: count,
    }))
    const { values, most, size, blocks } = await readParts(pages)
    expect(blocks).toBe(2)
    expect(values).toEqual(rows)
    expect(most).toBeLessThan(0.51 * size)
  })

  test('of pages with a dictionary, which is read for each', async () => {
    const words = Int32Array.from({ length: 2 ** 16 }, (_, i) => 3 * i)
    const pages: HostilePage[] = [0, 1, 2, 3].map((page) => {
      const indices = Uint16Array.from({ length: count }, (_, i) => (page * count + i) & 0xffff)
      const run = [16, ...varint(BigInt(count / 8) * 2n + 1n)] // packed, of 16 bits each
      return {
        data: levels(count, Buffer.concat([Buffer.from(run), Buffer.from(indices.buffer)])),
        values: count,
        encoding: 8,
      }
    })
    const dictionary = { data: Buffer.from(words.buffer), values: words.length, dictionary: true }
    const { values, most, size } = await readParts([dictionary, ...pages])
    expect(values).toEqual(rows.map((row) => 3 * (row & 0xffff)))
    expect(most).toBeLessThan(0.56 * size)
  })

  test('or whole, where it is of headers alone: they are not walked for hours', async () => {
    const page = { data: levels(count, Buffer.alloc(4 * count)), values: count }
    const empty: HostilePage = { data: Buffer.alloc(0), values: 0, dictionary: true }
    const path = join(await temporaryFolder(), 'a.parquet')
    await writeFile(path, parquet([...Array(40_000).fill(empty), ...Array(4).fill(page)], { unpacked: 2n ** 28n + 1n }))
    const bytes = await openBytes(path)
    let reads = 0
    const open: Bytes['open'] = async () => {
      const file = await bytes.open()
      const read: Bytes['read'] = (at, length) => {
        reads++
        return file.read(at, length)
      }
      return { ...file, read }
    }
    await openParquet({ ...bytes, open })
    expect(reads).toBe(2 ** 15)
  })

  test('or whole, where a page is not as its column says', async () => {
    const page = { data: levels(count, Buffer.alloc(4 * count)), values: count }
    await expect(readParts([page, page, { ...page, values: 2 * count }])).rejects.toThrow(/a\.parquet/)
  })
})

describe('a page that claims more than it can hold is refused', () => {
  const page = { data: levels(3, ints(7, 8, 9)), values: 3 }
  test.each([
    ['a run of levels', [{ ...page, data: levels(2 ** 30, ints(7)) }], {}, /a run of 1073741824 in a page of 3 values/],
    [
      'a run of indices',
      [
        { data: ints(5), values: 1, dictionary: true },
        { data: levels(3, Buffer.from([1, ...varint(2n ** 31n), 0])), values: 3, encoding: 8 },
      ],
      {},
      /a run of 1073741824 in a page of 3 values/,
    ],
    [
      'values of a page',
      [{ ...page, values: 2 ** 30 }],
      { rows: 3n },
      /column 'x': \d+ bytes that unpack to 8589934592/,
    ],
    ['values of a column', [page], { values: 2n ** 40n }, /bytes that unpack to 8796093022208, at most 268435456/],
    ['rows', [page], { rows: 2n ** 30n, values: 3n }, /3 values, expected at least one for each of 1073741824 rows/],
    ['bytes of a column', [page], { unpacked: 2n ** 40n }, /bytes that unpack to 1099511627776/],
    [
      'bytes of a page',
      [{ ...page, unpacked: 2 ** 30 }],
      { codec: 6 },
      /a page of 1073741824 bytes, at most 536870912/,
    ],
    [
      'bytes of all pages',
      Array.from({ length: 3 }, () => ({ ...page, unpacked: 2 ** 27 })),
      { codec: 6 },
      /unpack to 402653184/,
    ],
    [
      'values of a dictionary',
      [{ data: ints(5), values: 2 ** 20, dictionary: true }, page],
      {},
      /a dictionary of 1048576 values in 4 bytes/,
    ],
    [
      'beginnings that are repeated',
      [{ data: Buffer.from([...deltas(2 ** 29, 4), ...deltas(0, 4)]), values: 4, encoding: 7 }],
      { type: 6, optional: false },
      /a page: \d+ bytes that unpack to 2147483648/,
    ],
  ] as [string, HostilePage[], Parameters<typeof parquet>[1], RegExp][])('%s', async (_, pages, claims, message) => {
    await expect(read(parquet(pages, claims))).rejects.toThrow(message)
  })
})

/** DELTA_BINARY_PACKED of one value again and again: blocks of 128, four miniblocks, deltas of no bits. */
function deltas(value: number, count: number): number[] {
  const [zigzag, zero] = [varint(BigInt(value) * 2n), [0]]
  return [...varint(128n), 4, count, ...zigzag, ...zero, 0, 0, 0, 0]
}

test('lengths are added up as they are packed', () => {
  expect(sumDeltas(Uint8Array.from(deltas(5, 100)), 0, 100)).toEqual({ sum: 500, end: deltas(5, 100).length })
  // 1, then + 2, + 3 …: min delta 2, residuals 0 and 1 of one bit
  const packed = [...varint(8n), 1, 9, 2, 4, 1, 0b10101010]
  expect(sumDeltas(Uint8Array.from(packed), 0, 5)).toEqual({ sum: 1 + 3 + 6 + 8 + 11, end: packed.length })
})

test('runs of any bytes are walked to their end or refused', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), fc.nat(40), fc.nat(1000), (bytes, width, values) => {
      try {
        checkRuns(bytes, { from: 0, to: bytes.length, width, values })
        sumDeltas(bytes, 0, values)
      } catch (error) {
        expect(error).toBeInstanceOf(Error)
        expect(error).not.toBeInstanceOf(RangeError)
      }
    }),
  )
})
