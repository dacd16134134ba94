import { cpSync, existsSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { openTargets, parseManifest } from '../../src/cache/index.js'
import { encodeModel, GraphBuilder } from '../../src/onnx/index.js'
import { openSource } from '../../src/source/index.js'
import { type ExportEvent, type ExportOptions, estimateExport, exportTargets } from '../../src/teacher/index.js'
import { hashFolder, temporaryFolder, withoutTime } from '../helpers/folder.js'
import { idxBytes, writeIdx } from '../helpers/idx.js'
import { linearLogits, writeLinearTeacher } from '../helpers/teachers.js'

const side = 4
const classes = 7

/** A source of `rows` 4×4 images and a one-layer teacher of 7 classes. */
async function fixture(rows = 1000) {
  const dir = temporaryFolder()
  const idx = writeIdx(dir, { rows, side, classes })
  const teacher = writeLinearTeacher(join(dir, 'teacher.onnx'), { side, classes })
  const source = await openSource(idx.images)
  onTestFinished(() => source.close())
  const out = join(dir, 'targets')
  const options: ExportOptions = { source, teacher: join(dir, 'teacher.onnx'), out, provider: 'cpu', batch: 64 }
  return { dir, idx, teacher, source, out, options }
}
describe('exporting targets', () => {
  it.each(['f32', 'f16'] as const)('writes the raw logits of every row in order, codec %s', async (codec) => {
    const { idx, teacher, out, options } = await fixture()
    await exportTargets({ ...options, codec })
    const targets = await openTargets(out)
    const all = await targets.load()
    expect(all.rows).toBe(1000)
    expect([...all.labels]).toEqual([...idx.labels])
    expect(all.ids().slice(0, 3)).toEqual(['0', '1', '2'])
    const worst = Array.from({ length: 1000 }, (_, row) => {
      const exact = linearLogits(teacher, idx.pixels.subarray(row * side * side, (row + 1) * side * side))
      return Math.max(...exact.map((z, c) => Math.abs(z - all.logits[row * classes + c]!)))
    })
    // f16 keeps 11 bits of the gap to the row's top logit: half an ulp of a gap below 8 is 2^-9
    expect(Math.max(...worst)).toBeLessThan(codec === 'f32' ? 1e-5 : 2 ** -8)
    await targets.close()
  })

  it('gives the same bytes in one run or in many, each stopped after a shard', async () => {
    const { dir, options } = await fixture(3000)
    const small = { ...options, shardMb: 0.02 }
    await exportTargets({ ...small, out: join(dir, 'one') })
    const expected = hashFolder(join(dir, 'one'), withoutTime)
    expect(Object.keys(expected).length).toBeGreaterThan(4)

    for (let run = 0; ; run++) {
      const controller = new AbortController()
      const stop = (event: ExportEvent) => event.type === 'shard' && controller.abort()
      const done = await exportTargets({
        ...small,
        out: join(dir, 'many'),
        signal: controller.signal,
        onEvent: stop,
      }).catch((error: Error) => {
        expect(error.message).toMatch(/^stopped: \d+ shards .* run the same command again to go on$/)
        return undefined
      })
      expect(run).toBeLessThan(50)
      if (done) break
    }
    expect(hashFolder(join(dir, 'many'), withoutTime)).toEqual(expected)
  })

  it('goes on where only the manifest was missing', async () => {
    const { dir, options } = await fixture(500)
    const small = { ...options, shardMb: 0.01, out: join(dir, 'last') }
    await exportTargets({ ...small, out: join(dir, 'one') })
    const stop = new AbortController()
    const onEvent = (event: ExportEvent) => event.type === 'shard' && stop.abort()
    await exportTargets({ ...small, signal: stop.signal, onEvent }).catch(() => {})
    // killed after the last shard, before the manifest: its journal lists every shard
    const manifest = parseManifest(readFileSync(join(dir, 'one', 'manifest.json'), 'utf8'))
    const [plan] = readFileSync(join(dir, 'last', 'journal.jsonl'), 'utf8').split('\n')
    cpSync(join(dir, 'one', 'data'), join(dir, 'last', 'data'), { recursive: true })
    const lines = manifest.shards.map((shard) => JSON.stringify({ shard, skipped: [] }))
    writeFileSync(join(dir, 'last', 'journal.jsonl'), `${[plan, ...lines].join('\n')}\n`)
    await exportTargets(small)
    expect(hashFolder(join(dir, 'last'), withoutTime)).toEqual(hashFolder(join(dir, 'one'), withoutTime))
  })

  it('says that a finished export is complete, and leaves it alone', async () => {
    const { out, options } = await fixture()
    await exportTargets(options)
    const before = hashFolder(out)
    const events: ExportEvent[] = []
    await exportTargets({ ...options, onEvent: (event) => events.push(event) })
    expect(events.at(-1)).toMatchObject({ type: 'complete', already: true, rows: 1000 })
    expect(hashFolder(out)).toEqual(before)
  })

  it('refuses the folder of another teacher with a diff, and leaves it alone', async () => {
    const { dir, out, options } = await fixture()
    await exportTargets(options)
    const before = hashFolder(out)
    writeLinearTeacher(join(dir, 'other.onnx'), { side, classes, seed: 1 })
    const error = await exportTargets({ ...options, teacher: join(dir, 'other.onnx') }).catch((e: Error) => e)
    expect(error).toMatchObject({ name: 'MismatchError', exitCode: 2 })
    expect((error as Error).message).toMatch(/teacher\.sha256.*[0-9a-f]{64}.*[0-9a-f]{64}/)
    expect(hashFolder(out)).toEqual(before)
  })

  it('measures the batch where none is given, and resumes with the batch it had', async () => {
    const { batch: _, ...options } = (await fixture()).options
    const controller = new AbortController()
    const events: ExportEvent[] = []
    const onEvent = (event: ExportEvent) => {
      events.push(event)
      if (event.type === 'shard') controller.abort()
    }
    await exportTargets({ ...options, shardMb: 0.01, signal: controller.signal, onEvent }).catch(() => {})
    await exportTargets({ ...options, shardMb: 0.01, onEvent })
    const batches = events.filter((event) => event.type === 'batch')
    expect(batches.map((event) => event.why)).toEqual(['measured', 'as before'])
    expect(batches[0]!.batch).toBe(batches[1]!.batch)
  })

  it('reports progress to the last row', async () => {
    const events: ExportEvent[] = []
    await exportTargets({ ...(await fixture()).options, onEvent: (event) => events.push(event) })
    expect(events.filter((event) => event.type === 'progress').at(-1)).toMatchObject({
      rows: 1000,
      total: 1000,
      secondsLeft: 0,
    })
  })
})

describe('an export that cannot be right', () => {
  it('names the row whose logits are not finite, and leaves nothing', async () => {
    const { dir, out, options } = await fixture()
    writeLinearTeacher(options.teacher, {
      side,
      classes,
      // log of a negative number for some rows
      extend: (graph, logits) =>
        graph.output('z', 'float32', ['N', classes], graph.node('Log', [graph.node('Add', [logits, graph.f32(1)])])),
    })
    await expect(exportTargets(options)).rejects.toThrow(/logits for sample '\d+' are not finite \(NaN or Inf\)/)
    expect(existsSync(out)).toBe(false)
    expect(existsSync(dir)).toBe(true)
  })

  it('leaves nothing either where the row comes after those that are looked at first', async () => {
    const { dir, options } = await fixture(3000)
    const pixels = new Uint8Array(3000 * side * side).fill(1)
    pixels.fill(0, 2000 * side * side, 2001 * side * side)
    writeFileSync(options.source.uri, idxBytes([3000, side, side], pixels))
    const source = await openSource(options.source.uri)
    onTestFinished(() => source.close())
    const graph = new GraphBuilder()
    const image = graph.input('image', 'float32', ['N', 1, side, side])
    const flat = graph.node('Reshape', [image, graph.i64([-1, side * side])])
    graph.output('z', 'float32', ['N', side * side], graph.node('Log', [flat])) // -Inf for a black pixel
    writeFileSync(options.teacher, encodeModel(graph.model({ name: 'log' })))
    const before = readdirSync(dir).sort()
    await expect(exportTargets({ ...options, source })).rejects.toThrow(/logits for sample '2000' are not finite/)
    expect(readdirSync(dir).sort()).toEqual(before)
    // and what is finished by then stays, for when the input is mended
    await expect(exportTargets({ ...options, source, shardMb: 0.01 })).rejects.toThrow(/sample '2000'/)
    expect(readdirSync(options.out).sort()).toEqual(['data', 'journal.jsonl'])
  })

  it('says that a file of rows, which the device reads, became shorter', async () => {
    const { idx, out, options } = await fixture()
    truncateSync(idx.images, 16 + 600 * side * side + 5)
    await expect(exportTargets(options)).rejects.toThrow(
      `${idx.images}: became shorter while it was in use: it ends at byte ${16 + 600 * side * side + 5}`,
    )
    expect(existsSync(out)).toBe(false)
  })

  it('refuses labels that the teacher does not have', async () => {
    const { dir, out, options } = await fixture()
    const idx = writeIdx(dir, { rows: 1000, side, classes: 8 })
    const source = await openSource(idx.images)
    onTestFinished(() => source.close())
    await expect(exportTargets({ ...options, source })).rejects.toThrow(
      /labels up to 7, the teacher .* has classes 0\.\.6/,
    )
    expect(existsSync(out)).toBe(false)
  })

  it('refuses names that are too few', async () => {
    const { idx, options, out } = await fixture()
    const source = await openSource(idx.images, { classes: { names: ['a', 'b'] } })
    onTestFinished(() => source.close())
    await expect(exportTargets({ ...options, source })).rejects.toThrow(/2 class names .*for 7 logits/)
    expect(existsSync(out)).toBe(false)
  })

  it('prints both shapes where the teacher does not take what the source has', async () => {
    const { options, out } = await fixture()
    writeLinearTeacher(options.teacher, { side: 6, classes })
    await expect(exportTargets(options)).rejects.toThrow(/teacher\.onnx: .*((6.*6.*4.*4)|(4.*4.*6.*6))/)
    expect(existsSync(out)).toBe(false)
  })

  it('says what provider cuda lacks and how to get it', async () => {
    const { options, out } = await fixture()
    await expect(exportTargets({ ...options, provider: 'cuda' })).rejects.toThrow(
      /libonnxruntime_providers_cuda\.so is missing.*ONNXRUNTIME_NODE_INSTALL=cuda12 node .*onnxruntime-node.script.install/,
    )
    expect(existsSync(out)).toBe(false)
  })
})

describe('a dry run', () => {
  it('estimates from real batches and writes nothing', async () => {
    const { out, options } = await fixture()
    const began = performance.now()
    const estimate = await estimateExport({ ...options, codec: 'f32' })
    const all = (performance.now() - began) / 1000
    expect(estimate).toMatchObject({ rows: 1000, classes, batch: 64, provider: 'cpu', shards: 1 })
    expect(estimate.bytes).toBe(estimate.bytesPerRow * 1000)
    const preparing = estimate.seconds - 1000 / estimate.rowsPerSecond
    expect(preparing).toBeGreaterThan(0)
    expect(preparing).toBeLessThan(all)
    expect(existsSync(out)).toBe(false)
  })

  it('refuses what an export refuses before its first byte: what a reader would not take, and the folder', async () => {
    const { dir, options } = await fixture(20)
    const graph = new GraphBuilder()
    const x = graph.input('x', 'float32', ['N', 1, side, side])
    graph.output('z'.repeat(1001), 'float32', ['N', 16], graph.node('Reshape', [x, graph.i64([-1, 16])]))
    const long = join(dir, 'long.onnx')
    writeFileSync(long, encodeModel(graph.model({ name: 'long' })))
    writeFileSync(join(dir, 'file'), '')
    const cases: [object, RegExp][] = [
      [{ teacher: long, logitsAre: 'logits' }, /plan: teacher.output: /],
      [{ out: join(dir, 'file') }, /file: expected a folder, found a file/],
      [{ out: dir }, /expected an empty folder or an export to continue, found/],
    ]
    for (const [change, message] of cases)
      for (const run of [estimateExport, exportTargets])
        await expect(run({ ...options, ...change })).rejects.toThrow(message)
    expect(existsSync(options.out)).toBe(false)
  })

  it('without a folder looks at none: what lies in the working directory is nothing to it', async () => {
    const { dir, options } = await fixture(20)
    await exportTargets({ ...options, codec: 'q8', out: join(dir, 'other') })
    const { out: _, ...rest } = options
    const before = process.cwd()
    onTestFinished(() => process.chdir(before))
    process.chdir(join(dir, 'other'))
    const { bytesPerRow } = await estimateExport({ ...rest, codec: 'auto', maxKl: 1 })
    process.chdir(dir)
    expect((await estimateExport({ ...rest, codec: 'auto', maxKl: 1 })).bytesPerRow).toBe(bytesPerRow)
  })
})
