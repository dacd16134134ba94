import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ahead, batchStarts } from '../../src/source/batching.js'

test('ahead keeps the order and the bound, whatever the order in which results come', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(3), { maxLength: 12 }), fc.integer({ min: 1, max: 4 }), async (delays, depth) => {
      let made = 0
      const got: number[] = []
      const make = async (i: number) => {
        made++
        await sleep(delays[i])
        return i
      }
      for await (const i of ahead(delays.keys(), depth, make)) {
        got.push(i)
        expect(made).toBe(Math.min(delays.length, got.length + depth))
      }
      expect(got).toEqual([...delays.keys()])
    }),
    { numRuns: 30 },
  )
})

test('a consumer that leaves stops what is queued and waits for what is under way', async () => {
  const ended: string[] = []
  const make = async (i: number, stopped: AbortSignal) => {
    await sleep(5)
    ended.push(stopped.aborted ? `${i} stopped` : `${i}`)
  }
  for await (const _ of ahead([0, 1, 2, 3, 4, 5], 2, make)) break
  expect(ended).toEqual(['0', expect.stringMatching(/^1/), expect.stringMatching(/^2/)])
})

test('a failure is thrown in its turn, and later ones are no unhandled rejections', async () => {
  const got: number[] = []
  const run = async () => {
    const fail = async (i: number) => (i === 0 ? i : Promise.reject(new Error(`item ${i}`)))
    for await (const i of ahead([0, 1, 2, 3], 3, fail)) got.push(i)
  }
  await expect(run()).rejects.toThrow('item 1')
  expect(got).toEqual([0])
})

test('batches cover the range', () => {
  expect([...batchStarts({ from: 3, to: 10, size: 3 })]).toEqual([3, 6, 9])
  expect([...batchStarts({ from: 3, to: 3, size: 3 })]).toEqual([])
})
