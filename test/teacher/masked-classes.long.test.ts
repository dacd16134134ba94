import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type CodecName, openTargets } from '../../src/cache/index.js'
import { encodeModel, GraphBuilder } from '../../src/onnx/index.js'
import { random } from '../../src/random.js'
import { exportTargets, rerunTeacher } from '../../src/teacher/index.js'
import { temporaryFolder } from '../helpers/folder.js'
import { sourceOf } from '../helpers/sources.js'

const [rows, classes] = [40, 6]
const { normal, below } = random('masking teacher')
const features = Float32Array.from({ length: rows * classes }, () => normal())
/** A class of each row that is masked, with a bit that the source gives. */
const mask = Float32Array.from({ length: rows * classes }, (_, i) => (i % classes === below(classes) ? 1 : 0))

/** A teacher whose logits are its features, and `masked` where the source says so. */
function setUp({ masked, all = -1 }: { masked: number; all?: number }) {
  const dir = temporaryFolder()
  const g = new GraphBuilder()
  const x = g.input('x', 'float32', ['N', 2 * classes])
  const part = (from: number) => g.node('Slice', [x, g.i64([from]), g.i64([from + classes]), g.i64([1])])
  const isMasked = g.node('Greater', [part(classes), g.f32(0)])
  g.output('z', 'float32', ['N', classes], g.node('Where', [isMasked, g.f32(masked), part(0)]))
  const teacher = join(dir, 'teacher.onnx')
  writeFileSync(teacher, encodeModel(g.model({ name: 'masking' })))
  const values = Float32Array.from({ length: rows * 2 * classes }, (_, i) => {
    const [row, c] = [Math.floor(i / (2 * classes)), i % (2 * classes)]
    return c < classes ? features[row * classes + c]! : row === all ? 1 : mask[row * classes + c - classes]!
  })
  const source = sourceOf({ kind: 'features', dtype: 'float32', shape: [2 * classes] }, values)
  return { dir, options: { source, teacher, out: join(dir, 'targets'), provider: 'cpu', batch: 8 } as const }
}

const masks = [Number.NEGATIVE_INFINITY, Math.fround(-3.4028234663852886e38)]

describe.each(masks)('a teacher that masks classes with %d', (masked) => {
  it.each<CodecName>(['f32', 'f16', 'topk:4', 'sampled:9'])(
    'is exported with codec %s, and says the same again',
    async (codec) => {
      const { options } = setUp({ masked })
      const manifest = await exportTargets({ ...options, codec })
      expect(manifest.fidelity!.temperatures.every(({ klBuckets }) => klBuckets.worst < 1e-3)).toBe(true)
      const targets = await openTargets(options.out)
      onTestFinished(() => targets.close())
      for await (const chunk of targets.chunks({ verify: true })) {
        const { shift } = chunk.columns
        const kept = codec.includes(':') ? chunk.buckets : undefined
        const k = kept?.k ?? classes
        const logits = kept?.logits ?? chunk.logits
        logits.forEach((z, i) => {
          const row = Math.floor(i / k)
          const c = kept ? kept.index[i]! : i % classes
          const present = [...features.subarray(row * classes, (row + 1) * classes)].filter(
            (_, j) => !mask[row * classes + j],
          )
          const top = Math.max(...present)
          if (shift) expect(shift[row]).toBe(top)
          if (mask[row * classes + c]) expect(Math.abs(top - z - 65504)).toBeLessThan(0.01)
          else expect(Math.abs(z - features[row * classes + c]!)).toBeLessThan(5e-3)
        })
      }
      expect(
        await rerunTeacher({ targets, source: options.source, teacher: options.teacher, provider: 'cpu' }),
      ).toMatchObject({
        within: true,
        agreement: 1,
      })
    },
  )

  it.each<CodecName>(['q8', 'hybrid:40'])('is refused with codec %s before anything is written', async (codec) => {
    const { options } = setUp({ masked })
    await expect(exportTargets({ ...options, codec })).rejects.toThrow(/cannot keep a class that is masked/)
    expect(existsSync(options.out)).toBe(false)
  })

  it('is refused at a row whose classes it masks all', async () => {
    const { options } = setUp({ masked, all: 30 })
    await expect(exportTargets({ ...options, codec: 'f16' })).rejects.toThrow(
      "the teacher's logits for sample '30' are not finite (-Inf), or as good as that: expected a class that is not masked",
    )
  })
})

it('codec auto takes one that keeps masked classes', async () => {
  const { options } = setUp({ masked: Number.NEGATIVE_INFINITY })
  expect((await exportTargets({ ...options, codec: 'auto', maxKl: 0.1 })).codec).toBe('f16')
})
