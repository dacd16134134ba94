import { join } from 'node:path'
import fc from 'fast-check'
import { expect, onTestFinished } from 'vitest'
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
export async function writeLarge(
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

export const quick = { attempts: 3, sleep: async () => {} }

export async function openServed(dir: string, served: Served, options: OpenOptions = {}): Promise<Targets> {
  return openDataset(served.url, { cache: { dir: join(dir, '..', 'cache') }, retry: quick, ...options })
}

export async function serve(...args: Parameters<typeof serveDataset>): Promise<Served> {
  const served = await serveDataset(...args)
  onTestFinished(() => served.close())
  return served
}

export const newFolder = () => join(temporaryFolder(), 'targets')

export function expectSame(found: Chunk, expected: Chunk): void {
  expect(found.ids()).toEqual(expected.ids())
  expect(Buffer.compare(bytesOf(found.labels), bytesOf(expected.labels))).toBe(0)
  for (const [name, values] of Object.entries(expected.columns))
    expect(Buffer.compare(bytesOf(found.columns[name]!), bytesOf(values)), name).toBe(0)
}

const bytesOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView) => Buffer.from(buffer, byteOffset, byteLength)

export async function readOn(targets: Targets, options: Parameters<Targets['chunks']>[0]): Promise<Chunk[]> {
  const chunks: Chunk[] = []
  for await (const chunk of targets.chunks(options)) chunks.push(chunk)
  return chunks
}

/** Reads ranges and rows at random, at once, of a dataset of 120 rows, its store a folder, against the local reader. */
export async function compareReads(codec: CodecName, runs: number): Promise<void> {
  const dir = newFolder()
  await writeLarge(dir, { codec, rows: 120, perShard: 50 })
  const local = await openTargets(dir)
  const cache = openBlockCache({ dir: join(dir, '..', 'cache') })
  const range = fc.tuple(fc.nat(120), fc.nat(120)).map(([a, b]) => ({ from: Math.min(a, b), to: Math.max(a, b) }))
  const read = fc.record({ range, rows: fc.integer({ min: 1, max: 80 }), verify: fc.boolean() })
  await fc.assert(
    fc.asyncProperty(fc.array(read, { maxLength: 3 }), fc.array(fc.nat(119), { maxLength: 5 }), async (reads, rows) => {
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
    }),
    { numRuns: runs },
  )
  await local.close()
}

/** A dataset of two shards of 1 MB; what the local reader says of it. */
export async function makeSmall() {
  const dir = newFolder()
  await writeLarge(dir, { rows: 500, perShard: 250 })
  const local = await openTargets(dir)
  const expected = await local.load()
  await local.close()
  return { dir, expected, manifest: local.manifestSha256 }
}
