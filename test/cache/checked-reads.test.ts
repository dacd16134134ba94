import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { licenseTargets, openTargets, type Targets } from '../../src/cache/index.js'
import { writePage } from '../../src/viewer/write-page.js'
import { temporaryFolder } from '../helpers/folder.js'
import { makePlan, writeTargets } from './datasets.js'

/** A dataset of 100 rows in shards of 40, and one bit of the last logits in shard 1 changed: all that is read still makes sense. */
async function damaged() {
  const dir = temporaryFolder()
  await writeTargets(dir, makePlan({ rows: 100, rowsPerShard: 40 }))
  const path = join(dir, 'data/00001.arrow')
  const bytes = readFileSync(path)
  const targets = await openTargets(dir, { verify: false })
  const { logits } = await targets.row(79)
  const at = bytes.lastIndexOf(Buffer.from(logits.buffer, logits.byteOffset, 4))
  bytes[at]! ^= 1
  writeFileSync(path, bytes)
  await targets.close()
  return { dir, path, logits }
}

async function reading(dir: string, work: (targets: Targets) => Promise<unknown>): Promise<void> {
  const targets = await openTargets(dir)
  try {
    await work(targets)
  } finally {
    await targets.close()
  }
}

const refusal = /00001\.arrow: damaged or altered: expected SHA-256 [0-9a-f]{64}, found [0-9a-f]{64}/

describe('a shard that is damaged is found out by whatever reads it:', () => {
  test.each<[string, (dir: string) => Promise<unknown>]>([
    ['a row', (dir) => reading(dir, (targets) => targets.row(79))],
    ['a search by id', (dir) => reading(dir, (targets) => targets.byId('no such id'))],
    ['all at once', (dir) => reading(dir, (targets) => targets.load())],
    [
      'chunks',
      (dir) =>
        reading(dir, async (targets) => {
          for await (const _ of targets.chunks());
        }),
    ],
    ['license, which would seal it', (dir) => licenseTargets(dir, { license: 'mit' })],
    [
      'a page of the viewer, which would show it',
      (dir) => writePage({ place: dir, source: false, path: join(dir, 'page.html') }, new AbortController().signal),
    ],
  ])('%s', async (_, read) => {
    const { dir } = await damaged()
    const before = readFileSync(join(dir, 'manifest.json'))
    await expect(read(dir)).rejects.toThrow(refusal)
    expect(readFileSync(join(dir, 'manifest.json'))).toEqual(before)
  })

  test('the rows of other shards are read, and who says so reads it as it is', async () => {
    const { dir, logits } = await damaged()
    const targets = await openTargets(dir)
    await targets.row(0)
    await targets.row(99)
    await targets.close()
    const unchecked = await openTargets(dir, { verify: false })
    expect((await unchecked.row(79)).logits).not.toEqual(logits)
    await unchecked.close()
  })
})

test('each shard is hashed once, however often it is read; one that was mended meanwhile is read', async () => {
  const { dir, path } = await damaged()
  const bytes = readFileSync(path)
  const targets = await openTargets(dir)
  await targets.row(0)
  const first = readFileSync(join(dir, 'data/00000.arrow'))
  writeFileSync(join(dir, 'data/00000.arrow'), Buffer.from(first).fill(0, first.length - 900, first.length - 880))
  await targets.row(1) // not looked at again
  await Promise.all([40, 41, 79].map((row) => expect(targets.row(row)).rejects.toThrow(refusal)))
  const sound = temporaryFolder()
  await writeTargets(sound, makePlan({ rows: 100, rowsPerShard: 40 }))
  writeFileSync(path, readFileSync(join(sound, 'data/00001.arrow')))
  expect(readFileSync(path)).not.toEqual(bytes)
  await targets.row(79)
  await targets.close()
})

test('who is stopped while a shard is hashed does not stop another that waits for the same', async () => {
  const dir = temporaryFolder()
  await writeTargets(dir, makePlan({ rows: 100, rowsPerShard: 40 }))
  const targets = await openTargets(dir)
  const stop = new AbortController()
  const reading = targets.chunks({ signal: stop.signal })[Symbol.asyncIterator]().next()
  reading.catch(() => {})
  const row = targets.row(0)
  stop.abort()
  expect((await row).index).toBe(0)
  await targets.close()
})
