import { describe, expect, it, vi } from 'vitest'
import type { Device } from '../../src/teacher/device.js'
import { runInOrder } from '../../src/teacher/ordered.js'
import type { Feeds, TeacherOutput } from '../../src/teacher/run-rows.js'

const output = (rows: number): TeacherOutput => ({
  rows,
  columns: { logits: new Float32Array(rows) },
  rowSum: new Float32Array(rows),
})
const feed = ({ inputs }: { inputs: Uint8Array }) => ({ pixels: inputs })

/** A device that needs `ms(call)` for a call. */
function device(ms: (call: number) => number): Device & { most: number; calls: number } {
  let pending = 0
  const self = {
    most: 0,
    calls: 0,
    get pending() {
      return pending
    },
    async run(_: Feeds, rows: number) {
      self.most = Math.max(self.most, ++pending)
      await new Promise((done) => setTimeout(done, ms(self.calls++)))
      pending--
      return output(rows)
    },
    takeBack() {},
    async load() {},
    async close() {},
  }
  return self
}

async function* batches(rows: number[]) {
  for (const [index, n] of rows.entries()) yield { index, rows: n, inputs: new Uint8Array(n) }
}

describe('running batches on several devices', () => {
  it('yields in the order of the source, whichever device ends first', async () => {
    const devices = [device((call) => (call % 2 ? 1 : 9)), device(() => 2), device((call) => 7 - (call % 7))]
    const seen: number[] = []
    for await (const { batch } of runInOrder(batches(Array(30).fill(1)), devices, { feed, batch: 8, rowBytes: 1 }))
      seen.push(batch.index)
    expect(seen).toEqual(Array.from({ length: 30 }, (_, i) => i))
    expect(devices.every((each) => each.calls > 0)).toBe(true)
  })

  it.each([
    ['three large batches', 6 * 2 ** 20, 3],
    ['eight small ones', 1, 8],
  ])('keeps at most %s with a device, however slow the reader is', async (_, rowBytes, most) => {
    const slow = device(() => 1)
    async function* source() {
      for (let index = 0; index < 20; index++) yield { index, rows: 1, inputs: new Uint8Array(1) }
    }
    for await (const _ of runInOrder(source(), [slow], { feed, batch: 8, rowBytes }))
      await new Promise((done) => setTimeout(done, 3))
    expect(slow.most).toBe(most)
  })

  it('gives the memory of an output back to its device once the next is asked for', async () => {
    const devices = [device((call) => call), device(() => 3)]
    const last: TeacherOutput[] = []
    const given = devices.map((each) => vi.spyOn(each, 'takeBack'))
    const back = () => given.flatMap(({ mock }) => mock.calls.flat())
    for await (const { output } of runInOrder(batches(Array(9).fill(1)), devices, { feed, batch: 8, rowBytes: 1 })) {
      expect(back().length).toBe(last.length)
      expect(new Set(back())).toEqual(new Set(last))
      last.push(output!)
    }
    expect(given.map(({ mock }) => mock.calls.length)).toEqual(devices.map(({ calls }) => calls))
  })

  it('lets a batch without rows keep its place', async () => {
    const seen: [number, number | undefined][] = []
    for await (const { batch, output } of runInOrder(batches([2, 0, 3]), [device(() => 1)], {
      feed,
      batch: 8,
      rowBytes: 1,
    }))
      seen.push([batch.index, output?.rows])
    expect(seen).toEqual([
      [0, 2],
      [1, undefined],
      [2, 3],
    ])
  })

  it('reports a failing batch in its turn, after the rows before it', async () => {
    const failing: Device = {
      pending: 0,
      run: async (_, rows) => {
        if (rows === 3) throw new Error('batch of three')
        return output(rows)
      },
      takeBack: () => {},
      load: async () => {},
      close: async () => {},
    }
    const seen: number[] = []
    const run = async () => {
      for await (const { batch } of runInOrder(batches([1, 1, 3, 1]), [failing], { feed, batch: 8, rowBytes: 1 }))
        seen.push(batch.index)
    }
    await expect(run()).rejects.toThrow('batch of three')
    expect(seen).toEqual([0, 1])
  })
})
