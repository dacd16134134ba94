import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type Columns, createTargets, idColumn, openTargets, type Targets } from '../../src/cache/index.js'
import { openEngine } from '../../src/engine/engine.js'
import { FormatError } from '../../src/errors.js'
import { openSource, type Source, withViews } from '../../src/source/index.js'
import { applyView, drawView, parseAugment } from '../../src/source/views/index.js'
import { type Dataset, holdOut, loadDataset } from '../../src/student/dataset.js'
import { allocateInputs, createGather } from '../../src/student/inputs.js'
import { trainOnDataset } from '../../src/student/train.js'
import { type ExportEvent, type ExportOptions, exportTargets, rerunTeacher } from '../../src/teacher/index.js'
import { hashFolder, temporaryFolder, withoutTime } from '../helpers/folder.js'
import { writeIdx } from '../helpers/idx.js'
import { linearLogits, writeLinearTeacher } from '../helpers/teachers.js'

// From the teacher's export of views to the student that is shown the same ones.

const [SIDE, CLASSES, V] = [5, 4, 3]
const BYTES = SIDE * SIDE
const AUGMENT = 'crop:1,flip,jitter:0.4'

async function samples(rows: number) {
  const dir = temporaryFolder()
  const { images, pixels } = writeIdx(dir, { rows, side: SIDE, classes: CLASSES })
  const teacher = writeLinearTeacher(join(dir, 'teacher.onnx'), { side: SIDE, classes: CLASSES })
  const source = await openSource(images)
  onTestFinished(() => source.close())
  const views = withViews(source, { count: V, augment: AUGMENT, seed: 9 })
  const options = {
    source: views,
    teacher: join(dir, 'teacher.onnx'),
    provider: 'cpu',
    codec: 'f32',
    batch: 12,
  } as const
  return { dir, pixels, teacher, source, options }
}
async function open(dir: string): Promise<Targets> {
  const targets = await openTargets(dir)
  onTestFinished(() => targets.close())
  return targets
}
/** All rows as a student is shown them. */
function inputsOf(dataset: Dataset) {
  const all = allocateInputs(dataset.input, dataset.rows)
  createGather(dataset)(
    Uint32Array.from({ length: dataset.rows }, (_, row) => row),
    all,
  )
  return all
}

describe('views, from export to student', () => {
  it('stores what the teacher says of each view, and what made it', async () => {
    const { dir, pixels, teacher, options } = await samples(20)
    const manifest = await exportTargets({ ...options, out: join(dir, 'targets') })
    expect(manifest).toMatchObject({ rows: 60, source: { rows: 20 }, runtime: { batch: 12 } })
    expect(manifest.views).toEqual({
      count: V,
      parameters: ['crop.x', 'crop.y', 'flip.flipped', 'jitter.brightness', 'jitter.contrast', 'jitter.saturation'],
      augment: { pipeline: 1, list: 'crop:1,flip,jitter:0.4:0:0' },
      seed: 9,
    })
    const all = await (await open(join(dir, 'targets'))).load()
    const { columns, logits } = all
    const pipeline = parseAugment(AUGMENT, [SIDE, SIDE, 1])
    for (let row = 0; row < 60; row++) {
      const [sample, view] = [Math.floor(row / V), row % V]
      const p = drawView(pipeline, { seed: 9, id: String(sample), view })
      expect([columns.view![row], ...columns.view_params!.slice(6 * row, 6 * row + 6)]).toEqual([view, ...p])
      const seen = applyView(pipeline, pixels.subarray(sample * BYTES, (sample + 1) * BYTES), p)
      for (const [c, z] of linearLogits(teacher, seen).entries()) expect(logits[row * CLASSES + c]).toBeCloseTo(z, 4)
    }
    expect(all.ids().slice(0, 4)).toEqual(['0', '0', '0', '1'])
  })

  it('a student trained from replayed views is the student trained from stored inputs, bit for bit', async () => {
    const { dir, source, options } = await samples(40)
    const out = join(dir, 'targets')
    await exportTargets({ ...options, out, storeInputs: true })
    const targets = await open(out)
    const replayed = await loadDataset({ targets, source })
    const stored = await loadDataset({ targets })
    expect(inputsOf(replayed)).toEqual(inputsOf(stored))
    expect(replayed.inputs.values.length).toBe(40 * BYTES)
    expect(stored.inputs.values.length).toBe(40 * V * BYTES)
    const engine = await openEngine('onnx')
    const train = async (dataset: typeof stored) => {
      const { model } = await trainOnDataset({ dataset, engine, student: 'mlp:8', epochs: 2, batch: 16, holdout: 0.2 })
      return model.getWeights().map((weight) => Array.from(weight.dataSync()))
    }
    expect(await train(replayed)).toEqual(await train(stored))
    await engine.dispose()
  })

  it('stopped after any shard and run again, it writes the same bytes', async () => {
    const { dir, options } = await samples(50)
    const small: Omit<ExportOptions, 'out'> = { ...options, shardMb: 0.002, storeInputs: true }
    await exportTargets({ ...small, out: join(dir, 'one') })
    const expected = hashFolder(join(dir, 'one'), withoutTime)
    expect(Object.keys(expected).length).toBeGreaterThan(4)
    for (let done = false; !done; ) {
      const controller = new AbortController()
      const onEvent = (event: ExportEvent) => event.type === 'shard' && controller.abort()
      done = await exportTargets({ ...small, out: join(dir, 'many'), signal: controller.signal, onEvent }).then(
        () => true,
        (error: Error) => {
          expect(error.message).toMatch(/^stopped: /)
          return false
        },
      )
    }
    expect(hashFolder(join(dir, 'many'), withoutTime)).toEqual(expected)
  })

  it('leaves out all views of a sample that cannot be read, and replays the others', async () => {
    const { dir, source, options } = await samples(10)
    const lacking: Source = {
      ...source,
      async *batches({ from = 0, to = 10, size }) {
        for (let first = from; first < to; first += size) {
          const rows = Array.from({ length: Math.min(size, to - first) }, (_, i) => first + i)
          const skipped = rows.filter((row) => row % 4 === 1).map((row) => ({ id: String(row), reason: 'unreadable' }))
          yield { ...(await source.read(rows.filter((row) => row % 4 !== 1))), first, skipped }
        }
      },
    }
    const out = join(dir, 'targets')
    const views = withViews(lacking, { count: V, augment: AUGMENT })
    const manifest = await exportTargets({ ...options, source: views, out, storeInputs: true, onError: 'skip' })
    expect(manifest.rows).toBe(7 * V)
    expect(manifest.source.skipped.map(({ id }) => id)).toEqual(['1', '5', '9'])
    const targets = await open(out)
    const [replayed, stored] = [await loadDataset({ targets, source: lacking }), await loadDataset({ targets })]
    expect(inputsOf(replayed)).toEqual(inputsOf(stored))
    expect({ ...replayed, inputs: null }).toEqual({ ...stored, inputs: null })
  })

  it('keeps the views of a sample together when rows are held out', async () => {
    const { dir, options } = await samples(60)
    await exportTargets({ ...options, out: join(dir, 'targets'), storeInputs: true })
    const { held, train } = holdOut(await loadDataset({ targets: await open(join(dir, 'targets')) }), 0.3)
    const samplesOf = (rows: Uint32Array) => new Set(Array.from(rows, (row) => Math.floor(row / V)))
    expect(held.length).toBe(samplesOf(held).size * V)
    expect(train.length).toBe(samplesOf(train).size * V)
    expect(held.length).toBeGreaterThan(0)
  })

  it('runs the teacher again on the very views', async () => {
    const { dir, source, options } = await samples(12)
    await exportTargets({ ...options, out: join(dir, 'targets') })
    const targets = await open(join(dir, 'targets'))
    const rerun = await rerunTeacher({ targets, source, teacher: options.teacher, provider: 'cpu', rows: 20 })
    expect(rerun).toMatchObject({ rows: 20, agreement: 1, within: true })
    expect(rerun.maxDifference).toBeLessThan(1e-5)
  })

  it('needs a source where no inputs are stored, and says so', async () => {
    const { dir, options } = await samples(4)
    await exportTargets({ ...options, out: join(dir, 'targets') })
    await expect(loadDataset({ targets: await open(join(dir, 'targets')) })).rejects.toThrow(
      /targets: the students' inputs are not stored in it \(--store-inputs\): a source is needed/,
    )
  })
})

describe('views from others', () => {
  /** A dataset of two samples and two views each, with `columns` or `views` of the caller's. */
  async function dataset(source: Source, change: { views?: object; columns?: Columns }) {
    const out = join(temporaryFolder(), 'targets')
    const writer = await createTargets(out, {
      classes: 2,
      names: null,
      codec: 'f32',
      rowsPerShard: 2,
      rowsPerBatch: 4,
      teacher: { file: 't.onnx', sha256: 'a'.repeat(64), opset: 18, output: 'y', logits: 'logits', producer: '' },
      source: { uri: source.uri, kind: 'idx', fingerprint: source.fingerprint, rows: 2 },
      preprocess: null,
      runtime: { decant: '0', onnxruntime: '0', provider: 'cpu', precision: 'f32', batch: 2 },
      license: null,
      views: {
        count: 2,
        parameters: ['crop.x', 'crop.y'],
        augment: { pipeline: 1, list: 'crop:2' },
        seed: 0,
        ...change.views,
      },
    })
    await writer.beginShard(0)
    await writer.append({
      rows: 4,
      ids: idColumn(['0', '0', '1', '1']),
      labels: new Int32Array(4),
      logits: new Float32Array(8),
      columns: {
        view: Int32Array.of(0, 1, 0, 1),
        view_params: Int32Array.of(0, 1, 2, 3, 4, 0, 1, 2),
        ...change.columns,
      },
    })
    await writer.endShard()
    await writer.finish({ created: '2025-01-01T00:00:00.000Z' })
    return open(out)
  }

  it.each([
    [
      { columns: { view_params: Int32Array.of(0, 1, 2, 3, 4, 5, 1, 2) } },
      /targets: row 2 \('1', view 0\): crop\.y: expected 0 to 4, found 5$/,
    ],
    [
      { columns: { view_params: Int32Array.of(0, 1, 2, -1, 4, 0, 1, 2) } },
      /targets: row 1 \('0', view 1\): crop\.y: expected 0 to 4, found -1$/,
    ],
    [{ columns: { view: Int32Array.of(0, 1, 1, 1) } }, /targets: row 2 \('1', view 1\): expected view 0$/],
    [
      { views: { augment: { pipeline: 9, list: 'crop:2' } } },
      /manifest\.json: views of pipeline version 9, expected 1/,
    ],
    [{ views: { augment: { pipeline: 1, list: 'mixup' } } }, /manifest\.json: augment: 'mixup' cannot be replayed/],
    [{ views: { parameters: ['x', 'y'] } }, /views\.parameters: expected crop\.x, crop\.y, found x, y/],
  ])('%# are refused with the row or the key', async (change, reason) => {
    const { source } = await samples(2)
    const targets = await dataset(source, change)
    const error = await loadDataset({ targets, source }).catch((error: unknown) => error)
    expect(error).toBeInstanceOf(FormatError)
    expect((error as Error).message).toMatch(reason)
  })
})
