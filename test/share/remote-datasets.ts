import { join } from 'node:path'
import { expect, onTestFinished } from 'vitest'
import { type Chunk, type CodecName, createTargets, idColumn, type Targets } from '../../src/cache/index.js'
import { type OpenOptions, openDataset } from '../../src/share/open-dataset.js'
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
