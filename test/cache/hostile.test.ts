import { createHash } from 'node:crypto'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { openTargets } from '../../src/cache/index.js'
import { FormatError } from '../../src/errors.js'
import { random } from '../../src/random.js'
import { temporaryFolder } from '../helpers/folder.js'
import { makePlan, writeTargets } from './datasets.js'

const FIRST = 'data/00000.arrow'

async function makeDataset() {
  const dir = temporaryFolder()
  await writeTargets(dir, makePlan({ codec: 'f16' }))
  return { dir, path: join(dir, FIRST), bytes: await readFile(join(dir, FIRST)) }
}

/** Reads everything that the first shard holds; gives the error, if any. */
async function readAll(dir: string, verify: boolean): Promise<unknown> {
  const targets = await openTargets(dir)
  try {
    for await (const chunk of targets.chunks({ verify, to: 40, rows: 11 })) chunk.ids()
    await targets.row(17)
    await targets.byId('no such id')
    return undefined
  } catch (error) {
    return error
  } finally {
    await targets.close()
  }
}

/** Makes the manifest agree with an altered shard, as who alters one on purpose would. */
async function adopt(dir: string, bytes: Uint8Array): Promise<void> {
  const path = join(dir, 'manifest.json')
  const { sha256: _, ...manifest } = JSON.parse(await readFile(path, 'utf8'))
  Object.assign(manifest.shards[0], { bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') })
  await writeFile(path, JSON.stringify(manifest))
  await writeFile(join(dir, FIRST), bytes)
}

test('any flipped bit is found by its hash', async () => {
  const { dir, path, bytes } = await makeDataset()
  const { below } = random('flips')
  for (let i = 0; i < 60; i++) {
    const flipped = Buffer.from(bytes)
    flipped[below(bytes.length)]! ^= 1 << below(8)
    await writeFile(path, flipped)
    const error = await readAll(dir, true)
    expect(error).toBeInstanceOf(FormatError)
    expect((error as Error).message).toContain(FIRST)
  }
})

test('a shard that is cut short, longer, or missing is found without any hash', async () => {
  const { dir, path, bytes } = await makeDataset()
  for (const cut of [0, 5, 9, 100, bytes.length - 1]) {
    await writeFile(path, bytes.subarray(0, cut))
    expect((await readAll(dir, false)) as Error).toMatchObject({
      message: `${path}: expected ${bytes.length} bytes, found ${cut}`,
    })
  }
  await writeFile(path, Buffer.concat([bytes, Buffer.of(0)]))
  expect(await readAll(dir, false)).toBeInstanceOf(FormatError)
  await rm(path)
  expect((await readAll(dir, false)) as Error).toMatchObject({
    message: `${path}: listed in the manifest, but not there`,
  })
})

describe('a shard altered on purpose, with a manifest that agrees:', () => {
  test('bytes changed anywhere in the metadata give an error or rows, never a crash, a hang or another error', async () => {
    const { dir, bytes } = await makeDataset()
    const { below } = random('fuzz')
    const footer = bytes.readInt32LE(bytes.length - 10)
    let refused = 0
    for (let i = 0; i < 200; i++) {
      const fuzzed = Buffer.from(bytes)
      // Half in the footer, half anywhere: batch metadata, offsets, validity, values.
      const at = i % 2 ? bytes.length - 10 - footer + below(footer + 10) : below(bytes.length)
      const hostile = [0, 1, 0x7f, 0x80, 0xff][below(5)]!
      fuzzed.fill(hostile, at, Math.min(bytes.length, at + 1 + below(8)))
      await adopt(dir, fuzzed)
      const error = await readAll(dir, false)
      if (error !== undefined && !(error instanceof FormatError)) throw error
      if (error) refused++
    }
    expect(refused).toBeGreaterThan(50)
  })

  test.each([
    [
      'random bytes',
      Buffer.from(Array.from({ length: 5000 }, (_, i) => (i * 7919) & 255)),
      /the last bytes are not ARROW1/,
    ],
    [
      'a footer larger than the file',
      Buffer.concat([Buffer.alloc(5000), Buffer.of(0, 0, 0, 1), Buffer.from('ARROW1')]),
      /footer of 16777216 bytes/,
    ],
    [
      'a negative footer',
      Buffer.concat([Buffer.alloc(5000), Buffer.of(255, 255, 255, 255), Buffer.from('ARROW1')]),
      /footer of -1 bytes/,
    ],
    [
      'a footer of zeros',
      Buffer.concat([Buffer.alloc(5000), Buffer.of(0, 1, 0, 0), Buffer.from('ARROW1')]),
      /00000\.arrow: /,
    ],
  ])('%s', async (_, bytes, message) => {
    const { dir } = await makeDataset()
    await adopt(dir, bytes)
    const error = await readAll(dir, false)
    expect(error).toBeInstanceOf(FormatError)
    expect((error as Error).message).toMatch(message)
  })

  const ints = (...values: number[]) => Buffer.from(Int32Array.from(values).buffer)
  const longs = (...values: number[]) => Buffer.from(BigInt64Array.from(values.map(BigInt)).buffer)
  // The first batch has 16 rows and 95 bytes of ids, of which row/0-ü, row/1 and row/2 take 8, 5 and 5.
  test.each([
    ['ids outside their buffer', longs(128, 95), longs(128, 10), /ids lie outside their buffer/],
    ['ids before their buffer', ints(0, 8, 13, 18), ints(-8, 8, 13, 18), /ids lie outside their buffer/],
    ['id offsets that go back', ints(0, 8, 13, 18), ints(0, 13, 8, 18), /an id of -5 bytes/],
    ['a label outside the classes', ints(0, 1, 2, 0, -1), ints(0, 1, 3, 0, -1), /label 3, expected 0 to 2/],
    ['a negative label that is not null', ints(0, 1, 2, 0, -1), ints(0, -1, 2, 0, -1), /label -1, expected 0 to 2/],
    ['a buffer outside the batch', longs(0, 68), longs(1_000_000, 68), /a buffer of 68 bytes at 1000000/],
    ['a buffer before the batch', longs(0, 68), longs(-64, 68), /a buffer of 68 bytes at -64/],
    ['a buffer too short for its rows', longs(0, 68), longs(0, 64), /a buffer of 64 bytes at 0, expected 68 bytes/],
    ['a number beyond 2^53', longs(0, 68), longs(2 ** 62, 68), /4611686018427387904 is too large/],
  ])('%s', async (_, from, to, message) => {
    const { dir, bytes } = await makeDataset()
    const at = bytes.indexOf(from)
    expect(at).toBeGreaterThan(0)
    const altered = Buffer.from(bytes)
    to.copy(altered, at)
    await adopt(dir, altered)
    const error = await readAll(dir, false)
    expect(error).toBeInstanceOf(FormatError)
    expect((error as Error).message).toMatch(message)
  })

  test('a shard of another codec, other classes or other rows', async () => {
    const { dir } = await makeDataset()
    for (const [changes, message] of [
      [
        { codec: 'f32' as const },
        /expected id: utf8, label: int32, logits: float16\[3\], shift: float32, found id: utf8, label: int32, logits: float32\[3\]/,
      ],
      [{ codec: 'f16' as const, classes: 4 }, /found .*logits: float16\[4\]/],
      [{ codec: 'f16' as const, rowsPerBatch: 20 }, /record batches: expected 3, found 2/],
    ] as const) {
      const other = temporaryFolder()
      await writeTargets(other, makePlan(changes))
      await adopt(dir, await readFile(join(other, FIRST)))
      expect(((await readAll(dir, false)) as Error).message).toMatch(message)
    }
  })
})
