import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, it, onTestFinished } from 'vitest'
import { mergeTargets, openTargets } from '../../src/cache/index.js'
import { type Dimension, encodeModel, GraphBuilder } from '../../src/onnx/index.js'
import { random } from '../../src/random.js'
import { openSource, type Source, withViews } from '../../src/source/index.js'
import { type Device, openDevice } from '../../src/teacher/device.js'
import {
  type ExportEvent,
  type ExportOptions,
  estimateExport,
  exportTargets,
  rerunTeacher,
} from '../../src/teacher/index.js'
import { loadTeacher } from '../../src/teacher/load-teacher.js'
import { tryTeacher } from '../../src/teacher/try-teacher.js'
import { hashFolder, temporaryFolder, withoutTime } from '../helpers/folder.js'
import { writeIdx } from '../helpers/idx.js'
import { sourceOf } from '../helpers/sources.js'

const [rows, inputs, classes] = [50, 6, 4]
const stream = random('try-teacher')
const draw = (count: number) => Float32Array.from({ length: count }, () => stream.normal())
const [weights, bias, values] = [draw(inputs * classes), draw(classes), draw(rows * inputs)]
const source = sourceOf({ kind: 'features', dtype: 'float32', shape: [inputs] }, values)

/** x·W + b in float64. */
const linear = (x: number[]) =>
  Array.from(bias, (b, c) => x.reduce((sum, v, i) => sum + v * weights[i * classes + c]!, b))
/** What a function gives for each row by itself. */
const each = (logits: (x: number[]) => number[]) =>
  Array.from({ length: rows }, (_, r) => logits([...values.subarray(r * inputs, (r + 1) * inputs)])).flat()
const worst = (found: ArrayLike<number>, exact: number[]) => {
  expect(found).toHaveLength(exact.length)
  return Math.max(...exact.map((z, i) => Math.abs(z - found[i]!)))
}

type Front = (g: GraphBuilder, x: string) => string
type Behind = (g: GraphBuilder, parts: { x: string; z: string }) => string
/** A linear classifier with something before or behind it; `shape` of its input. */
interface Teacher {
  shape?: Dimension[]
  front?: Front
  behind?: Behind
}

function write(dir: string, { shape = ['N', inputs], front = (_, x) => x, behind = (_, { z }) => z }: Teacher): string {
  const g = new GraphBuilder()
  const x = g.input('x', 'float32', shape)
  const z = g.node('Gemm', [front(g, x), g.f32(weights, [inputs, classes]), g.f32(bias)])
  g.output('logits', 'float32', [shape[0]!, classes], behind(g, { x, z }))
  const path = join(dir, 'teacher.onnx')
  writeFileSync(path, encodeModel(g.model({ name: 'linear' })))
  return path
}

/** Logits times the mean of all inputs of the call. */
const mixing: Behind = (g, { x, z }) => g.node('Mul', [z, g.node('ReduceMean', [x], { keepdims: 0 })])
const mixedAlone = (x: number[]) => linear(x).map((z) => (z * x.reduce((sum, v) => sum + v, 0)) / inputs)
/** Logits less their mean over the call. */
const centred: Behind = (g, { z }) => g.node('Sub', [z, g.node('ReduceMean', [z, g.i64([0])])])
/** Keeps the batch from being opened: it moves away and back. */
const turned: Front = (g, x) => {
  const there = g.node('Transpose', [x], { perm: [1, 0] })
  return g.node('Transpose', [there], { perm: [1, 0] })
}

/** One thread for all graphs: to start one takes longer than they do. */
let device: Device | undefined
afterAll(() => device?.close())

/** How the rows of a teacher are found to be run, and what all of them then give. */
async function tryOut(teacher: Teacher, from: Source = source) {
  const found = await tryFile(write(temporaryFolder(), teacher), from)
  const { calls } = found
  const output = await device!.run({ features: values.slice() }, rows, calls.alone ? 1 : rows)
  return { ...found, logits: output.columns.logits! }
}

async function tryFile(path: string, from: Source) {
  const { calls } = await tryTeacher({
    path: 'teacher.onnx',
    loaded: await loadTeacher({ teacher: path, source: from }),
    source: from,
    sample: await from.read(Array.from({ length: from.rows }, (_, row) => row)),
    ...{ told: undefined, twoClasses: false, before: undefined, provider: 'cpu' },
    open: async (fused) => {
      if (device) await device.load(fused)
      else device = await openDevice({ ...fused, teacher: 'teacher.onnx', provider: 'cpu', device: 0 })
      return device
    },
  })
  const { event, alone, fixedBatch } = calls
  return { calls: { alone, fixedBatch: fixedBatch?.rows }, event }
}

describe('rows that depend on each other are run alone, and told', () => {
  // ONNX, DynamicQuantizeLinear: y = round(x / scale) + zero, with scale and zero from the range of x, which 0 is in
  const quantized = (x: number[]) => {
    const [low, high] = [Math.min(0, ...x), Math.max(0, ...x)]
    const scale = Math.fround((high - low) / 255)
    const even = (v: number) => (Math.abs(v % 1) === 0.5 ? 2 * Math.round(v / 2) : Math.round(v))
    const byte = (v: number) => Math.min(255, Math.max(0, v))
    const zero = even(byte(-low / scale))
    return linear(x.map((v) => (byte(even(v / scale) + zero) - zero) * scale))
  }
  it.each<[string, Teacher, (x: number[]) => number[], RegExp]>([
    ['by a mean over all rows', { behind: mixing }, mixedAlone, /: node 'reducemean' \(ReduceMean\);/],
    [
      'by one scale for a whole tensor, as of dynamic quantization',
      { front: (g, x) => g.node('DequantizeLinear', g.nodeOf('DynamicQuantizeLinear', [x], {}, { outputs: 3 })) },
      quantized,
      /: node 'dynamicquantizelinear' \(DynamicQuantizeLinear\);/,
    ],
    [
      'by a reshape that joins the values of several rows',
      {
        front: (g, x) => g.node('Transpose', [g.node('Reshape', [x, g.i64([inputs, -1])])], { perm: [1, 0] }),
      },
      linear,
      /: the graph does not show where;/,
    ],
  ])('%s', async (_, teacher, exact, where) => {
    const { calls, event, logits } = await tryOut(teacher)
    expect(calls).toEqual({ alone: true, fixedBatch: undefined })
    expect(event).toMatchObject({ alone: true, rowsPerSecond: expect.any(Number) })
    expect(event!.why).toMatch(/^their logits depend on the rows of a call \(of \d+ looked at, \|Δz\| up to \d/)
    expect(event!.why).toMatch(where)
    expect(worst(logits, each(exact))).toBeLessThan(1e-5)
  })

  it('beyond 1e-3 of their logits, or 1e-4 where the graph shows by what', async () => {
    const apart = (share: number, shown: boolean): Teacher => ({
      behind: (g, { x, z }) => {
        const turned = g.node('Transpose', [x], { perm: [1, 0] })
        const mean = g.node('ReduceMean', shown ? [x, g.i64([0])] : [turned, g.i64([1])], { keepdims: 0 })
        const first = g.node('Slice', [mean, g.i64([0]), g.i64([1])]) // of one of the inputs, some tenths
        return g.node('Add', [z, g.node('Mul', [first, g.f32(share)])])
      },
    })
    for (const [share, shown, alone] of [
      [1e-5, true, false],
      [1e-3, true, true],
      [1e-4, false, false],
      [1e-1, false, true],
    ] as const)
      expect((await tryOut(apart(share, shown))).calls.alone, `${share} ${shown}`).toBe(alone)
  })

  it('and nothing is told of a teacher whose rows are its own', async () => {
    const { calls, event, logits } = await tryOut({})
    expect({ calls, event }).toEqual({ calls: { alone: false, fixedBatch: undefined }, event: undefined })
    expect(worst(logits, each(linear))).toBeLessThan(1e-5)
  })
})

describe('what cannot be repeated, or says nothing, is refused', () => {
  const noise: Behind = (g, { z }) => g.node('Add', [z, g.node('RandomNormalLike', [z])])
  it.each<[string, Teacher, RegExp]>([
    [
      'noise',
      { behind: noise },
      /^teacher\.onnx: two equal runs of the same rows differ by \|Δz\| up to \d.*: node 'randomnormallike' \(RandomNormalLike\)/,
    ],
    [
      'noise in one class of four',
      {
        behind: (g, { z }) =>
          g.node('Add', [z, g.node('Mul', [g.node('RandomUniformLike', [z]), g.f32([0, 0, 0, 1])])]),
      },
      /two equal runs .* \(RandomUniformLike\): .*model\.eval\(\)/,
    ],
    [
      'logits less their mean over the batch: alone they are all 0',
      { behind: centred },
      /^teacher\.onnx: .*alone all \d+ rows that were looked at give the same: node 'reducemean' \(ReduceMean\)/,
    ],
    [
      'the same of a batch of one',
      { shape: [1, inputs], behind: centred },
      /alone all \d+ rows that were looked at give the same: node 'reducemean' \(ReduceMean\)/,
    ],
  ])('%s', async (_, teacher, message) => {
    await expect(tryOut(teacher)).rejects.toThrow(message)
  })

  it('by an export and by a dry run, before anything is written', async () => {
    const dir = temporaryFolder()
    const options = {
      source,
      teacher: write(dir, { behind: noise }),
      out: join(dir, 'targets'),
      provider: 'cpu',
    } as const
    for (const run of [exportTargets, estimateExport]) await expect(run(options)).rejects.toThrow(/two equal runs/)
    expect(existsSync(options.out)).toBe(false)
  })
})

describe('a batch that cannot be opened is run as it is, filled up with copies, and told', () => {
  it.each([1, 3, 64])('of %d', async (batch) => {
    const { calls, event, logits } = await tryOut({ shape: [batch, inputs], front: turned })
    expect(calls).toEqual({ alone: false, fixedBatch: batch })
    expect(event).toMatchObject({
      fixedBatch: batch,
      why: "the batch of 'x' is fixed, and node 'transpose' (Transpose) moves the batch axis",
    })
    expect(worst(logits, each(linear))).toBeLessThan(1e-5)
  })

  it('of 3, each row alone in a call of its copies, where they depend on each other', async () => {
    const { calls, event, logits } = await tryOut({ shape: [3, inputs], behind: mixing })
    expect(calls).toEqual({ alone: true, fixedBatch: 3 })
    expect(event!.why).toMatch(/^the batch of 'x' is fixed, and .*; their logits depend on the rows of a call/)
    expect(worst(logits, each(mixedAlone))).toBeLessThan(1e-5)
  })

  it.each([1, 3])('where it is declared open, and the graph works with %d only', async (batch) => {
    const front: Front = (g, x) => g.node('Reshape', [x, g.i64([batch, inputs])])
    const { calls, event, logits } = await tryOut({ front })
    expect(calls).toEqual({ alone: false, fixedBatch: batch })
    expect(event!.why).toBe(`the graph works with ${batch} only, though the batch of x: float32[N,6] is open`)
    expect(worst(logits, each(linear))).toBeLessThan(1e-5)
  })
})

describe('a teacher that does not take the rows is refused in words of its axes', () => {
  const sequences = sourceOf({ kind: 'features', dtype: 'float32', shape: [5, inputs] }, draw(40 * 5 * inputs))
  const overFirst: Front = (g, x) => g.node('ReduceMean', [x, g.i64([0])], { keepdims: 0 })
  it.each<[string, Teacher, RegExp]>([
    [
      'time first, by the number of its logits',
      { shape: [null, null, inputs], front: overFirst },
      /^teacher\.onnx: the teacher's input x: float32\[\?,\?,6\] does not take the rows of memory, each \[5,6\]: one row gives 5 rows of logits\. .*time first.*batch in front$/,
    ],
    [
      'time first, by the names of its axes',
      { shape: ['T', 'batch', inputs], front: overFirst },
      /expected the batch as the first axis .* found it as the second: x: float32\[T,batch,6\]/,
    ],
    [
      'other sizes than the source has, behind open ones',
      {
        shape: [null, null, null],
        front: (g, x) =>
          g.node('ReduceMean', [g.node('Reshape', [x, g.i64([-1, 7, inputs])]), g.i64([1])], { keepdims: 0 }),
      },
      /does not take the rows of memory, each \[5,6\]: the sizes do not go together at its node '.*' \(Reshape\)/,
    ],
    [
      'several inputs',
      { behind: (g, { z }) => g.node('Add', [z, g.input('prior', 'float32', [classes])]) },
      /expected a teacher with one input, found x: float32\[N,6\], prior: float32\[4\]: .*the others as constants inside/,
    ],
  ])('%s', async (_, teacher, message) => {
    await expect(tryOut(teacher, sequences)).rejects.toThrow(message)
  })
})

describe('a teacher of tokens whose axes have no names', () => {
  const [length, vocabulary] = [5, 7]
  const tokens = Int32Array.from({ length: 40 * length }, () => stream.below(vocabulary))
  const texts = sourceOf({ kind: 'tokens', dtype: 'int32', shape: [length] }, tokens)
  /** Logits at a position: a row of a table for each token, summed along an axis. */
  function writeSums(axis: number, behind: (g: GraphBuilder, z: string) => string = (_, z) => z): string {
    const g = new GraphBuilder()
    const ids = g.input('ids', 'int64', [null, null])
    const embedded = g.node('Gather', [g.f32(draw(vocabulary ** 2), [vocabulary, vocabulary]), ids])
    const sums = g.node('CumSum', [embedded, g.i64(axis)])
    g.output('logits', 'float32', [null, null, vocabulary], behind(g, sums))
    const path = join(temporaryFolder(), 'teacher.onnx')
    writeFileSync(path, encodeModel(g.model({ name: 'sums' })))
    return path
  }

  it('is refused where it takes positions for rows', async () => {
    await expect(tryFile(writeSums(0), texts)).rejects.toThrow(
      /^teacher\.onnx: the teacher's input ids: int64\[\?,\?\] .*: the positions of a row are taken for rows, .*time first/,
    )
  })

  it('runs rows alone where they depend on each other, but its positions do, too', async () => {
    const { calls } = await tryFile(writeSums(1), texts)
    expect(calls.alone).toBe(false)
    const mean = (g: GraphBuilder, z: string, axes: number[]) => g.node('ReduceMean', [z, g.i64(axes)])
    const overAll = (g: GraphBuilder, z: string) => g.node('Mul', [z, mean(g, z, [0, 1, 2])])
    expect((await tryFile(writeSums(1, overAll), texts)).calls.alone).toBe(true)
    // a position knows of the others, but not where they are, as in a transformer without positions
    const ofBag = (g: GraphBuilder, z: string) =>
      g.node('Mul', [g.node('Sub', [z, mean(g, z, [1])]), mean(g, z, [0, 1, 2])])
    expect((await tryFile(writeSums(2, ofBag), texts)).calls.alone).toBe(true)
  })
})

describe('an export', () => {
  function fixture(teacher: Teacher, more: Partial<ExportOptions> = {}) {
    const dir = temporaryFolder()
    const common = { source, codec: 'f32', provider: 'cpu', batch: 8 } as const
    return { dir, options: { ...common, teacher: write(dir, teacher), out: join(dir, 'targets'), ...more } }
  }
  async function open(out: string) {
    const targets = await openTargets(out)
    onTestFinished(() => targets.close())
    return targets
  }

  it('of rows alone has the same bytes for every batch that is asked for, and is re-run as its manifest says', async () => {
    const { dir, options } = fixture({ behind: mixing })
    const { runtime } = await exportTargets(options)
    expect(runtime).toMatchObject({ rows: 'alone', batch: 1 })
    expect(runtime).not.toHaveProperty('fixedBatch')
    const targets = await open(options.out)
    expect(worst((await targets.load()).logits, each(mixedAlone))).toBeLessThan(1e-5)
    const rerun = await rerunTeacher({ targets, source, teacher: options.teacher, provider: 'cpu' })
    expect(rerun).toMatchObject({ within: true, maxDifference: 0 })
    await exportTargets({ ...options, batch: 3, out: join(dir, 'other') })
    expect(hashFolder(join(dir, 'other'), withoutTime)).toEqual(hashFolder(options.out, withoutTime))
  })

  it('of rows alone goes on where it was stopped, and in parts as in one', async () => {
    const { dir, options } = fixture({ behind: mixing }, { shardMb: 0.001 })
    await exportTargets(options)
    const stopped = { ...options, out: join(dir, 'stopped') }
    const stop = new AbortController()
    const onEvent = (event: ExportEvent) => event.type === 'shard' && stop.abort()
    await expect(exportTargets({ ...stopped, signal: stop.signal, onEvent })).rejects.toThrow(/^stopped: 1 shards/)
    await exportTargets(stopped)
    expect(hashFolder(stopped.out, withoutTime)).toEqual(hashFolder(options.out, withoutTime))
    const parts = [join(dir, 'a'), join(dir, 'b')]
    await exportTargets({ ...options, out: parts[0]!, range: { from: 0, to: 20 } })
    await exportTargets({ ...options, out: parts[1]!, range: { from: 20, to: rows } })
    await mergeTargets(parts, { out: join(dir, 'merged') })
    const [merged, whole] = [await open(join(dir, 'merged')), await open(options.out)]
    expect((await merged.load()).logits).toEqual((await whole.load()).logits)
  })

  it('of filled calls has the columns that a codec makes, though the thread of the device encodes them', async () => {
    const columns = async (teacher: Teacher) => {
      const { options } = fixture(teacher, { codec: 'hybrid:64' })
      const { runtime } = await exportTargets(options)
      const targets = await open(options.out)
      return { runtime, columns: await Promise.all([0, rows - 1].map(async (row) => (await targets.row(row)).columns)) }
    }
    const filled = await columns({ shape: [3, inputs], front: turned })
    expect(filled.runtime).toMatchObject({ batch: 3, fixedBatch: 3 })
    expect(filled.runtime).not.toHaveProperty('rows')
    expect(filled.columns).toEqual((await columns({})).columns)
  })

  it('of filled calls is re-run in calls of the manifest, which are not tried out again', async () => {
    const { options } = fixture({ front: (g, x) => g.node('Reshape', [x, g.i64([3, inputs])]) })
    await exportTargets(options)
    const targets = await open(options.out)
    const rerun = await rerunTeacher({ targets, source, teacher: options.teacher, provider: 'cpu' })
    expect(rerun).toMatchObject({ within: true, maxDifference: 0 })
  })

  it('of filled calls has every view of a sample', async () => {
    const { dir, options } = fixture({
      shape: [3, 1, 2, 3],
      front: (g, x) => g.node('Reshape', [g.node('Transpose', [x], { perm: [1, 0, 2, 3] }), g.i64([-1, inputs])]),
    })
    const images = await openSource(writeIdx(dir, { rows: 20, side: 4, classes }).images, {
      preprocess: { version: 1, crop: { width: 3, height: 2 } },
    })
    onTestFinished(() => images.close())
    const views = withViews(images, { count: 4, augment: 'crop:1,flip', seed: 1 })
    const manifest = await exportTargets({ ...options, source: views, shardMb: 0.001 })
    expect(manifest).toMatchObject({ rows: 80, runtime: { fixedBatch: 3, batch: 3 } })
    const targets = await open(options.out)
    const rerun = await rerunTeacher({ targets, source: images, teacher: options.teacher, provider: 'cpu', rows: 80 })
    expect(rerun).toMatchObject({ rows: 80, within: true, agreement: 1 })
  })
})
