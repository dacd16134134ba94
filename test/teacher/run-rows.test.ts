import { describe, expect, it } from 'vitest'
import { createRowRunner, type Feeds, type TeacherOutput } from '../../src/teacher/run-rows.js'

/** A teacher with 2 classes whose logits are the row's pixel and its double; it holds at most `memory` rows. */
const teacher = (memory: number, calls: number[] = []) => ({
  calls,
  async run(feeds: Feeds, rows: number): Promise<TeacherOutput> {
    const pixels = feeds.pixels as Uint8Array
    calls.push(rows)
    if (rows > memory) throw new Error('[ONNXRuntimeError] BFCArena::AllocateRawInternal Failed to allocate memory')
    return {
      rows,
      columns: {
        logits: Uint16Array.from({ length: rows * 2 }, (_, i) => pixels[i >> 1]! * (1 + (i & 1))),
        shift: Float32Array.from({ length: rows }, (_, i) => pixels[i]! * 2),
      },
      rowSum: Float32Array.from({ length: rows }, (_, i) => pixels[i]! * 3),
    }
  },
})
const pixels = Uint8Array.from({ length: 13 }, (_, i) => i)

describe('running rows on a device whose memory may run out', () => {
  it('runs all rows at once where they fit', async () => {
    const device = teacher(13)
    await createRowRunner(device.run, () => {}).run({ pixels }, 13)
    expect(device.calls).toEqual([13])
  })

  it('halves until they fit, keeps the order, and says so', async () => {
    const device = teacher(3)
    const said: number[] = []
    const output = await createRowRunner(device.run, (limit) => said.push(limit)).run({ pixels }, 13)
    expect(output).toEqual(await teacher(13).run({ pixels }, 13))
    expect(said).toEqual([7, 4, 2])
  })

  it('writes to the memory that it is given, whatever the calls', async () => {
    const device = teacher(3)
    const into = {
      rows: 13,
      columns: { logits: new Uint16Array(26), shift: new Float32Array(13) },
      rowSum: new Float32Array(13),
    }
    const write = async (feeds: Feeds, rows: number, part?: TeacherOutput) => {
      const { columns, rowSum } = await device.run(feeds, rows)
      for (const name of ['logits', 'shift']) part!.columns[name]!.set(columns[name]!)
      part!.rowSum.set(rowSum)
      return part!
    }
    expect(await createRowRunner(write, () => {}).run({ pixels }, 13, { batch: 8, into })).toBe(into)
    expect(into).toEqual(await teacher(13).run({ pixels }, 13))
  })

  it('remembers the size that fits', async () => {
    const device = teacher(4)
    const runner = createRowRunner(device.run, () => {})
    await runner.run({ pixels: pixels.slice(0, 8) }, 8)
    device.calls.length = 0
    await runner.run({ pixels: pixels.slice(0, 8) }, 8)
    expect(device.calls).toEqual([4, 4])
  })

  it('fails where a single row does not fit', async () => {
    await expect(createRowRunner(teacher(0).run, () => {}).run({ pixels }, 13)).rejects.toThrow('Failed to allocate')
  })

  it('does not halve a call that is always of so many rows', async () => {
    const device = teacher(3)
    const runner = createRowRunner(device.run, () => {}, 4)
    await expect(runner.run({ pixels }, 13)).rejects.toThrow('Failed to allocate')
    expect(device.calls).toEqual([4])
    const enough = teacher(4)
    expect(await createRowRunner(enough.run, () => {}, 4).run({ pixels }, 13)).toEqual(
      await teacher(13).run({ pixels }, 13),
    )
    expect(enough.calls).toEqual([4, 4, 4, 1])
  })

  it('passes other errors on at once', async () => {
    const calls: number[] = []
    const runner = createRowRunner(
      async (_, rows) => {
        calls.push(rows)
        throw new Error('Invalid input shape')
      },
      () => {},
    )
    await expect(runner.run({ pixels }, 13)).rejects.toThrow('Invalid input shape')
    expect(calls).toEqual([13])
  })
})
