import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { openTargets } from '../../src/cache/index.js'
import { openSource } from '../../src/source/index.js'
import { type ExportOptions, exportTargets } from '../../src/teacher/index.js'
import { temporaryFolder } from '../helpers/folder.js'
import { writeIdx } from '../helpers/idx.js'
import { linearLogits, writeLinearTeacher } from '../helpers/teachers.js'
import { missingWebgpu } from '../helpers/webgpu.js'

const side = 4
const classes = 7

async function fixture(extend?: Parameters<typeof writeLinearTeacher>[1]['extend']) {
  const dir = temporaryFolder()
  const idx = writeIdx(dir, { rows: 200, side, classes })
  const teacher = writeLinearTeacher(join(dir, 'teacher.onnx'), { side, classes, ...(extend && { extend }) })
  const source = await openSource(idx.images)
  onTestFinished(() => source.close())
  const out = join(dir, 'targets')
  const options: ExportOptions = { source, teacher: join(dir, 'teacher.onnx'), out, provider: 'webgpu', batch: 64 }
  return { idx, teacher, out, options }
}

/** The largest difference of two values at the same place. */
const furthest = (a: ArrayLike<number>, b: ArrayLike<number>) =>
  Math.max(...Array.from(a, (value, i) => Math.abs(value - b[i]!)))

describe.skipIf(missingWebgpu)('exporting targets on WebGPU', () => {
  it.each(['f32', 'f16'] as const)('writes the raw logits of every row in order, codec %s', async (codec) => {
    const { idx, teacher, out, options } = await fixture()
    const manifest = await exportTargets({ ...options, codec })
    expect(manifest.runtime.provider).toBe('webgpu')
    const targets = await openTargets(out)
    const { logits } = await targets.load()
    const worst = Array.from({ length: 200 }, (_, row) => {
      const exact = linearLogits(teacher, idx.pixels.subarray(row * side * side, (row + 1) * side * side))
      return Math.max(...exact.map((z, c) => Math.abs(z - logits[row * classes + c]!)))
    })
    expect(Math.max(...worst)).toBeLessThan(codec === 'f32' ? 1e-5 : 2 ** -8) // as on the processor
    await targets.close()
  })

  it.each(['q8', 'hybrid:32', 'topk:3', 'sampled:3'] as const)(
    'writes what a processor writes, codec %s',
    async (codec) => {
      const { out, options } = await fixture()
      const [here, there] = await Promise.all(
        (['cpu', 'webgpu'] as const).map(async (provider) => {
          const dir = `${out}-${provider}`
          const manifest = await exportTargets({ ...options, out: dir, provider, codec })
          expect(manifest.runtime.provider).toBe(provider)
          const targets = await openTargets(dir)
          onTestFinished(() => targets.close())
          return targets.load()
        }),
      )
      expect(there!.ids()).toEqual(here!.ids())
      expect(there!.labels).toEqual(here!.labels)
      if (codec === 'q8' || codec === 'hybrid:32') {
        // the logits differ in their last bits, which may move one to the next level: no more than the widest gap between levels
        const [a, b] = [here!.logits, there!.logits]
        const range = Math.max(...a) - Math.min(...a)
        expect(furthest(a, b)).toBeLessThan(codec === 'q8' ? (range * 2) / 255 : range / 4)
        expect(a.filter((z, i) => Math.abs(z - b[i]!) > 1e-4).length).toBeLessThan(a.length / 50)
        return
      }
      const [a, b] = [here!.buckets, there!.buckets]
      expect(b.index).toEqual(a.index)
      expect(b.count).toEqual(a.count)
      for (const name of ['logits', 'mean', 'std', 'labelLogit'] as const)
        expect(furthest(a[name]!, b[name]!)).toBeLessThan(2 ** -8)
      for (const temperature of [0.5, 1, 4, 20])
        expect(furthest(a.logTail(temperature), b.logTail(temperature))).toBeLessThan(1e-2)
    },
  )

  it('leaves arithmetic on shapes to the processor', async () => {
    const { options } = await fixture((graph, logits) => {
      const rows = graph.node('Gather', [graph.node('Shape', [logits]), graph.i64([0])], { axis: 0 })
      const shape = graph.node('Concat', [rows, graph.i64([-1])], { axis: 0 })
      graph.output('z', 'float32', ['N', classes], graph.node('Reshape', [logits, shape]))
    })
    expect((await exportTargets(options)).rows).toBe(200)
  })

  it('refuses a teacher with an operator that would run on the processor, and names it', async () => {
    const { options, out } = await fixture((graph, logits) => {
      graph.output('z', 'float32', ['N', classes], graph.node('Selu', [logits]))
    })
    await expect(exportTargets(options)).rejects.toThrow(
      /^provider webgpu, device 0: it has no kernel for the teacher's Selu \(.+\); use --provider cpu$/,
    )
    expect(existsSync(out)).toBe(false)
  })
})
