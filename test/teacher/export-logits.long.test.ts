import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { openTargets, type Targets } from '../../src/cache/index.js'
import { encodeModel, GraphBuilder } from '../../src/onnx/index.js'
import { random } from '../../src/random.js'
import type { SourceInput } from '../../src/source/index.js'
import {
  type ExportEvent,
  type ExportOptions,
  estimateExport,
  exportTargets,
  rerunTeacher,
} from '../../src/teacher/index.js'
import { temporaryFolder } from '../helpers/folder.js'
import { sourceOf } from '../helpers/sources.js'
import { rowsOf, softmax } from '../onnx/models.js'

const stream = random('export-logits')
const logits = (rows: number, width = 4) =>
  Array.from({ length: rows }, () => Array.from({ length: width }, () => 2 * stream.normal()))
const sigmoid = (v: number) => 1 / (1 + Math.exp(-v))

/** A teacher whose output is its input, or a head's of it, and a source of such inputs. */
function fixture(values: number[][], { head = (_: GraphBuilder, x: string) => x } = {}) {
  const dir = temporaryFolder()
  const width = values[0]!.length
  const g = new GraphBuilder()
  const x = g.node('Mul', [g.input('x', 'float32', ['N', width]), g.f32(1)])
  g.output('y', 'float32', ['N', width], head(g, x))
  const teacher = join(dir, 'teacher.onnx')
  writeFileSync(teacher, encodeModel(g.model({ name: 'said' })))
  const input: SourceInput = { kind: 'features', dtype: 'float32', shape: [width] }
  const source = sourceOf(input, Float32Array.from(values.flat()))
  return {
    source,
    teacher,
    out: join(dir, 'targets'),
    provider: 'cpu',
    batch: 64,
    codec: 'f32',
  } satisfies ExportOptions
}

async function exported(options: ExportOptions) {
  let event: ExportEvent | undefined
  const onEvent = (e: ExportEvent) => {
    if (e.type === 'teacher') event = e
  }
  const { teacher, classes } = await exportTargets({ ...options, onEvent })
  const targets = await openTargets(options.out)
  const rows = rowsOf([...(await targets.load()).logits], classes)
  const again = await rerunTeacher({ targets, source: options.source, teacher: options.teacher, provider: 'cpu' })
  await targets.close()
  return { teacher, event, rows, again }
}

const apart = (a: number[][], b: number[][]) =>
  Math.max(...a.flatMap((row, i) => row.map((v, c) => Math.abs(v - b[i]![c]!))))

describe('how the logits were found is told, kept in the manifest, and what verify goes by', () => {
  test('the numbers show probabilities', async () => {
    const p = logits(300).map(softmax)
    const { teacher, event, rows, again } = await exported(fixture(p))
    const found = { logits: 'log of probabilities', rule: 'numbers', floor: 2 ** -126 }
    expect(teacher).toMatchObject(found)
    expect(event).toMatchObject({ ...found, classes: 4, output: 'y' })
    expect(apart(rows.map(softmax), p)).toBeLessThan(1e-6)
    expect(again).toMatchObject({ within: true, sameTeacher: true })
    expect(again.maxDifference).toBeLessThan(1e-6)
  })
  test('a proposal of the graph that the numbers do not confirm is not what runs', async () => {
    const z = logits(300)
    // logarithms of what sums to 1/2: a shift of the softmax's logits, but no logarithm of probabilities
    const head = (g: GraphBuilder, x: string) => g.node('Log', [g.node('Mul', [g.node('Softmax', [x]), g.f32(0.5)])])
    const { teacher, rows, again } = await exported(fixture(z, { head }))
    expect(teacher).toMatchObject({ logits: 'logits', rule: 'numbers' })
    const own = z.map((row) => softmax(row).map((p) => Math.log(p / 2)))
    expect(apart(rows, own)).toBeLessThan(1e-5)
    expect(again).toMatchObject({ within: true })
  })
  test('one column is told to be logits', async () => {
    const z = logits(100, 1)
    const { teacher, rows, again } = await exported({ ...fixture(z), logitsAre: 'logits' })
    expect(teacher).toMatchObject({ logits: 'logits', rule: 'told' })
    expect(
      apart(
        rows,
        z.map(([v]) => [0, v!]),
      ),
    ).toBeLessThan(1e-6)
    expect(again).toMatchObject({ within: true })
  })
})

test('a dataset of before the numbers were looked at, whose logits are probabilities, is found out by verify', async () => {
  const options = fixture(logits(100), { head: (g, x) => g.node('Softmax', [x]) })
  await exportTargets({ ...options, logitsAre: 'logits' })
  const targets = await openTargets(options.out)
  const { source, teacher } = options
  const rerun = (of: Targets) => rerunTeacher({ targets: of, source, teacher, provider: 'cpu' })
  expect(await rerun(targets)).not.toHaveProperty('misread') // it was told
  const { rule: _, ...before } = targets.manifest.teacher
  const manifest = { ...targets.manifest, teacher: before }
  const old = Object.assign(Object.create(targets) as Targets, { manifest })
  expect(await rerun(old)).toMatchObject({ within: true, misread: 'softmax removed' })
  await targets.close()
})

test('what is refused is refused by --dry-run, and nothing is written', async () => {
  const options = fixture(logits(300).map((row) => row.map(sigmoid)))
  const refused = /are the values of 'y' logits\? all sampled values lie in \[0, 1\].*--logits-are/
  await expect(estimateExport(options)).rejects.toThrow(refused)
  await expect(exportTargets(options)).rejects.toThrow(refused)
  expect(existsSync(options.out)).toBe(false)
})

test('rows of all of the source are looked at, though only some are exported: parts are read alike', async () => {
  // the first 300 rows alone would be probabilities
  const values = [...logits(300).map(softmax), ...logits(700)]
  const { teacher, rows } = await exported({ ...fixture(values), range: { from: 0, to: 300 } })
  expect(teacher.logits).toBe('logits')
  expect(apart(rows, values.slice(0, 300))).toBeLessThan(1e-6)
})
