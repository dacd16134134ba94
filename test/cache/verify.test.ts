import { createHash } from 'node:crypto'
import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { codecOf, createTargets, openTargets, verifyTargets } from '../../src/cache/index.js'
import { temporaryFolder } from '../helpers/folder.js'
import { CREATED, makePlan, makeRows, writeTargets } from './datasets.js'

const SECOND = 'data/00001.arrow'

async function makeDataset(changes: Parameters<typeof makePlan>[0] = {}) {
  const dir = temporaryFolder()
  await writeTargets(dir, makePlan(changes))
  return dir
}

/** Alters the second shard, and the manifest so that it agrees: what a wrong writer, not a wrong disk, would leave. */
async function adopt(dir: string, alter: (bytes: Buffer) => void): Promise<void> {
  const bytes = await readFile(join(dir, SECOND))
  alter(bytes)
  await writeFile(join(dir, SECOND), bytes)
  const { sha256: _, ...manifest } = JSON.parse(await readFile(join(dir, 'manifest.json'), 'utf8'))
  manifest.shards[1].sha256 = createHash('sha256').update(bytes).digest('hex')
  await writeFile(join(dir, 'manifest.json'), JSON.stringify(manifest))
}

test.each(['f32', 'f16', 'q8', 'hybrid:25', 'topk:2', 'sampled:2'] as const)(
  'a dataset as it was written, rows without a label in it, is sound (%s)',
  async (codec) => {
    const dir = await makeDataset({ codec })
    const seen: number[] = []
    const found = await verifyTargets(dir, { onProgress: ({ rows }) => seen.push(rows) })
    expect(found).toMatchObject({ shards: 3, rows: 100, problems: [], unchecked: [] })
    expect(seen).toEqual([40, 80, 100])
  },
)

describe('found, each in a line that names the file:', () => {
  test.each([
    [
      'a shard that is missing',
      (dir: string) => rm(join(dir, SECOND)),
      [/00001\.arrow: listed in the manifest, but not/],
    ],
    [
      'two shards that changed places',
      async (dir: string) => {
        await rename(join(dir, SECOND), join(dir, 'data/x'))
        await rename(join(dir, 'data/00000.arrow'), join(dir, SECOND))
        await rename(join(dir, 'data/x'), join(dir, 'data/00000.arrow'))
      },
      [/00000\.arrow: /, /00001\.arrow: /],
    ],
    [
      'a shard that the manifest does not list',
      (dir: string) => writeFile(join(dir, 'data/00009.arrow'), ''),
      [/00009\.arrow: not listed in the manifest/],
    ],
    [
      'a value that is not finite',
      (dir: string) => adopt(dir, (bytes) => replaceFloat(bytes, Number.NaN)),
      [/00001\.arrow: row 'row\/41': logits holds NaN or infinity, expected finite numbers/],
    ],
    [
      'an id that is not UTF-8',
      (dir: string) => adopt(dir, (bytes) => void bytes.writeUInt8(0xff, bytes.indexOf('row/41'))),
      [/00001\.arrow: an id that is not UTF-8/],
    ],
    [
      'ids that share a character',
      // Row 42's id ends in ü: its second byte is made the next id's first.
      (dir: string) =>
        adopt(dir, (bytes) => {
          const offsets = Buffer.from(Int32Array.of(0, 6, 12, 21).buffer)
          bytes.writeInt32LE(20, bytes.indexOf(offsets) + 12)
        }),
      [/00001\.arrow: an id that is not UTF-8/],
    ],
  ])('%s', async (_, damage, problems) => {
    const dir = await makeDataset()
    await damage(dir)
    const found = await verifyTargets(dir)
    expect(found.problems).toHaveLength(problems.length)
    problems.forEach((problem, i) => void expect(found.problems[i]).toMatch(problem))
    expect(found.rows).toBe(100) // the others were checked too
  })

  /** The first logit of row 41 of the f32 dataset. */
  function replaceFloat(bytes: Buffer, value: number): void {
    const { logits } = makeRows(makePlan(), 41, 42)
    const at = bytes.indexOf(Buffer.from((logits as Float32Array).buffer))
    bytes.writeFloatLE(value, at)
  }
})

test('draws of codec sampled that are not all there are found', async () => {
  const plan = makePlan({ codec: 'sampled:2' })
  const { logits, labels, ...described } = makeRows(plan, 0, 40)
  const columns = codecOf('sampled:2').encode({
    logits: logits!,
    classes: plan.classes,
    labels,
    keys: Uint32Array.from(labels.keys()),
  })
  columns.count!.fill(0, 2 * 7, 2 * 8)
  const dir = temporaryFolder()
  const writer = await createTargets(dir, { ...plan, source: { ...plan.source, rows: 40 } })
  await writer.beginShard(0)
  await writer.append({ ...described, labels, columns })
  await writer.endShard()
  await writer.finish({ created: CREATED })
  const { problems } = await verifyTargets(dir)
  expect(problems).toEqual([
    expect.stringMatching(/00000\.arrow: row '.+': count sums to 0, expected the 2 draws of sampled:2$/),
  ])
})

test('a shard without rows is checked as well', async () => {
  const dir = temporaryFolder()
  const writer = await createTargets(dir, makePlan({ rows: 40 }))
  await writer.beginShard(0)
  await writer.append({
    ...makeRows(makePlan(), 0, 0),
    skipped: Array.from({ length: 40 }, (_, i) => ({ id: `${i}`, reason: 'unreadable' })),
  })
  await writer.endShard()
  await writer.finish({ created: '2025-01-01T00:00:00.000Z' })
  expect(await verifyTargets(dir)).toMatchObject({ shards: 1, rows: 0, problems: [] })
  await rm(join(dir, 'data/00000.arrow'))
  expect((await verifyTargets(dir)).problems).toHaveLength(1)
})

describe("the manifest's own hash", () => {
  const edit = async (dir: string, change: (text: string) => string) => {
    const path = join(dir, 'manifest.json')
    await writeFile(path, change(await readFile(path, 'utf8')))
  }

  test('finds a change that would make sense', async () => {
    const dir = await makeDataset()
    await edit(dir, (text) => text.replace('"license": "mit"', '"license": "mir"'))
    expect((await verifyTargets(dir)).problems).toEqual([expect.stringMatching(/manifest\.json: damaged or altered/)])
    await expect(openTargets(dir)).rejects.toThrow('damaged or altered')
  })

  test('is over the bytes, its own digits taken as zeros, so that any language can check it', async () => {
    const text = await readFile(join(await makeDataset(), 'manifest.json'), 'utf8')
    const { sha256 } = JSON.parse(text)
    const zeroed = text.replace(sha256, '0'.repeat(64))
    expect(createHash('sha256').update(zeroed).digest('hex')).toBe(sha256)
  })

  test('may be absent: the dataset opens, and verify says what it could not check', async () => {
    const dir = await makeDataset()
    await edit(dir, (text) => JSON.stringify({ ...JSON.parse(text), sha256: undefined }))
    expect((await openTargets(dir)).rows).toBe(100)
    expect(await verifyTargets(dir)).toMatchObject({
      problems: [],
      unchecked: [expect.stringMatching(/manifest\.json: it has no sha256 of its own/)],
    })
  })

  test('must be the last key', async () => {
    const dir = await makeDataset()
    await edit(dir, (text) => {
      const { sha256, ...rest } = JSON.parse(text)
      return JSON.stringify({ sha256, ...rest })
    })
    await expect(openTargets(dir)).rejects.toThrow('sha256: expected it to be the last key')
  })
})

test('a folder without a dataset is an error, not an unsound dataset', async () => {
  await expect(verifyTargets(join(temporaryFolder(), 'none'))).rejects.toThrow('no such folder')
})
