import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  Dictionary,
  Field,
  FixedSizeList,
  Float32,
  Int8,
  makeData,
  makeVector,
  Table,
  tableToIPC,
  Utf8,
  vectorFromArray,
} from 'apache-arrow'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { DecantError } from '../../src/errors.js'
import { columnFacts } from '../../src/source/arrow-facts.js'
import { openSource } from '../../src/source/index.js'
import { decodeLz4Frame } from '../../src/source/lz4-frame.js'
import { parseNpyHeader } from '../../src/source/npy.js'
import { arrowSchemaIn } from '../../src/source/parquet-arrow.js'
import type { OpenOptions } from '../../src/source/source.js'
import { npy, tar, zip } from './files-of-rows.js'
import { pattern, plain, temporaryFolder } from './fixtures.js'
import { parquet } from './parquet-file.js'

/** The bytes cut short, or with some bits flipped. */
const damaged = (bytes: Buffer) =>
  fc.oneof(
    fc.nat(bytes.length - 1).map((length) => bytes.subarray(0, length)),
    fc.array(fc.nat(bytes.length * 8 - 1), { minLength: 1, maxLength: 4 }).map((bits) => {
      const copy = Buffer.from(bytes)
      for (const bit of bits) copy[bit >> 3]! ^= 1 << (bit & 7)
      return copy
    }),
  )

/** Reads all rows of a damaged file: values, or an error of ours that names the file. Anything else, or a hang, fails. */
async function survives(name: string, bytes: Buffer, { options, runs }: { options: OpenOptions; runs: number }) {
  const path = join(await temporaryFolder(), name)
  await fc.assert(
    fc.asyncProperty(damaged(bytes), async (content) => {
      await writeFile(path, content)
      try {
        const source = await openSource(path, options)
        try {
          for await (const batch of source.batches({ size: 3 })) expect(batch.labels.length).toBe(batch.rows)
        } finally {
          await source.close()
        }
      } catch (error) {
        if (!(error instanceof DecantError)) throw error
        expect(error.message).toContain(name)
      }
    }),
    { numRuns: runs },
  )
}

describe('a damaged file gives values or an error that names it', () => {
  const x = npy(
    '<f4',
    [6, 2],
    Float32Array.from({ length: 12 }, (_, i) => i),
  )
  const y = npy(
    '<i8',
    [6],
    BigInt64Array.from({ length: 6 }, (_, i) => BigInt(i)),
  )

  test('NPY', () => survives('a.npy', x, { options: {}, runs: 300 }))
  test('NPZ, stored', () =>
    survives('a.npz', zip({ 'x.npy': x, 'y.npy': y }), { options: { input: 'x', label: 'y' }, runs: 300 }))
  test('NPZ, deflated', () =>
    survives('a.npz', zip({ 'x.npy': x, 'y.npy': y }, { deflate: true }), {
      options: { input: 'x', label: 'y' },
      runs: 200,
    }))
  test('tar', async () => {
    const image = await plain(2, 2)
    const samples = Array.from(
      { length: 4 },
      (_, i) =>
        [
          [`${i}.png`, image],
          [`${i}.cls`, String(i)],
        ] as const,
    ).flat()
    await survives('a.tar', tar(Object.fromEntries(samples)), { options: {}, runs: 200 })
  })
  test('Parquet', () => {
    const page = Buffer.from([2, 0, 0, 0, 6, 1, 7, 0, 0, 0, 8, 0, 0, 0, 9, 0, 0, 0]) // a run of three levels; 7, 8, 9
    return survives('a.parquet', parquet([{ data: page, values: 3 }]), { options: { input: 'x' }, runs: 80 })
  })
  // lists that say they are longer than the file kept the library busy for minutes, until no memory was left
  test.each(['file', 'stream'] as const)('Arrow (%s)', (form) => {
    const type = new Dictionary(new Utf8(), new Int8(), 1, true)
    const dictionary = vectorFromArray(['b', 'a'], new Utf8())
    const y = makeVector(makeData({ type, data: Int8Array.of(0, 1), dictionary, length: 2 }))
    const x = vectorFromArray(
      [[[1, 2]], [[3, 4]]],
      new FixedSizeList(1, new Field('', new FixedSizeList(2, new Field('', new Float32())))),
    )
    const bytes = Buffer.from(tableToIPC(new Table({ x, y }), form))
    return survives('a.arrow', bytes, { options: { input: 'x', label: 'y' }, runs: 400 })
  })
  test('CSV', () =>
    survives('a.csv', Buffer.from('x,y,t\n1,2,"a ""b"", c"\n3,4,"d\ne"\n5,6,f\n'), {
      options: { input: 'x', label: 'y' },
      runs: 300,
    }))
  test('JSON Lines', () =>
    survives('a.jsonl', Buffer.from('{"x":[1,2],"y":"a"}\n{"x":[3,4],"y":"b"}\n'), {
      options: { input: 'x', label: 'y' },
      runs: 300,
    }))
})

test('an NPY header of any bytes is refused or understood', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.boolean(), (bytes, magic) => {
      const start = magic ? Buffer.concat([Buffer.from('\x93NUMPY\x01\x00', 'latin1'), bytes]) : Buffer.from(bytes)
      expect(() => parseNpyHeader(start, { path: 'a.npy', size: start.length })).toThrow(/^a\.npy: /)
    }),
  )
})

test('a damaged Arrow schema in a Parquet file says something or nothing, and keeps nobody busy', () => {
  const type = new Dictionary(new Utf8(), new Int8(), 1, true)
  const y = makeVector(
    makeData({ type, data: Int8Array.of(0), dictionary: vectorFromArray(['a'], new Utf8()), length: 1 }),
  )
  const stream = Buffer.from(tableToIPC(new Table({ y }), 'stream'))
  const schema = stream.subarray(0, 8 + stream.readInt32LE(4))
  expect(columnFacts(arrowSchemaIn(schema.toString('base64')), undefined).get('y')?.categories).toMatchObject({
    ordered: true,
  })
  fc.assert(
    fc.property(damaged(schema), (bytes) => {
      columnFacts(arrowSchemaIn(bytes.toString('base64')), undefined)
    }),
    { numRuns: 2000, interruptAfterTimeLimit: 60_000, markInterruptAsFailure: true },
  )
})

test('an LZ4 frame of any bytes is decoded or refused, and never grows beyond what it can hold', () => {
  const head = Buffer.from([0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82])
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (body) => {
      const size = Buffer.alloc(4)
      size.writeUInt32LE(body.length)
      const frame = Buffer.concat([head, size, body, Buffer.alloc(4)])
      try {
        expect(decodeLz4Frame(frame).length).toBeLessThanOrEqual(frame.length * 255)
      } catch (error) {
        expect(error).toBeInstanceOf(Error)
      }
    }),
    { numRuns: 1000 },
  )
  const raw = pattern(100)
  const size = Buffer.alloc(4)
  size.writeUInt32LE(0x80000000 + raw.length)
  expect([...decodeLz4Frame(Buffer.concat([head, size, raw, Buffer.alloc(4)]))]).toEqual([...raw])
})
