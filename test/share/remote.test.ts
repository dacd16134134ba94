import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it, onTestFinished } from 'vitest'
import {
  type Chunk,
  type CodecName,
  createTargets,
  idColumn,
  openTargets,
  type Targets,
} from '../../src/cache/index.js'
import { openBlockCache } from '../../src/share/block-cache.js'
import { type OpenOptions, openDataset } from '../../src/share/open-dataset.js'
import { remoteFiles } from '../../src/share/remote-files.js'
import { openFolderStore } from '../../src/share/stores/folder.js'
import { CREATED, makePlan } from '../cache/datasets.js'
import { temporaryFolder } from '../helpers/folder.js'
import { type Served, serveDataset } from './dataset-server.js'

/** A dataset of some megabytes: rows of 1000 classes, shards of several batches. */
async function writeLarge(
  dir: string,
  changes: { codec?: CodecName; rows?: number; perShard?: number } = {},
): Promise<void> {
  const { codec = 'f32', rows = 600, perShard = 250 } = changes
  const plan = makePlan({ codec, rows, classes: 1000, rowsPerShard: perShard, rowsPerBatch: 50 })
  const writer = await createTargets(dir, plan)
  for (let first = 0, shard = 0; first < rows; first += perShard, shard++) {
    await writer.beginShard(shard)
    const n = Math.min(perShard, rows - first)
    await writer.append({
      rows: n,
      ids: idColumn(Array.from({ length: n }, (_, i) => `row-${first + i}`)),
      labels: Int32Array.from({ length: n }, (_, i) => (i % 5 === 4 ? -1 : i % 1000)),
      logits: Float32Array.from({ length: n * 1000 }, (_, i) => Math.sin((first * 1000 + i) * 1.7) * 9),
    })
    await writer.endShard()
  }
  await writer.finish({ created: CREATED })
}

const quick = { attempts: 3, sleep: async () => {} }

async function openServed(dir: string, served: Served, options: OpenOptions = {}): Promise<Targets> {
  return openDataset(served.url, { cache: { dir: join(dir, '..', 'cache') }, retry: quick, ...options })
}

async function serve(...args: Parameters<typeof serveDataset>): Promise<Served> {
  const served = await serveDataset(...args)
  onTestFinished(() => served.close())
  return served
}

const newFolder = () => join(temporaryFolder(), 'targets')

function expectSame(found: Chunk, expected: Chunk): void {
  expect(found.ids()).toEqual(expected.ids())
  expect(Buffer.compare(bytesOf(found.labels), bytesOf(expected.labels))).toBe(0)
  for (const [name, values] of Object.entries(expected.columns))
    expect(Buffer.compare(bytesOf(found.columns[name]!), bytesOf(values)), name).toBe(0)
}

const bytesOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView) => Buffer.from(buffer, byteOffset, byteLength)

async function readOn(targets: Targets, options: Parameters<Targets['chunks']>[0]): Promise<Chunk[]> {
  const chunks: Chunk[] = []
  for await (const chunk of targets.chunks(options)) chunks.push(chunk)
  return chunks
}

describe.each(['f32', 'f16', 'q8', 'hybrid:16', 'topk:16', 'sampled:16'] as CodecName[])(
  'a remote dataset of codec %s',
  (codec) => {
    it('gives the rows of the local one, whatever is read in whatever order', async () => {
      const dir = newFolder()
      await writeLarge(dir, { codec, rows: 230, perShard: 100 })
      const local = await openTargets(dir)
      const cache = openBlockCache({ dir: join(dir, '..', 'cache') })
      const range = fc.tuple(fc.nat(230), fc.nat(230)).map(([a, b]) => ({ from: Math.min(a, b), to: Math.max(a, b) }))
      const read = fc.record({ range, rows: fc.integer({ min: 1, max: 120 }), verify: fc.boolean() })
      await fc.assert(
        fc.asyncProperty(
          fc.array(read, { maxLength: 3 }),
          fc.array(fc.nat(229), { maxLength: 5 }),
          async (reads, rows) => {
            const remote = await openTargets(remoteFiles(openFolderStore(dir), { cache }))
            await Promise.all([
              ...reads.map(async ({ range, rows, verify }) => {
                const expected = await readOn(local, { ...range, rows })
                const found = await readOn(remote, { ...range, rows, verify })
                expect(found.length).toBe(expected.length)
                found.forEach((chunk, i) => void expectSame(chunk, expected[i]!))
              }),
              ...rows.map(async (row) => {
                const [found, expected] = [await remote.row(row), await local.row(row)]
                expect({ ...found }).toEqual({ ...expected })
              }),
            ])
            await remote.close()
          },
        ),
        { numRuns: 5 },
      )
      await local.close()
    })
  },
)

describe('requests', () => {
  it('are few and large where all rows are read in order, and none is repeated', async () => {
    const dir = newFolder()
    await writeLarge(dir, { rows: 3000, perShard: 1500 })
    const served = await serve(dir)
    for (const verify of [true, false]) {
      const targets = await openServed(dir, served, { cache: { dir: join(dir, '..', `cache-${verify}`) } })
      const before = { requests: served.requests.length, sent: served.sent }
      for await (const _ of targets.chunks({ verify })) void _
      await targets.close()
      // the manifest 2; of each shard of 6 MB: its ETag, its footer, then what is in demand in pieces of 4 to 8 MiB
      expect(served.requests.length - before.requests).toBeLessThanOrEqual(verify ? 2 + 2 * 4 : 2 + 2 * 6)
      expect(served.sent - before.sent).toBeLessThanOrEqual(
        targets.manifest.shards.reduce((sum, { bytes }) => sum + bytes, 0),
      )
    }
  })

  it('are a handful for one row, and none for what is in the cache but a look at its ETag', async () => {
    const dir = newFolder()
    await writeLarge(dir, { rows: 2000, perShard: 2000 })
    const served = await serve(dir)
    const read = async () => {
      const from = served.requests.length
      const targets = await openServed(dir, served)
      await targets.row(1234)
      await targets.close()
      return served.requests.slice(from)
    }
    const cold = await read()
    expect(cold.slice(0, 3)).toEqual([
      'HEAD manifest.json',
      expect.stringMatching(/^GET manifest/),
      'HEAD data/00000.arrow',
    ])
    expect(cold.length).toBeLessThanOrEqual(7)
    expect(served.sent).toBeLessThan(1.5e6)
    expect((await read()).map((line) => line.split(' ')[0])).toEqual(['HEAD', 'GET', 'HEAD'])
  })
})
