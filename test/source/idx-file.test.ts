import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { FormatError } from '../../src/errors.js'
import { scanIdx } from '../../src/source/idx-file.js'
import { idx, pattern, temporaryFolder } from './fixtures.js'

const good = idx([3, 2, 2], pattern(12))
const gz = gzipSync(good)
const altered = (bytes: Buffer, at: number, value: number) => {
  const copy = Buffer.from(bytes)
  copy[at < 0 ? bytes.length + at : at] = value
  return copy
}

describe('a damaged IDX file is a FormatError that names it and says what was found', () => {
  const cases: [string, Buffer, RegExp][] = [
    ['empty', Buffer.alloc(0), /not an IDX file/],
    ['text', Buffer.from('hello'), /not an IDX file/],
    ['another type', altered(good, 2, 0x0d), /IDX type 0d, expected 08/],
    ['another rank', idx([12], pattern(12)), /IDX file of 1 dimensions, expected 3/],
    ['a cut header', good.subarray(0, 10), /truncated: the IDX header has 10 bytes, expected 16/],
    ['no rows', idx([0, 2, 2], pattern(0)), /empty: its dimensions are 0×2×2/],
    ['dimensions from nowhere', idx([2 ** 32 - 1, 2 ** 32 - 1, 2 ** 32 - 1], pattern(5)), /impossible dimensions/],
    [
      'more claimed than there is',
      idx([2 ** 32 - 1, 28, 28], pattern(5)),
      /truncated: .* are 3367254359280 bytes of data, found 5/,
    ],
    ['cut data', good.subarray(0, -1), /truncated: 3×2×2 are 12 bytes of data, found 11/],
    ['trailing bytes', Buffer.concat([good, Buffer.of(1)]), /bytes behind the end/],
    ['gzip: not IDX inside', gzipSync('hello world, no IDX'), /not an IDX file: it begins with 68 65 6c 6c/],
    ['gzip: cut data', gzipSync(good.subarray(0, -1)), /truncated: .* found 11/],
    ['gzip: trailing data', gzipSync(Buffer.concat([good, Buffer.alloc(9)])), /bytes behind the end/],
    ['gzip: truncated', gz.subarray(0, -9), /damaged gzip file: truncated/],
    ['gzip: wrong CRC', altered(gz, -8, gz.at(-8)! ^ 1), /damaged gzip file: incorrect data check/],
    ['gzip: wrong length', altered(gz, -4, gz.at(-4)! ^ 1), /damaged gzip file: incorrect length check/],
    ['gzip: zeros behind', Buffer.concat([gz, Buffer.alloc(7)]), /7 bytes behind the end of the gzip data/],
    ['gzip: rubbish behind', Buffer.concat([gz, Buffer.from('rubbish')]), /damaged gzip file/],
  ]
  test.each(cases)('%s', async (_, bytes, message) => {
    const path = join(await temporaryFolder(), 'file')
    await writeFile(path, bytes)
    const error = await scanIdx(path, { rank: 3 }).catch((e) => e)
    expect(error).toBeInstanceOf(FormatError)
    expect(error.message).toMatch(message)
    expect(error.message.startsWith(`${path}: `)).toBe(true)
    expect(error.message).not.toContain('\n')
  })
})

test('a flipped bit in a gzip file never passes with other data', async () => {
  const path = join(await temporaryFolder(), 'file')
  await fc.assert(
    fc.asyncProperty(fc.nat(gz.length * 8 - 1), async (bit) => {
      await writeFile(path, altered(gz, bit >> 3, gz[bit >> 3]! ^ (1 << (bit & 7))))
      const seen: number[] = []
      const onData = (block: Uint8Array) => void seen.push(...block)
      const error = await scanIdx(path, { rank: 3, onData }).catch((e) => e)
      if (error instanceof Error) expect(error).toBeInstanceOf(FormatError)
      else expect(seen).toEqual([...pattern(12)]) // gzip's own time and system fields are not protected
    }),
  )
})
