import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { CodecName } from '../../src/cache/index.js'
import { random } from '../../src/random.js'
import { openSource } from '../../src/source/index.js'
import { type ExportEvent, estimateExport, exportTargets } from '../../src/teacher/index.js'
import { temporaryFolder } from '../helpers/folder.js'
import { writeIdx } from '../helpers/idx.js'
import { sourceOf } from '../helpers/sources.js'
import { linearLogits, makeSequences, writeBigramTeacher, writeLinearTeacher } from '../helpers/teachers.js'

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
    const { accuracy } = await estimateExport(options)
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
