import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { idAt, idColumn, openTargets } from '../../src/cache/index.js'
import { FormatError, InterruptedError, MismatchError } from '../../src/errors.js'
import type { Batch, Source } from '../../src/source/index.js'
import { hashId, heldArrays, holdOut, loadDataset } from '../../src/student/dataset.js'
import { gather } from '../../src/student/gather.js'
import { teacherOf } from '../../src/student/targets.js'
import { type Example, labelOf, logitsOf, makeExample, pixelsOf } from './fixtures.js'

let example: Example
beforeAll(async () => {
  example = await makeExample(300)
})

describe('loadDataset', () => {
  it('joins every target with its image', () => {
    const { dataset } = example
    expect([dataset.rows, dataset.classes, dataset.input]).toEqual([300, 3, { kind: 'image', shape: [6, 6, 1] }])
    for (const row of [0, 1, 255, 256, 299]) {
      expect(dataset.inputs.values.slice(36 * row, 36 * (row + 1))).toEqual(pixelsOf(row))
      expect(Array.from(teacherOf(dataset.targets, Uint32Array.of(row)) as Float32Array)).toEqual(logitsOf(row))
      expect(dataset.labels[row]).toBe(labelOf(row))
    }
  })

  it("takes the normalisation from the manifest's preprocessing", () => {
    expect(example.dataset.normalisation!.multiply[0]).toBeCloseTo(1 / 255 / 0.2, 6)
    expect(example.dataset.normalisation!.add[0]).toBeCloseTo(-0.3 / 0.2, 6)
  })

  it('puts the tables into shared memory for workers', async () => {
    const dataset = await loadDataset({ ...example, shared: true })
    const { inputs, targets, labels, samples, hashes } = dataset
    for (const { buffer } of [inputs.values, samples, targets.columns[0]!.values, labels, hashes])
      expect(buffer).toBeInstanceOf(SharedArrayBuffer)
    expect(dataset.targets).toEqual(example.dataset.targets)
  })

  it('takes the memory that it says, an array a column', () => {
    const { inputs, labels, targets } = example.dataset
    const held = [inputs.values, labels, ...targets.columns.map(({ values }) => values)]
    expect(heldArrays(example.targets.manifest, example.dataset.input).map(({ bytes }) => bytes)).toEqual(
      held.map(({ byteLength }) => byteLength),
    )
  })

  it('of topk takes what it keeps: 2,200 sequences of 16 positions and 32,000 tokens are some megabytes', () => {
    const [rows, positions, k] = [2200, 16, 8]
    const manifest = { ...example.targets.manifest, rows, positions, classes: 32_000, codec: `topk:${k}` } as const
    const held = heldArrays(manifest, { kind: 'tokens', shape: [positions] })
    const bytesOf = (name: string) => held.find((array) => array.name === name)!.bytes
    expect(bytesOf('inputs')).toBe(rows * positions * 4)
    expect(bytesOf("targets' index")).toBe(rows * positions * k * 2)
    expect(Math.max(...held.map(({ bytes }) => bytes))).toBe(rows * positions * 15 * 2) // the tail
  })

  it('refuses another source, naming both fingerprints', async () => {
    const other = await makeExample(299)
    const error = await loadDataset({ targets: example.targets, source: other.source }).catch((e: unknown) => e)
    expect(error).toBeInstanceOf(MismatchError)
    expect((error as Error).message).toContain(example.source.fingerprint)
    expect((error as Error).message).toContain(other.source.fingerprint)
  })

  it('stops when it is told to, as an interruption and not as a bug', async () => {
    await expect(loadDataset({ ...example, signal: AbortSignal.abort() })).rejects.toThrow(InterruptedError)
  })

  it('refuses a source whose rows come in another order', async () => {
    const swapped: Source = { ...example.source, batches: (options) => reversed(example.source.batches(options)) }
    await expect(loadDataset({ targets: example.targets, source: swapped })).rejects.toThrow(
      /row 0 has the id '0', the source's row has '255'/,
    )
  })

  it('refuses a shard whose bytes are not those that were written', async () => {
    const { dir, source } = await makeExample(10)
    const path = join(dir, 'targets/data/00000.arrow')
    const bytes = await readFile(path)
    bytes[bytes.indexOf(Buffer.from(Float32Array.from(logitsOf(0)).buffer))]! ^= 1
    await writeFile(path, bytes)
    const targets = await openTargets(join(dir, 'targets')) // a shard is checked once an open
    onTestFinished(() => targets.close())
    await expect(loadDataset({ targets, source })).rejects.toThrow(/00000\.arrow: damaged or altered: expected SHA-256/)
  })

  it('leaves out the rows that the export left out', async () => {
    const { source, targets } = example
    const manifest = structuredClone(targets.manifest)
    manifest.source.skipped = [{ id: '2', reason: 'unreadable' }]
    const rows = [0, 1, 3, 4]
    const part = {
      ...targets,
      manifest,
      rows: rows.length,
      async *chunks() {
        const logits = Float32Array.from(rows.flatMap(logitsOf))
        const labels = Int32Array.from(rows, labelOf)
        yield { first: 0, rows: 4, labels, columns: { logits }, idAt: (i: number) => String(rows[i]) }
      },
    } as unknown as typeof targets
    const skipping: Source = { ...source, batches: () => pick(source, rows) }
    const dataset = await loadDataset({ targets: part, source: skipping })
    expect(dataset.inputs.values).toEqual(new Uint8Array(Buffer.concat(rows.map(pixelsOf))))
    await expect(
      loadDataset({ targets: part, source: { ...source, batches: () => pick(source, [0, 1, 3]) } }),
    ).rejects.toThrow(FormatError)
  })
})

async function* reversed(batches: AsyncIterable<Batch>): AsyncIterable<Batch> {
  for await (const batch of batches) {
    const ids = Array.from({ length: batch.rows }, (_, i) => idAt(batch.ids, i))
    yield { ...batch, ids: idColumn(ids.reverse()) }
  }
}

async function* pick(source: Source, rows: number[]): AsyncIterable<Batch> {
  yield await source.read(rows)
}

describe('holdOut', () => {
  it('splits by id alone: a row stays on its side when others are added', async () => {
    const { dataset } = example
    const { train, held } = holdOut(dataset, 0.2)
    expect(train.length + held.length).toBe(300)
    expect(held.length).toBeGreaterThan(30)
    expect(held.length).toBeLessThan(90)
    const more = holdOut((await makeExample(400)).dataset, 0.2)
    expect(more.held.filter((row) => row < 300)).toEqual(held)
  })

  it('holds out nothing at 0 and everything at 1', () => {
    expect(holdOut(example.dataset, 0).held).toHaveLength(0)
    expect(holdOut(example.dataset, 1).train).toHaveLength(0)
  })

  it('hashes ids that differ in their last digit far apart', () => {
    const shares = Array.from({ length: 10_000 }, (_, i) => hashId(String(i)) / 2 ** 32)
    for (const share of [0.01, 0.1, 0.5]) {
      const found = shares.filter((x) => x < share).length / shares.length
      expect(Math.abs(found - share)).toBeLessThan(4 * Math.sqrt((share * (1 - share)) / shares.length))
    }
  })
})

it('gather copies rows in the order asked for', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5 }), fc.array(fc.integer({ min: 0, max: 9 })), (width, rows) => {
      const table = Float32Array.from({ length: 10 * width }, (_, i) => i)
      const into = new Float32Array(rows.length * width)
      gather(table, { width, rows: Uint32Array.from(rows), into })
      expect(Array.from(into)).toEqual(rows.flatMap((row) => Array.from(table.slice(row * width, (row + 1) * width))))
    }),
  )
})
