import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { openTargets } from '../../src/cache/index.js'
import { openSource, type Preprocess } from '../../src/source/index.js'
import { openInputs } from '../../src/student/row-inputs.js'
import { type ExportOptions, exportTargets, rerunTeacher } from '../../src/teacher/index.js'
import { sourceRowInputs } from '../../src/viewer/row-inputs.js'
import { temporaryFolder } from '../helpers/folder.js'
import { writeIdx } from '../helpers/idx.js'
import { linearLogits, writeLinearTeacher } from '../helpers/teachers.js'

const [rows, side, classes] = [40, 4, 5]
const declared: Preprocess = { version: 1, crop: { width: side, height: side }, mean: [0.4], std: [0.25] }

/** Images of 6×6 whose middle a teacher of 4×4 is given, normalised. */
function setUp() {
  const dir = temporaryFolder()
  const idx = writeIdx(dir, { rows, side: side + 2, classes })
  const path = join(dir, 'teacher.onnx')
  const open = async (preprocess?: Preprocess) => {
    const source = await openSource(idx.images, preprocess ? { preprocess } : {})
    onTestFinished(() => source.close())
    return source
  }
  return { dir, idx, open, path, teacher: writeLinearTeacher(path, { side, classes }) }
}

async function exported() {
  const { dir, open, path, ...rest } = setUp()
  const source = await open(declared)
  const options: ExportOptions = { source, teacher: path, out: join(dir, 'targets'), codec: 'f32', provider: 'cpu' }
  const manifest = await exportTargets(options)
  const targets = await openTargets(options.out)
  onTestFinished(() => targets.close())
  return { ...rest, options, manifest, targets, open, source }
}

describe('the preprocessing of an export', () => {
  it("is the source's: it is applied, written into the manifest, and the teacher says the same again", async () => {
    const { idx, teacher, manifest, targets, source, options } = await exported()
    expect(manifest.preprocess).toEqual(declared)
    const { logits } = await targets.load()
    const whole = side + 2
    for (let row = 0; row < rows; row++) {
      const image = idx.pixels.subarray(row * whole ** 2, (row + 1) * whole ** 2)
      const middle = Array.from({ length: side ** 2 }, (_, i) => {
        const pixel = image[(1 + Math.floor(i / side)) * whole + 1 + (i % side)]!
        return (255 * (pixel / 255 - 0.4)) / 0.25 // which linearLogits divides by 255
      })
      for (const [c, z] of linearLogits(teacher, middle).entries()) expect(logits[row * classes + c]).toBeCloseTo(z, 4)
    }
    expect(await rerunTeacher({ targets, source, teacher: options.teacher, provider: 'cpu' })).toMatchObject({
      within: true,
    })
  })

  it('cannot be given to the export beside the source', async () => {
    const { dir, open, path } = setUp()
    const options = { source: await open(), teacher: path, out: join(dir, 'targets'), preprocess: declared }
    await expect(exportTargets(options)).rejects.toThrow('preprocess is an option of openSource')
  })

  it.each<[string, Preprocess | undefined, RegExp]>([
    ['none', undefined, /preprocess.crop: \{"width":4,"height":4\}, found absent/],
    ['another size', { ...declared, crop: { width: 5, height: 4 } }, /crop: .*, found \{"width":5,"height":4\}/],
    ['another colour', { ...declared, color: 'rgb' }, /preprocess.color: absent, found "rgb"/],
  ])('is held against the one that the source is opened with afterwards: %s', async (_, preprocess, message) => {
    const { targets, open, options } = await exported()
    const source = await open(preprocess)
    const refused = [
      () => rerunTeacher({ targets, source, teacher: options.teacher, provider: 'cpu' }),
      async () => openInputs({ targets, source, shared: false }),
      async () => sourceRowInputs(targets, source),
    ]
    for (const use of refused) {
      const error = await use().then(
        () => undefined,
        (error: Error) => error,
      )
      expect(error?.message).toMatch(/ was opened with another preprocessing than .*targets was exported with/)
      expect(error?.message).toMatch(message)
    }
  })

  it('is recorded: what a teacher is fed when it runs again comes from the manifest', async () => {
    const { targets, open, options } = await exported()
    const { mean: _, ...rows } = declared
    const source = await open(rows)
    expect(await rerunTeacher({ targets, source, teacher: options.teacher, provider: 'cpu' })).toMatchObject({
      within: true,
    })
  })
})
