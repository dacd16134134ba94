import { Dictionary, Int8, makeData, makeVector, Table, tableToIPC, Utf8, vectorFromArray } from 'apache-arrow'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { columnFacts } from '../../src/source/arrow-facts.js'
import { decodeLz4Frame } from '../../src/source/lz4-frame.js'
import { parseNpyHeader } from '../../src/source/npy.js'
import { arrowSchemaIn } from '../../src/source/parquet-arrow.js'
import { pattern } from './fixtures.js'

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
