import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { mergeTargets, openTargets, selectTargets } from '../../src/cache/index.js'
import { FormatError } from '../../src/errors.js'
import { openSource, type Source, withViews } from '../../src/source/index.js'
import { type Dataset, loadDataset } from '../../src/student/dataset.js'
import { allocateInputs, createGather } from '../../src/student/inputs.js'
import { exportTargets, rerunTeacher } from '../../src/teacher/index.js'
import { temporaryFolder } from '../helpers/folder.js'
import { writeIdx } from '../helpers/idx.js'
import { writeLinearTeacher } from '../helpers/teachers.js'

// Targets that were made of others, or of a part of the source, joined with that source again: the reference is what was stored beside them.

const [ROWS, SIDE, CLASSES] = [40, 5, 4]

async function fixture(views: number) {
  const dir = temporaryFolder()
  const { images } = writeIdx(dir, { rows: ROWS, side: SIDE, classes: CLASSES })
  const teacher = join(dir, 'teacher.onnx')
  writeLinearTeacher(teacher, { side: SIDE, classes: CLASSES })
  const source = await openSource(images)
  onTestFinished(() => source.close())
  const rows = views === 1 ? source : withViews(source, { count: views, augment: 'crop:1,flip', seed: 3 })
  const write = async (name: string, range?: { from: number; to: number }) => {
    const out = join(dir, name)
    const options = { source: rows, teacher, out, provider: 'cpu', codec: 'f32', batch: 12, storeInputs: true } as const
    await exportTargets({ ...options, ...(range && { range }) })
    return out
  }
  return { dir, source, write }
}

async function joinBoth(dir: string, source: Source) {
  const targets = await openTargets(dir)
  onTestFinished(() => targets.close())
  return { joined: await loadDataset({ targets, source }), stored: await loadDataset({ targets }) }
}

/** All rows as a student is shown them. */
function inputsOf(dataset: Dataset) {
  const rows = Uint32Array.from({ length: dataset.rows }, (_, row) => row)
  const all = allocateInputs(dataset.input, dataset.rows)
  createGather(dataset)(rows, all)
  return all
}

async function expectJoined(dir: string, source: Source, { rows, samples }: { rows: number; samples: number }) {
  const { joined, stored } = await joinBoth(dir, source)
  expect(joined.rows).toBe(rows)
  expect(joined.inputs.values.length).toBe(samples * SIDE * SIDE)
  expect(inputsOf(joined)).toEqual(inputsOf(stored))
  expect({ ...joined, inputs: null }).toEqual({ ...stored, inputs: null })
}

describe.each([1, 3])('targets with %i views a sample are joined with their source', (V) => {
  it('where they are of a part of it', async () => {
    const { source, write } = await fixture(V)
    await expectJoined(await write('part', { from: 11, to: 29 }), source, { rows: 18 * V, samples: 18 })
  })

  it('where rows were selected', async () => {
    const { dir, source, write } = await fixture(V)
    const out = join(dir, 'some')
    await selectTargets(await write('all'), { ids: ['3', '4', '17', '39'], out })
    await expectJoined(out, source, { rows: 4 * V, samples: 4 })
  })

  it('where they were selected from a part and merged with another', async () => {
    const { dir, source, write } = await fixture(V)
    const out = join(dir, 'merged')
    await mergeTargets([await write('a', { from: 4, to: 16 }), await write('b', { from: 16, to: 28 })], { out })
    await expectJoined(out, source, { rows: 24 * V, samples: 24 })
    const few = join(dir, 'few')
    await selectTargets(out, { ids: ['5', '27'], out: few })
    await expectJoined(few, source, { rows: 2 * V, samples: 2 })
  })
})

it('refuses a derived dataset whose rows are in another order than the source', async () => {
  const { dir, source, write } = await fixture(1)
  const out = join(dir, 'some')
  await selectTargets(await write('all'), { ids: ['3', '17'], out })
  const swapped: Source = {
    ...source,
    async *batches() {
      yield await source.read(Array.from({ length: ROWS }, (_, i) => ROWS - 1 - i))
    },
  }
  await expect(joinBoth(out, swapped)).rejects.toThrow(FormatError)
  await expect(joinBoth(out, swapped)).rejects.toThrow(/ends before row 1 of the targets/)
})

it('refuses a source whose images are resized otherwise than for the export; what is stored is taken', async () => {
  const dir = temporaryFolder()
  const { images } = writeIdx(dir, { rows: 6, side: SIDE, classes: CLASSES })
  const teacher = join(dir, 'teacher.onnx')
  writeLinearTeacher(teacher, { side: 3, classes: CLASSES })
  const preprocess = { version: 1, resize: { width: 3, height: 3 } } as const
  const source = await openSource(images, { preprocess })
  onTestFinished(() => source.close())
  expect(source.decoder).toBe('decant resampling 1')
  const out = join(dir, 'targets')
  await exportTargets({ source, teacher, out, provider: 'cpu', codec: 'f32', storeInputs: true })
  const targets = await openTargets(out)
  onTestFinished(() => targets.close())
  expect((await loadDataset({ targets, source })).inputs.values).toEqual((await loadDataset({ targets })).inputs.values)
  for (const decoder of ['decant resampling 2', 'sharp 0.35.5, libvips 8.18.3', undefined])
    await expect(loadDataset({ targets, source: { ...source, decoder } })).rejects.toThrow(
      /its images were resized otherwise when .*targets was exported.*\n {2}resized by: decant resampling 1, found/,
    )
  await expect(
    rerunTeacher({ targets, teacher, source: { ...source, decoder: 'decant resampling 2' }, provider: 'cpu' }),
  ).rejects.toThrow(/its images were resized otherwise/)
})
