import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type CodecName, codecOf, halfValues, idColumn, openTargets, rowKeys } from '../../src/cache/index.js'
import { openSource } from '../../src/source/index.js'
import { type ExportEvent, exportTargets } from '../../src/teacher/index.js'
import { hashFolder, temporaryFolder, withoutTime } from '../helpers/folder.js'
import { writeIdx } from '../helpers/idx.js'
import { writeLinearTeacher } from '../helpers/teachers.js'

const [side, classes, rows] = [4, 40, 300]

async function fixture(opset?: number) {
  const dir = temporaryFolder()
  const idx = writeIdx(dir, { rows, side, classes })
  writeLinearTeacher(join(dir, 'teacher.onnx'), { side, classes, ...(opset !== undefined && { opset }) })
  const source = await openSource(idx.images)
  onTestFinished(() => source.close())
  const options = { source, teacher: join(dir, 'teacher.onnx'), provider: 'cpu', batch: 64, shardMb: 0.01 } as const
  return { dir, idx, options }
}

/** Columns as they lie in the dataset. */
async function load(dir: string) {
  const targets = await openTargets(dir)
  const all = await targets.load()
  await targets.close()
  return all
}

describe('what a codec loses', () => {
  it('is measured on random rows and said in the manifest', async () => {
    const { dir, options } = await fixture()
    for (const codec of ['f32', 'topk:4'] as const) {
      const { fidelity } = await exportTargets({ ...options, codec, out: join(dir, codec) })
      expect(fidelity!.rows).toBeGreaterThan(100)
      expect(fidelity!.temperatures.map(({ temperature }) => temperature)).toEqual([0.5, 1, 2, 4, 8, 20])
      for (const { klBuckets, klClasses, tailError } of fidelity!.temperatures) {
        expect(klBuckets.worst).toBeLessThan(codec === 'f32' ? 1e-12 : 1e-4)
        if (codec === 'f32') expect(tailError).toBeNull()
        else expect(klClasses.mean).toBeGreaterThan(klBuckets.mean)
      }
    }
  })

  it('chooses the smallest that holds, and stays with it where the export goes on', async () => {
    const { dir, options } = await fixture()
    const chosen = async (maxKl: number, out: string, signal?: AbortSignal) => {
      const events: ExportEvent[] = []
      const all = { ...options, codec: 'auto', maxKl, out: join(dir, out), ...(signal && { signal }) } as const
      const run = exportTargets({ ...all, onEvent: (event) => events.push(event) })
      await (signal ? expect(run).rejects.toThrow(/stopped/) : run)
      return events.find((event) => event.type === 'codec')!
    }
    const exact = await chosen(0, 'exact')
    expect(exact.codec).toBe('f32')
    expect(exact.trials.map(({ bytesPerRow }) => bytesPerRow)).toEqual(
      exact.trials.map(({ bytesPerRow }) => bytesPerRow).toSorted((a, b) => a - b),
    )
    const usual = await chosen(1e-3, 'usual')
    expect(['q8', 'hybrid:48', 'hybrid:51', 'hybrid:55']).toContain(usual.codec)
    expect(usual.trials.slice(0, -1).every(({ kl }) => kl > 1e-3)).toBe(true)
    expect(usual.trials.at(-1)!.kl).toBeLessThanOrEqual(1e-3)
    expect((await chosen(1e-5, 'stopped', AbortSignal.abort())).codec).toBe('f16')
    expect(await chosen(1, 'stopped')).toMatchObject({ codec: 'f16', trials: [] })
  })
})

describe('exporting with a codec', () => {
  it.each<[CodecName, number?]>([
    ['q8'],
    ['hybrid:48'],
    ['topk:4'],
    ['sampled:6'],
    ['topk:4', 10], // too old for the graph: the worker encodes
    ['sampled:6', 13],
  ])('%s keeps what the codec keeps of the raw logits', async (codec, opset) => {
    const { dir, idx, options } = await fixture(opset)
    await exportTargets({ ...options, codec: 'f32', out: join(dir, 'raw') })
    await exportTargets({ ...options, codec, out: join(dir, 'targets') })
    const { logits } = await load(join(dir, 'raw'))
    const { columns } = await load(join(dir, 'targets'))
    const keys = rowKeys({ ids: idColumn(Array.from({ length: rows }, (_, row) => String(row))) })
    const labels = Int32Array.from(idx.labels)
    const expected = codecOf(codec).encode({ logits, classes, labels, keys })
    expect(Object.keys(columns).sort()).toEqual(Object.keys(expected).sort())
    for (const { name, type } of codecOf(codec).columns({ classes, labelled: true })) {
      const worst = Array.from(expected[name]!).reduce((most, value, i) => {
        const found = columns[name]![i]!
        // test/onnx/emit-targets.test.ts holds graph and TypeScript equal more closely
        const [a, b] = type === 'float16' ? [halfValues[value]!, halfValues[found]!] : [value, found]
        return Math.max(most, Math.abs(a - b) / (1 + Math.abs(a)))
      }, 0)
      expect([name, worst]).toEqual([name, type.startsWith('float') ? expect.closeTo(0, 3) : 0])
    }
  })

  it('draws the same classes in one run or in many', async () => {
    const { dir, options } = await fixture()
    const manyShards = { ...options, codec: 'sampled:6', shardMb: 0.005 } as const
    await exportTargets({ ...manyShards, out: join(dir, 'one') })
    const controller = new AbortController()
    const onEvent = (event: ExportEvent) => event.type === 'shard' && controller.abort()
    const out = join(dir, 'two')
    await expect(exportTargets({ ...manyShards, out, signal: controller.signal, onEvent })).rejects.toThrow(/stopped/)
    await exportTargets({ ...manyShards, out })
    expect(hashFolder(out, withoutTime)).toEqual(hashFolder(join(dir, 'one'), withoutTime))
  })
})
