import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { type CodecName, createTargets, idColumn, openTargets, softTargets } from '../../src/cache/index.js'
import { describeTargets, inspectedTemperatures } from '../../src/report/describe-targets.js'
import { makePlan, writeTargets } from '../cache/datasets.js'
import { temporaryFolder } from '../helpers/folder.js'

/** Writes these rows of three classes and opens them. */
async function targetsOf(logits: number[][], labels: number[]) {
  const dir = temporaryFolder()
  const writer = await createTargets(dir, makePlan({ codec: 'f32', rows: logits.length, classes: 3 }))
  await writer.beginShard(0)
  await writer.append({
    rows: logits.length,
    ids: idColumn(logits.map((_, i) => `row/${i}`)),
    labels: Int32Array.from(labels),
    logits: Float32Array.from(logits.flat()),
  })
  await writer.endShard()
  await writer.finish({ created: '2025-01-01T00:00:00.000Z' })
  return openTargets(dir)
}

const logits = [
  [3, 1, 0],
  [2, 3, 0],
  [0, 1, 4],
  [1, 0, 0],
]

it('measures the teacher on the labels that are there, straight from the formulas', async () => {
  const targets = await targetsOf(logits, [0, 0, 2, -1])
  const described = await describeTargets(targets)
  const soft = logits.map((row) => [...softTargets(Float64Array.from(row), 1)])
  expect(described).toMatchObject({ rows: 4, labelled: 3, accuracy: 2 / 3 })
  const nll = -(Math.log(soft[0]![0]!) + Math.log(soft[1]![0]!) + Math.log(soft[2]![2]!)) / 3
  expect(described.nll).toBeCloseTo(nll, 6)

  expect(described.softness.map(({ temperature }) => temperature)).toEqual(inspectedTemperatures)
  for (const { temperature, entropy, top } of described.softness) {
    const rows = logits.map((row) => [...softTargets(Float64Array.from(row), temperature)])
    const mean = (of: (row: number[]) => number) => rows.reduce((sum, row) => sum + of(row), 0) / rows.length
    expect(entropy).toBeCloseTo(
      mean((row) => -row.reduce((sum, p) => sum + p * Math.log(p), 0)),
      6,
    )
    expect(top).toBeCloseTo(
      mean((row) => Math.max(...row)),
      6,
    )
  }

  // Class 0 has rows 0 and 1 by label and row 3 by the teacher's word, class 2 has row 2, and class 1 none.
  const from = (row: number, to: number) => soft[row]![to]!
  const mass = (from(0, 1) + from(1, 1) + from(3, 1)) / 3 / 2
  expect(described.confused[0]!.classes).toEqual([0, 1])
  expect(described.confused[0]!.mass).toBeCloseTo(mass, 6)
  expect(described.confused).toHaveLength(3)
  await targets.close()
})

it('knows no accuracy where there are no labels', async () => {
  const targets = await targetsOf(logits, [-1, -1, -1, -1])
  expect(await describeTargets(targets)).toMatchObject({ labelled: 0, accuracy: null, nll: null, ece: null })
  await targets.close()
})

it('refuses a shard whose bytes are not those that were written', async () => {
  const targets = await targetsOf(logits, [0, 0, 2, -1])
  const path = join(targets.dir, 'data/00000.arrow')
  const bytes = await readFile(path)
  const at = bytes.indexOf(Buffer.from(Float32Array.from(logits.flat()).buffer))
  bytes.writeFloatLE(Number.NaN, at)
  await writeFile(path, bytes)
  await expect(describeTargets(targets)).rejects.toThrow(/00000\.arrow: damaged or altered: expected SHA-256/)
  await targets.close()
})

it('says the same of a dataset that keeps some classes, where it is about these and the label', async () => {
  const describe = async (codec: CodecName) => {
    const dir = temporaryFolder()
    await writeTargets(dir, makePlan({ codec, classes: 12, rows: 100 }))
    const targets = await openTargets(dir)
    try {
      return await describeTargets(targets)
    } finally {
      await targets.close()
    }
  }
  const [all, some] = [await describe('f32'), await describe('topk:6')]
  for (const name of ['accuracy', 'top5'] as const) expect(some[name]).toBe(all[name])
  expect(some.perClass).toEqual(all.perClass)
  for (const name of ['nll', 'ece', 'aurc'] as const) expect(some[name], name).toBeCloseTo(all[name]!, 2)
  some.softness.forEach(({ temperature, entropy, top }, i) => {
    expect(temperature).toBe(all.softness[i]!.temperature)
    expect(top).toBeCloseTo(all.softness[i]!.top, 2)
    // Even shares of the rest are the most that its entropy can be.
    expect(entropy).toBeGreaterThan(all.softness[i]!.entropy - 0.01)
  })
})

it.each(['topk:1', 'sampled:1'] as const)(
  'has the accuracy of all logits where a codec keeps a class (%s)',
  async (codec) => {
    const dirs = { all: temporaryFolder(), one: temporaryFolder() }
    const plan = { rows: 300, rowsPerShard: 300, classes: 5 }
    await writeTargets(dirs.all, makePlan({ ...plan, codec: 'f32' }))
    await writeTargets(dirs.one, makePlan({ ...plan, codec }))
    const described = async (dir: string) => {
      const targets = await openTargets(dir)
      onTestFinished(() => targets.close())
      return describeTargets(targets)
    }
    const [all, one] = await Promise.all([dirs.all, dirs.one].map(described))
    expect(one!.accuracy).toBe(all!.accuracy)
    expect(one!.ece).toBeCloseTo(all!.ece!, 2)
    expect(one!.nll).toBeCloseTo(all!.nll!, 2)
  },
)
