import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { halfOf, openTargets, selectTargets, type Targets } from '../../src/cache/index.js'
import { encodeModel, GraphBuilder } from '../../src/onnx/index.js'
import { random } from '../../src/random.js'
import type { Source } from '../../src/source/index.js'
import { exportTargets, rerunTeacher } from '../../src/teacher/index.js'
import { temporaryFolder } from '../helpers/folder.js'
import { sourceOf } from '../helpers/sources.js'
import { makeSequences, writeBigramTeacher, writeLinearTeacher } from '../helpers/teachers.js'

async function open(dir: string): Promise<Targets> {
  const targets = await openTargets(dir)
  onTestFinished(() => targets.close())
  return targets
}

const stream = random('rerun')
const vocabulary = 11

describe('running a teacher of sequences again', () => {
  const [rows, length] = [100, 6]
  const { tokens } = makeSequences(stream, { rows, length, vocabulary })
  const table = Float32Array.from({ length: vocabulary ** 2 }, () => stream.normal())
  const source = sourceOf({ kind: 'tokens', dtype: 'int32', shape: [length] }, tokens)

  it.each(['f32', 'f16', 'topk:3'] as const)('compares every position up to the end of each (%s)', async (codec) => {
    const dir = temporaryFolder()
    const [teacher, other] = [join(dir, 'teacher.onnx'), join(dir, 'other.onnx')]
    writeBigramTeacher(teacher, table)
    // another one, about a single word
    const word = stream.below(vocabulary)
    writeBigramTeacher(
      other,
      table.map((z, i) => (Math.floor(i / vocabulary) === word ? z + (i % 2) : z)),
    )
    await exportTargets({ source, teacher, out: join(dir, 'targets'), codec, provider: 'cpu', batch: 32 })
    const targets = await open(join(dir, 'targets'))
    const common = { targets, source, provider: 'cpu', rows } as const
    const same = await rerunTeacher({ ...common, teacher })
    expect(same).toMatchObject({ rows, agreement: 1, within: true })
    expect(same.maxDifference).toBeLessThan(codec === 'f32' ? 1e-6 : 2 ** -9)
    const changed = await rerunTeacher({ ...common, teacher: other })
    expect(changed.within).toBe(false)
    expect(changed.maxDifference).toBeCloseTo(1, 2)
    if (codec !== 'f32') return
    // over the valid positions alone: every second logit of the word is off by 1, of all logits
    const share = tokens.filter((token) => token === word).length / tokens.filter((token) => token >= 0).length
    expect(changed.meanDifference).toBeCloseTo((share * Math.floor(vocabulary / 2)) / vocabulary, 6)
  })
})

it("a wrong logit of a position's next token is found, though the likeliest classes are right", async () => {
  const dir = temporaryFolder()
  const [rows, length] = [40, 6]
  const { tokens } = makeSequences(stream, { rows, length, vocabulary })
  const source = sourceOf({ kind: 'tokens', dtype: 'int32', shape: [length] }, tokens)
  const teacher = join(dir, 'teacher.onnx')
  writeBigramTeacher(
    teacher,
    Float32Array.from({ length: vocabulary ** 2 }, () => stream.normal()),
  )
  await exportTargets({ source, teacher, out: join(dir, 'targets'), codec: 'topk:3', provider: 'cpu', batch: 32 })
  const targets = await open(join(dir, 'targets'))
  const altered = Object.assign(Object.create(targets) as Targets, {
    row: async (index: number) => {
      const row = await targets.row(index)
      row.columns.label_logit!.fill(halfOf(-20))
      return row
    },
  })
  const common = { source, teacher, provider: 'cpu', rows } as const
  expect(await rerunTeacher({ ...common, targets })).toMatchObject({ within: true })
  const found = await rerunTeacher({ ...common, targets: altered })
  expect(found).toMatchObject({ agreement: 1, within: false })
  expect(found.maxDifference).toBeGreaterThan(10)
})

describe('running a teacher again on many rows', () => {
  /** What is asked of targets and source, in its order. */
  function watch(targets: Targets, source: Source) {
    const asked: string[] = []
    return {
      asked,
      targets: Object.assign(Object.create(targets) as Targets, {
        row: (index: number) => {
          asked.push('row')
          return targets.row(index)
        },
      }),
      source: {
        ...source,
        read: (rows: ArrayLike<number>) => {
          asked.push(`read ${rows.length}`)
          return source.read(rows)
        },
      },
    }
  }

  async function exported(rows: number) {
    const dir = temporaryFolder()
    const teacher = join(dir, 'teacher.onnx')
    writeLinearTeacher(teacher, { side: 4, classes: 5 })
    const values = Float32Array.from({ length: rows * 16 }, () => stream.normal())
    const source = sourceOf({ kind: 'features', dtype: 'float32', shape: [4, 4] }, values)
    const out = join(dir, 'targets')
    await exportTargets({ source, teacher, out, codec: 'f32', provider: 'cpu', batch: 64 })
    return { dir, teacher, source, targets: await open(out) }
  }

  it('holds a batch of them at a time', async () => {
    const { teacher, ...data } = await exported(200)
    const { asked, ...watched } = watch(data.targets, data.source)
    const found = await rerunTeacher({ ...watched, teacher, provider: 'cpu', rows: 200 })
    expect(found).toMatchObject({ rows: 200, within: true })
    const batch = [...Array.from({ length: 32 }, () => 'row'), 'read 32']
    expect(asked.slice(0, 66)).toEqual([...batch, ...batch])
    expect(asked.at(-1)).toBe('read 8')
  })

  it('finds the inputs of rows that are not where they were, and names one that is nowhere', async () => {
    const { dir, teacher, source, targets } = await exported(200)
    const selected = join(dir, 'selected')
    await selectTargets(targets.dir, { out: selected, ids: ['3', '50', '51', '199'] })
    const some = await open(selected)
    const found = await rerunTeacher({ targets: some, source, teacher, provider: 'cpu', rows: some.rows })
    expect(found).toMatchObject({ rows: 4, agreement: 1, within: true })
    const without = { ...source, read: () => source.read([0, 0, 0, 0]), async *batches() {} }
    await expect(rerunTeacher({ targets: some, source: without, teacher, provider: 'cpu' })).rejects.toThrow(
      "row 0 has the id '3', which memory does not have",
    )
  })
})

describe('rows whose largest logits are equal but for rounding, as the shares of a forest are,', () => {
  /** A teacher of a bias alone on features: rows of it are all the same. */
  function write(path: string, bias: number[]): string {
    const graph = new GraphBuilder()
    const zero = graph.node('Mul', [graph.input('features', 'float32', ['N', 4]), graph.f32(0)])
    graph.output('logits', 'float32', ['N', 4], graph.node('Add', [zero, graph.f32(bias)]))
    writeFileSync(path, encodeModel(graph.model({ name: 'bias' })))
    return path
  }
  const source = sourceOf({ kind: 'features', dtype: 'float32', shape: [4] }, new Float32Array(80))

  it.each(['f32', 'f16', 'topk:3'] as const)('agree whichever of them is the larger (%s)', async (codec) => {
    const dir = temporaryFolder()
    const [before, now, other] = [
      [-1, -1.0000001, -5, -9],
      [-1.0000001, -1, -5, -9],
      [-1.01, -0.99, -5, -9],
    ].map((bias, i) => write(join(dir, `${i}.onnx`), bias)) as [string, string, string]
    await exportTargets({ source, teacher: before, out: join(dir, 'targets'), codec, provider: 'cpu', batch: 8 })
    const targets = await open(join(dir, 'targets'))
    const again = (teacher: string) => rerunTeacher({ targets, source, teacher, provider: 'cpu' })
    expect(await again(now)).toMatchObject({ agreement: 1, within: true })
    expect(await again(write(join(dir, '3.onnx'), [-1.002, -1, -5, -9]))).toMatchObject({ within: false })
    expect(await again(other)).toMatchObject({ within: false })
  })
})
