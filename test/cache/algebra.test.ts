import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import {
  convertTargets,
  createTargets,
  ensembleTargets,
  type Fidelity,
  type Manifest,
  measureFidelity,
  mergeTargets,
  openTargets,
  type Plan,
  type Rows,
  selectTargets,
  verifyTargets,
} from '../../src/cache/index.js'
import { MismatchError } from '../../src/errors.js'
import { temporaryFolder } from '../helpers/folder.js'
import { CREATED, exportRows, idOf, labelOf, logitsOf, makePlan, makeRows, writeTargets } from './datasets.js'

const shardsOf = ({ shards }: Manifest) => shards.map(({ sha256, rows }) => ({ sha256, rows }))
const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')
const hashManifest = async (dir: string) => sha256(await readFile(join(dir, 'manifest.json')))

async function readAll(dir: string) {
  const targets = await openTargets(dir)
  const all = await targets.load()
  await targets.close()
  return all
}

/** A folder with a dataset, and the name of a new one beside it. */
async function makeDataset(changes: Parameters<typeof makePlan>[0] = {}) {
  const root = temporaryFolder()
  const dir = join(root, 'targets')
  await writeTargets(dir, makePlan(changes))
  return { root, dir, out: join(root, 'out') }
}

/** The part of an export of source rows [from, to). */
async function writePart(
  dir: string,
  from: number,
  to: number,
  { fidelity, ...changes }: Partial<Plan> & { fidelity?: Fidelity } = {},
) {
  const plan = makePlan({ ...changes, source: { ...makePlan().source, range: { from, to } } })
  const writer = await createTargets(dir, plan)
  for (let row = from, shard = 0; row < to; row += plan.rowsPerShard, shard++) {
    await writer.beginShard(shard)
    await writer.append(makeRows(plan, row, Math.min(to, row + plan.rowsPerShard)))
    await writer.endShard()
  }
  return writer.finish({ created: CREATED, fidelity })
}

describe('merge', () => {
  test('keeps what is known of the codec: means by the rows of the parts, the worst of all', async () => {
    const root = temporaryFolder()
    const at = (mean: number, worst: number, tail: number | null): Fidelity => {
      const kl = { mean, worst }
      const tailError = tail === null ? null : { mean: tail, worst: tail }
      return { rows: 10, temperatures: [{ temperature: 4, klBuckets: kl, klClasses: kl, tailError }] }
    }
    await writePart(join(root, 'a'), 0, 25, { fidelity: at(0.5, 0.75, null) })
    await writePart(join(root, 'b'), 25, 100, { fidelity: at(0.25, 0.5, 0.01) })
    const { fidelity } = await mergeTargets([join(root, 'b'), join(root, 'a')], { out: join(root, 'out') })
    expect(fidelity).toEqual({ ...at(0.3125, 0.75, 0.01), rows: 20 })
    await writePart(join(root, 'unknown'), 25, 100)
    const partly = await mergeTargets([join(root, 'a'), join(root, 'unknown')], { out: join(root, 'partly') })
    expect(partly.fidelity).toBeUndefined()
  })

  test('of parts of an export gives the shards of the whole export, whatever their order', async () => {
    const { root, dir, out } = await makeDataset()
    const parts = [join(root, 'b'), join(root, 'a'), join(root, 'c')] as const
    await writePart(parts[0], 33, 60)
    await writePart(parts[1], 0, 33)
    await writePart(parts[2], 60, 100)
    const merged = await mergeTargets([...parts], { out })
    expect(shardsOf(merged)).toEqual(shardsOf((await openTargets(dir)).manifest))
    expect(merged.source.range).toBeUndefined()
    expect(merged.derived).toMatchObject({
      operation: 'merge',
      rows: 100,
      from: await Promise.all([parts[1], parts[0], parts[2]].map(hashManifest)),
      ancestors: [{ range: { from: 0, to: 33 } }, { range: { from: 33, to: 60 } }, { range: { from: 60, to: 100 } }],
    })
    expect(await verifyTargets(out)).toMatchObject({ rows: 100, problems: [], unchecked: [] })
  })

  test('of some parts is a part itself, and merges further', async () => {
    const root = temporaryFolder()
    const at = (name: string) => join(root, name)
    await writePart(at('a'), 0, 33)
    await writePart(at('b'), 33, 60)
    await writePart(at('c'), 60, 100)
    const half = await mergeTargets([at('a'), at('b')], { out: at('ab') })
    expect(half.source.range).toEqual({ from: 0, to: 60 })
    const whole = await mergeTargets([at('ab'), at('c')], { out: at('abc') })
    // Its parents first, then theirs: the chain is whole though the folders may be gone.
    expect(whole.derived!.ancestors.map(({ range }) => range!.from)).toEqual([0, 60, 0, 33])
    expect(whole.derived!.ancestors[0]!.derived).toMatchObject({ operation: 'merge' })
  })

  test.each([
    ['overlap', 0, 50, 40, 100, /source rows 40 to 50 are in both .*a and .*b/],
    ['leave a gap', 0, 40, 50, 100, /source rows 40 to 50 are in no part/],
  ])('refuses parts that %s', async (_, a, b, c, d, message) => {
    const root = temporaryFolder()
    const dirs = [join(root, 'a'), join(root, 'b')] as const
    await writePart(dirs[0], a, b)
    await writePart(dirs[1], c, d)
    await expect(mergeTargets([...dirs], { out: join(root, 'out') })).rejects.toThrow(message)
  })

  test('refuses parts of different exports, with a line for each difference', async () => {
    const root = temporaryFolder()
    const dirs = [join(root, 'a'), join(root, 'b')] as const
    await writePart(dirs[0], 0, 50)
    await writePart(dirs[1], 50, 100, { codec: 'f16', teacher: { ...makePlan().teacher, sha256: 'c'.repeat(64) } })
    const error = await mergeTargets([...dirs], { out: join(root, 'out') }).catch((error) => error)
    expect(error).toBeInstanceOf(MismatchError)
    expect(error.differences).toEqual([
      'codec: "f32" there, "f16" here',
      expect.stringMatching(/^teacher\.sha256: "a+" there, "c+" here$/),
    ])
  })
})

describe('convert', () => {
  test.each(['f16', 'q8', 'topk:2', 'sampled:2'] as const)(
    'from f32 to %s writes what an export with that codec writes',
    async (codec) => {
      const { root, dir, out } = await makeDataset()
      const converted = await convertTargets(dir, { codec, out })
      await writeTargets(
        join(root, 'direct'),
        makePlan({ codec, rowsPerShard: converted.rowsPerShard, rowsPerBatch: converted.rowsPerBatch }),
      )
      expect(shardsOf(converted)).toEqual(shardsOf((await openTargets(join(root, 'direct'))).manifest))
      expect(converted.derived).toMatchObject({ operation: 'convert', options: { codec }, rows: 100 })
      expect(converted.derived!.ancestors).toEqual([
        { manifest: await hashManifest(dir), rows: 100, codec: 'f32', teacher: 'a'.repeat(64) },
      ])
      expect(converted.fidelity).toMatchObject({ rows: 64 })
      expect(converted.derived!.from).toEqual([sha256(await readFile(join(dir, 'manifest.json')))])
    },
  )

  test('does not call two roundings exact: what an earlier codec lost is not measured away', async () => {
    const { root, dir, out } = await makeDataset()
    const q8 = await convertTargets(dir, { codec: 'q8', out })
    const back = await convertTargets(out, { codec: 'f32', out: join(root, 'back') })
    expect(back.fidelity).toEqual(q8.fidelity)
    expect((await convertTargets(out, { codec: 'f16', out: join(root, 'half') })).fidelity).toEqual(q8.fidelity)
    const twice = await convertTargets(out, { codec: 'hybrid:30', out: join(root, 'twice') })
    expect(twice.fidelity).toBeUndefined()
  })

  test('from f16, which keeps the logits to 1e-6, is measured as from f32', async () => {
    const { root, dir } = await makeDataset()
    const [half, of] = [join(root, 'half'), (name: string) => join(root, name)]
    const f16 = await convertTargets(dir, { codec: 'f16', out: half })
    const exact = await convertTargets(dir, { codec: 'topk:2', out: of('exact') })
    const rounded = await convertTargets(half, { codec: 'topk:2', out: of('rounded') })
    expect(rounded.fidelity!.rows).toBe(64)
    rounded.fidelity!.temperatures.forEach(({ klClasses }, i) => {
      expect(klClasses.mean).toBeCloseTo(exact.fidelity!.temperatures[i]!.klClasses.mean, 5)
    })
    expect((await convertTargets(half, { codec: 'f32', out: of('back') })).fidelity).toEqual(f16.fidelity)
  })

  test('measures sequences without their padding', async () => {
    const root = temporaryFolder()
    const plan = makePlan({ rows: 2, positions: 3 })
    const writer = await createTargets(join(root, 'sequences'), plan)
    await writer.beginShard(0)
    const logits = Float32Array.from([...logitsOf(0, 9), ...logitsOf(1, 9)])
    await writer.append({ ...makeRows(plan, 0, 2), logits, columns: { length: Int32Array.of(1, 2) } })
    await writer.endShard()
    await writer.finish({ created: CREATED })
    const { fidelity } = await convertTargets(join(root, 'sequences'), { codec: 'q8', out: join(root, 'q8') })
    const valid = Float32Array.from([...logits.subarray(0, 3), ...logits.subarray(9, 15)])
    expect(fidelity).toEqual(measureFidelity({ logits: valid, classes: 3, codec: 'q8' }))
  })

  test('of a codec that does not keep all classes is refused', async () => {
    const { dir, out } = await makeDataset({ codec: 'topk:2' })
    await expect(convertTargets(dir, { codec: 'f16', out })).rejects.toThrow(
      "codec topk:2 keeps some classes and the tail's mass: it cannot be converted",
    )
  })

  test('stops at a damaged shard; nothing is left behind', async () => {
    const { root, dir, out } = await makeDataset()
    const { readdir, writeFile } = await import('node:fs/promises')
    const path = join(dir, 'data/00001.arrow')
    const bytes = await readFile(path)
    bytes[500]! ^= 1
    await writeFile(path, bytes)
    await expect(convertTargets(dir, { codec: 'f16', out })).rejects.toThrow(/00001\.arrow: damaged or altered/)
    expect(await readdir(root)).toEqual(['targets'])
  })

  test('stopped, goes on at the next shard and ends with the same bytes', async () => {
    const { root, dir, out } = await makeDataset({ rows: 400 })
    const whole = await convertTargets(dir, { codec: 'f16', out: join(root, 'whole'), shardMb: 0.002 })
    expect(whole.shards.length).toBeGreaterThan(3)
    const stop = new AbortController()
    const stopped = convertTargets(dir, {
      codec: 'f16',
      out,
      shardMb: 0.002,
      signal: stop.signal,
      onProgress: ({ shards }) => shards === 2 && stop.abort(),
    })
    await expect(stopped).rejects.toThrow(/stopped: the first \d+ of 400 rows are safe/)
    const progress: number[] = []
    const resumed = await convertTargets(dir, {
      codec: 'f16',
      out,
      shardMb: 0.002,
      onProgress: ({ shards }) => progress.push(shards),
    })
    expect(progress[0]).toBe(3)
    expect(shardsOf(resumed)).toEqual(shardsOf(whole))
  })

  test('of a dataset that changed since the start is refused', async () => {
    const { dir, out } = await makeDataset({ rows: 400 })
    const stop = new AbortController()
    const options = { codec: 'f16', out, shardMb: 0.002, signal: stop.signal, onProgress: () => stop.abort() } as const
    await convertTargets(dir, options).catch(() => {})
    const { rm } = await import('node:fs/promises')
    await rm(dir, { recursive: true })
    await writeTargets(dir, makePlan({ rows: 400, license: 'other' }))
    await expect(convertTargets(dir, { codec: 'f16', out, shardMb: 0.002 })).rejects.toThrow(/derived\.from/)
  })
})

describe('select', () => {
  const rows = Array.from({ length: 100 }, (_, row) => row)

  test.each([
    ['ids', { ids: [idOf(99), idOf(3), idOf(42)] }, (row: number) => [3, 42, 99].includes(row)],
    ['labels', { labels: [0, 2] }, (row: number) => [0, 2].includes(labelOf(row, 3))],
    ['confidence', { confidence: { from: 0.9, to: 0.999 } }, (row: number) => within(confidence(row), 0.9, 0.999)],
    [
      'all of them',
      { labels: [1], confidence: { from: 0.5, to: 1 } },
      (row: number) => labelOf(row, 3) === 1 && confidence(row) >= 0.5,
    ],
  ])('by %s keeps just those rows, in their order', async (_, by, expected) => {
    const { dir, out } = await makeDataset()
    const selected = await selectTargets(dir, { ...by, out })
    const kept = rows.filter(expected)
    const all = await readAll(out)
    expect(all.ids()).toEqual(kept.map(idOf))
    expect([...all.labels]).toEqual(kept.map((row) => labelOf(row, 3)))
    expect([...all.logits]).toEqual(kept.flatMap((row) => logitsOf(row, 3)))
    expect(selected.derived).toMatchObject({ operation: 'select', rows: kept.length })
    expect(await verifyTargets(out)).toMatchObject({ problems: [] })
  })

  test.each(['topk:2', 'sampled:1'] as const)('by confidence of %s, whose tail weighs what it did', async (codec) => {
    const { root, dir, out } = await makeDataset()
    await convertTargets(dir, { codec, out: join(root, 'some') })
    const selected = await selectTargets(join(root, 'some'), { confidence: { from: 0.9, to: 1 }, out })
    expect((await readAll(out)).ids()).toEqual(rows.filter((row) => confidence(row) >= 0.9).map(idOf))
    expect(selected.fidelity).toMatchObject({ rows: 64 }) // what was measured of the whole
  })

  test('keeps all views of a sample, or none', async () => {
    const root = temporaryFolder()
    const [dir, out] = [join(root, 'a'), join(root, 'out')]
    const plan = makePlan({
      rows: 30,
      rowsPerShard: 10,
      views: { count: 2, parameters: ['left'], augment: { crop: 2 }, seed: 1 },
    })
    const writer = await createTargets(dir, plan)
    for (let shard = 0; shard < 3; shard++) {
      await writer.beginShard(shard)
      const given = makeRows(plan, shard * 20, shard * 20 + 20)
      const view = Int32Array.from({ length: 20 }, (_, i) => i % 2)
      await writer.append({ ...given, columns: { view, view_params: view.map((v, i) => 10 * i + v) } })
      await writer.endShard()
    }
    await writer.finish({ created: CREATED })
    const selected = await selectTargets(dir, { ids: [idOf(4), idOf(58)], out })
    expect(selected).toMatchObject({ rows: 4, derived: { rows: 4 } })
    expect((await readAll(out)).ids()).toEqual([4, 5, 58, 59].map(idOf))
    expect([...(await readAll(out)).columns.view_params!]).toEqual([40, 51, 180, 191])
  })

  test.each([
    [{}, 'expected ids, labels or a confidence'],
    [{ labels: [7] }, 'no row is as asked for'],
    [{ ids: [idOf(1), 'nobody'] }, "1 of 2 ids are not there, 'nobody' among them"],
  ])('%j is refused', async (by, message) => {
    const { dir, out } = await makeDataset()
    await expect(selectTargets(dir, { ...by, out })).rejects.toThrow(message)
  })

  const within = (p: number, from: number, to: number) => p >= from && p <= to
  function confidence(row: number): number {
    const p = logitsOf(row, 3).map(Math.exp)
    return Math.max(...p) / p.reduce((a, b) => a + b)
  }
})

describe('ensemble', () => {
  /** A second opinion on the same rows: logits of row + 1000. */
  async function makeTwo(changes: Partial<Plan> = {}) {
    const { root, dir, out } = await makeDataset()
    const other = join(root, 'other')
    const plan = makePlan({
      teacher: { ...makePlan().teacher, file: 'other.onnx', sha256: 'd'.repeat(64) },
      ...changes,
    })
    const writer = await createTargets(other, plan)
    for (let shard = 0; shard * 40 < 100; shard++) {
      await writer.beginShard(shard)
      const [from, to] = [shard * 40, Math.min(100, shard * 40 + 40)]
      const { logits } = makeRows(plan, from + 1000, to + 1000)
      await writer.append({ ...makeRows(plan, from, to), logits })
      await writer.endShard()
    }
    await writer.finish({ created: CREATED })
    return { dir, other, out }
  }

  test('weights count by what they are to each other, however large', async () => {
    const { dir, other, out } = await makeTwo()
    const manifest = await ensembleTargets([dir, other], { weights: [1e308, 1e308], out })
    expect(manifest.derived).toMatchObject({ options: { weights: [0.5, 0.5] } })
  })

  test('averages logits, weighted', async () => {
    const { dir, other, out } = await makeTwo()
    const manifest = await ensembleTargets([dir, other], { weights: [1, 3], out })
    const { logits } = await readAll(out)
    for (let row = 0; row < 100; row++) {
      const [a, b] = [logitsOf(row, 3), logitsOf(row + 1000, 3)]
      a.forEach((z, c) => void expect(logits[row * 3 + c]).toBeCloseTo(0.25 * z + 0.75 * b[c]!, 5))
    }
    expect(manifest.derived).toMatchObject({
      operation: 'ensemble',
      options: { space: 'logits', weights: [0.25, 0.75] },
      ancestors: [{ teacher: 'a'.repeat(64) }, { teacher: 'd'.repeat(64) }],
    })
    expect(manifest.fidelity!.temperatures.every(({ klClasses }) => klClasses.worst < 1e-12)).toBe(true) // f32
    const coarse = await ensembleTargets([dir, other], { weights: [1, 3], codec: 'q8', out: `${out}-q8` })
    expect(coarse.fidelity).toMatchObject({ rows: 64 })
    expect(coarse.fidelity!.temperatures.some(({ klClasses }) => klClasses.worst > 1e-7)).toBe(true)
    expect(manifest.teacher).toMatchObject({
      file: 'teacher.onnx + other.onnx',
      sha256: sha256(Buffer.from(`${'a'.repeat(64)}\n${'d'.repeat(64)}`)),
    })
  })

  test('averages probabilities and keeps their logarithm', async () => {
    const { dir, other, out } = await makeTwo()
    const manifest = await ensembleTargets([dir, other], { space: 'probabilities', out })
    const { logits } = await readAll(out)
    const softmax = (z: number[]) => {
      const e = z.map(Math.exp)
      return e.map((x) => x / e.reduce((a, b) => a + b))
    }
    for (let row = 0; row < 100; row++) {
      const [p, q] = [softmax(logitsOf(row, 3)), softmax(logitsOf(row + 1000, 3))]
      p.forEach((x, c) => void expect(Math.exp(logits[row * 3 + c]!)).toBeCloseTo((x + q[c]!) / 2, 6))
    }
    expect(manifest.teacher.logits).toBe('log of probabilities')
  })

  test('refuses other classes, other ids and weights that make no sense', async () => {
    const { dir, other, out } = await makeTwo({ names: ['a', 'b', 'c'] })
    const error = await ensembleTargets([dir, other], { out }).catch((error) => error)
    expect(error).toBeInstanceOf(MismatchError)
    expect(error.differences).toEqual(['names: null there, ["a","b","c"] here'])
    await expect(ensembleTargets([dir, other], { weights: [1], out })).rejects.toThrow('expected 2 weights')
    await expect(ensembleTargets([dir, other], { weights: [1, 0], out })).rejects.toThrow('numbers above 0')
    await expect(ensembleTargets([dir], { out })).rejects.toThrow('at least two')
    const shifted = join(dir, '../shifted')
    const plan = makePlan()
    const writer = await createTargets(shifted, plan)
    for (let shard = 0; shard * 40 < 100; shard++) {
      await writer.beginShard(shard)
      await writer.append(makeRows(plan, shard * 40 + 1, Math.min(100, shard * 40 + 40) + 1))
      await writer.endShard()
    }
    await writer.finish({ created: CREATED })
    await expect(ensembleTargets([dir, shifted], { out })).rejects.toThrow("row 0 has the id 'row/1', in")
  })

  test('refuses other labels and other lengths, with the row', async () => {
    const root = temporaryFolder()
    const write = async (name: string, changes: Partial<Plan>, alter: (rows: ReturnType<typeof makeRows>) => Rows) => {
      const plan = makePlan({ rows: 20, ...changes })
      const writer = await createTargets(join(root, name), plan)
      await writer.beginShard(0)
      await writer.append(alter(makeRows(plan, 0, 20)))
      await writer.endShard()
      await writer.finish({ created: CREATED })
      return join(root, name)
    }
    const out = join(root, 'out')
    const a = await write('a', {}, (rows) => rows)
    const b = await write('b', {}, (rows) => ({
      ...rows,
      labels: rows.labels.map((label, i) => (i === 13 ? 2 : label)),
    }))
    const c = await write('c', {}, (rows) => ({
      ...rows,
      labels: rows.labels.map((label, i) => (i === 5 ? -1 : label)),
    }))
    await expect(ensembleTargets([a, b], { out })).rejects.toThrow(
      /b: row 13 has the id 'row\/13' and the label 2, in .*a the label 1$/,
    )
    await expect(ensembleTargets([a, c], { out })).rejects.toThrow(
      /row 5 has the id 'row\/5' and no label, in .*a the label 2$/,
    )
    const sequence = (lengths: number[]) => (rows: ReturnType<typeof makeRows>) => ({
      ...rows,
      logits: new Float32Array(20 * 2 * 3),
      columns: { length: Int32Array.from(rows.labels, (_, i) => lengths[i] ?? 2) },
    })
    const d = await write('d', { positions: 2 }, sequence([2, 1]))
    const e = await write('e', { positions: 2 }, sequence([2, 2]))
    await expect(ensembleTargets([d, e], { out })).rejects.toThrow(
      /e: row 1 has the id 'row\/1' and 2 positions, in .*d 1$/,
    )
  })
})

test('many labels to select by are named by their hash, as ids are', async () => {
  const { dir, out } = await makeDataset()
  const labels = Array.from({ length: 20_000 }, (_, i) => i)
  const { derived, rows } = await selectTargets(dir, { labels, out })
  expect(rows).toBe(80)
  expect(derived!.options).toEqual({ labels: 20_000, labelsSha256: sha256(Buffer.from(labels.join('\n'))) })
})

test('rows that the export skipped stay listed through every operation', async () => {
  const root = temporaryFolder()
  const dir = join(root, 'targets')
  const plan = makePlan({ rows: 60, rowsPerShard: 20 })
  const writer = await createTargets(dir, plan)
  await writer.beginShard(0)
  const skipped = [{ id: idOf(0), reason: 'unreadable' }]
  await writer.append({ ...makeRows(plan, 1, 20), skipped })
  await writer.endShard()
  await exportRows(writer, plan)
  const converted = await convertTargets(dir, { codec: 'f16', out: join(root, 'f16') })
  const selected = await selectTargets(join(root, 'f16'), { labels: [1], out: join(root, 'some') })
  for (const { source } of [converted, selected]) expect(source.skipped).toEqual(skipped)
  expect(selected.derived!.ancestors.map(({ codec }) => codec)).toEqual(['f16', 'f32'])
})
