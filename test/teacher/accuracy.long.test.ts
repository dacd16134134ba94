import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type CodecName, codecOf } from '../../src/cache/index.js'
import { random } from '../../src/random.js'
import { openSource } from '../../src/source/index.js'
import { createAccuracy } from '../../src/teacher/accuracy.js'
import { type ExportEvent, estimateExport, exportTargets } from '../../src/teacher/index.js'
import { temporaryFolder } from '../helpers/folder.js'
import { writeIdx } from '../helpers/idx.js'
import { sourceOf } from '../helpers/sources.js'
import { linearLogits, makeSequences, writeBigramTeacher, writeLinearTeacher } from '../helpers/teachers.js'

/** Rows whose top class is `tops`, of `classes`. */
function countedOf(labels: number[], tops: number[], classes: number) {
  const counted = createAccuracy({ codec: 'f32', classes })
  const logits = new Float32Array(tops.length * classes)
  tops.forEach((top, row) => {
    logits[row * classes + top] = 1
  })
  counted.add(Int32Array.from(labels), codecOf('f32').encode({ logits, classes }))
  return counted.result()
}

/** As many rows as a table of label (down) and top class (across) says. */
function tableOf(table: number[][]) {
  const [labels, tops]: [number[], number[]] = [[], []]
  table.forEach((row, label) => {
    row.forEach((count, top) => {
      labels.push(...Array<number>(count).fill(label))
      tops.push(...Array<number>(count).fill(top))
    })
  })
  return countedOf(labels, tops, table.length)!
}

describe("the teacher's accuracy against chance", () => {
  it('has the chance of kappa, as Stata prints it for the same table', () => {
    // Statalist 2009-12, msg00320: `kap` of 1,395, 118, 261, 158 rows: agreement 80.38 %, expected 70.22 %
    const { accuracy, chance, labelled, atChance } = tableOf([
      [1395, 118],
      [261, 158],
    ])
    expect({ labelled, atChance }).toEqual({ labelled: 1932, atChance: false })
    expect(accuracy).toBeCloseTo(0.8038302277432712, 12)
    expect(chance).toBeCloseTo(0.7022330671398995, 12)
  })

  it('warns up to 2.326 standard errors of no agreement: of this table a standard error is 0.0220 of kappa', () => {
    // p_e = 0.5, σ = 0.5/√n: 1000 rows agree by chance in up to 50 % + 2.326 · 1.58 % = 53.7 % of them
    const agreeing = (rows: number) =>
      tableOf([
        [rows / 2, (1000 - rows) / 2],
        [(1000 - rows) / 2, rows / 2],
      ]).atChance
    expect([500, 536, 538, 1000, 300].map(agreeing)).toEqual([true, true, false, false, true])
  })

  it('warns once in a hundred times where there is nothing but chance', () => {
    const { below } = random('chance')
    const draws = 2000
    let quiet = 0
    for (let draw = 0; draw < draws; draw++) {
      const drawn = () => Array.from({ length: 200 }, () => below(10) % 4) // classes 0 and 1 more often
      if (!countedOf(drawn(), drawn(), 4)!.atChance) quiet++
    }
    // the normal quantile of so few rows is off by a few tenths of a per cent
    expect(quiet / draws).toBeGreaterThan(0.003)
    expect(quiet / draws).toBeLessThan(0.022)
  })

  it('warns of a teacher that says one class, and not of a good one on labels that are nearly all, or all, of one', () => {
    const skewed = Array.from({ length: 1000 }, (_, row) => (row < 990 ? 0 : 1))
    expect(countedOf(skewed, Array(1000).fill(0), 2)).toMatchObject({ accuracy: 0.99, chance: 0.99, atChance: true })
    expect(countedOf(skewed, skewed, 2)!.atChance).toBe(false)
    expect(countedOf(skewed, skewed.with(0, 1).with(999, 0), 2)!.atChance).toBe(false)
    const one = Array<number>(1000).fill(3)
    expect(countedOf(one, one.with(0, 1), 10)).toMatchObject({ chance: 0.1, atChance: false })
    expect(countedOf(one, Array(1000).fill(1), 10)).toMatchObject({ accuracy: 0, atChance: true })
  })

  it('says nothing of chance where there are too few rows to tell, and nothing at all without labels', () => {
    expect(countedOf([0, 1, 0], [0, 1, 0], 2)).toMatchObject({ labelled: 3, accuracy: 1, atChance: false })
    expect(countedOf([-1, -1], [0, 1], 2)).toBeUndefined()
  })
})

describe('an export tells the accuracy', () => {
  const [side, classes, rows] = [4, 7, 600]

  async function fixture() {
    const dir = temporaryFolder()
    const idx = writeIdx(dir, { rows, side, classes })
    const teacher = writeLinearTeacher(join(dir, 'teacher.onnx'), { side, classes })
    const source = await openSource(idx.images)
    onTestFinished(() => source.close())
    const tops = Array.from({ length: rows }, (_, row) => {
      const z = linearLogits(teacher, idx.pixels.subarray(row * side * side, (row + 1) * side * side))
      return z.indexOf(Math.max(...z))
    })
    const options = { source, teacher: join(dir, 'teacher.onnx'), provider: 'cpu', batch: 64, shardMb: 0.01 } as const
    return { dir, idx, tops, options }
  }

  const eventsOf = async (run: (onEvent: (event: ExportEvent) => void) => Promise<unknown>) => {
    const events: ExportEvent[] = []
    await run((event) => events.push(event)).catch((error: Error) => expect(error.message).toMatch(/^stopped/))
    const accuracy = events.find((event) => event.type === 'accuracy')
    return { events, accuracy }
  }

  it.each(['f32', 'f16', 'q8', 'hybrid:33', 'topk:3', 'sampled:3'] as const)('codec %s', async (codec: CodecName) => {
    const { dir, idx, tops, options } = await fixture()
    const expected = tops.filter((top, row) => top === idx.labels[row]).length / rows
    const { events, accuracy } = await eventsOf((onEvent) =>
      exportTargets({ ...options, codec, out: join(dir, 'targets'), onEvent }),
    )
    expect(accuracy).toMatchObject({ labelled: rows, resumed: false, atChance: true }) // labels are drawn at random
    expect(accuracy!.accuracy).toBeCloseTo(expected, 2)
    if (codec !== 'q8') expect(accuracy!.accuracy).toBe(expected)
    expect(events.at(-2)).toBe(accuracy)
    expect(events.filter((event) => event.type === 'progress').at(-1)!.accuracy).toBe(accuracy!.accuracy)
  })

  it('of the rows of this run, where it goes on after another', async () => {
    const { dir, idx, tops, options } = await fixture()
    const out = join(dir, 'targets')
    const controller = new AbortController()
    let finished = 0
    await eventsOf((onEvent) =>
      exportTargets({
        ...options,
        out,
        signal: controller.signal,
        onEvent(event) {
          onEvent(event)
          if (event.type === 'shard') finished += event.rows
          if (event.type === 'shard') controller.abort()
        },
      }),
    )
    const { accuracy } = await eventsOf((onEvent) => exportTargets({ ...options, out, onEvent }))
    const own = tops.slice(finished)
    expect(accuracy).toMatchObject({
      resumed: true,
      labelled: rows - finished,
      accuracy: own.filter((top, row) => top === idx.labels[finished + row]).length / own.length,
    })
    // nothing is left to run
    const again = await eventsOf((onEvent) => exportTargets({ ...options, out, onEvent }))
    expect(again.accuracy).toBeUndefined()
  })

  it('and an estimate, of the rows that it ran', async () => {
    const { options } = await fixture()
    const { accuracy } = await estimateExport({ ...options, out: '' })
    expect(accuracy!.labelled).toBeGreaterThan(0)
  })

  it('but not of sequences, whose labels are not the rows’', async () => {
    const dir = temporaryFolder()
    const stream = random('tokens')
    writeBigramTeacher(
      join(dir, 'teacher.onnx'),
      Float32Array.from({ length: 121 }, () => stream.normal()),
    )
    const { tokens } = makeSequences(stream, { rows: 50, length: 6, vocabulary: 11 })
    const labels = Array.from({ length: 50 }, (_, row) => row % 11)
    const source = sourceOf({ kind: 'tokens', dtype: 'int32', shape: [6] }, tokens, labels)
    const { accuracy } = await eventsOf((onEvent) =>
      exportTargets({
        ...{ source, teacher: join(dir, 'teacher.onnx'), provider: 'cpu', batch: 8 },
        out: join(dir, 'targets'),
        onEvent,
      }),
    )
    expect(accuracy).toBeUndefined()
  })
})
