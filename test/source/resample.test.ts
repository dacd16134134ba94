import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createBudget } from '../../src/source/budget.js'
import type { Channels } from '../../src/source/channels.js'
import { type Filter, filters, planResampling, resample } from '../../src/source/resample/index.js'

interface Picture {
  data: Uint8Array
  width: number
  height: number
  channels: Channels
}
interface Options {
  to: { width: number; height: number }
  filter: Filter
  antialias: boolean
}

async function resize(picture: Picture, { to, filter, antialias }: Options): Promise<Uint8Array> {
  const window = { left: 0, top: 0, ...to }
  const plan = planResampling(picture, { to, window, filter, antialias })
  return (await resample(cut(picture, plan.region), plan, picture.channels)).data
}

interface Box {
  left: number
  top: number
  width: number
  height: number
}

function cut({ data, width, channels }: Picture, box: Box): Picture {
  const bytes = new Uint8Array(box.width * box.height * channels)
  for (let y = 0; y < box.height; y++) {
    const start = ((box.top + y) * width + box.left) * channels
    bytes.set(data.subarray(start, start + box.width * channels), y * box.width * channels)
  }
  return { data: bytes, width: box.width, height: box.height, channels }
}

/** The reference: the sum over all pixels of the product of both axes' weights, in float64, rounded once. */
function reference({ data, width, height, channels }: Picture, { to, filter, antialias }: Options): number[] {
  const weigh = antialias ? weighWidened : weighNeighbours
  const across = Array.from({ length: to.width }, (_, i) => weigh(filter, { i, from: width, to: to.width }))
  const down = Array.from({ length: to.height }, (_, i) => weigh(filter, { i, from: height, to: to.height }))
  const values: number[] = []
  for (const rows of down)
    for (const columns of across)
      for (let c = 0; c < channels; c++) {
        let sum = 0
        for (const [y, v] of rows) for (const [x, h] of columns) sum += v * h * data[(y * width + x) * channels + c]!
        values.push(sum)
      }
  return values
}

/** Filters from their definitions: Duchon 1979, Keys 1981 with a = -1/2, the hat and the box. */
const shapes: Record<Exclude<Filter, 'nearest'>, { reach: number; at(x: number): number }> = {
  lanczos3: {
    reach: 3,
    at: (x) => (x === 0 ? 1 : (3 * Math.sin(Math.PI * x) * Math.sin((Math.PI * x) / 3)) / (Math.PI * x) ** 2),
  },
  bicubic: { reach: 2, at: (x) => keys(x, -0.5) },
  bilinear: { reach: 1, at: (x) => 1 - Math.abs(x) },
  box: { reach: 0.5, at: () => 1 },
}

function keys(x: number, a: number): number {
  const d = Math.abs(x)
  return d <= 1 ? (a + 2) * d ** 3 - (a + 3) * d ** 2 + 1 : a * d ** 3 - 5 * a * d ** 2 + 8 * a * d - 4 * a
}

interface Place {
  i: number
  from: number
  to: number
}

/** By centres; the filter as wide as the coarser grid; weights of pixels that are there, with the sum 1. */
function weighWidened(filter: Filter, { i, from, to }: Place): [pixel: number, weight: number][] {
  const centre = ((i + 0.5) * from) / to
  if (filter === 'nearest') return [[Math.floor(centre), 1]]
  const { reach, at } = shapes[filter]
  const width = Math.max(1, from / to)
  const near = Array.from({ length: from }, (_, pixel): [number, number] => [pixel, (pixel + 0.5 - centre) / width])
    .filter(([, x]) => Math.abs(x) < reach)
    .map(([pixel, x]): [number, number] => [pixel, at(x)])
  const sum = near.reduce((sum, [, weight]) => sum + weight, 0)
  return near.map(([pixel, weight]) => [pixel, weight / sum])
}

/** Between neighbours, the edge's pixel standing for those behind it. */
function weighNeighbours(filter: Filter, { i, from, to }: Place): [pixel: number, weight: number][] {
  if (filter === 'nearest') return [[Math.floor((i * from) / to), 1]]
  const place = ((i + 0.5) * from) / to - 0.5
  const first = Math.floor(place)
  const all = filter === 'bilinear' ? [0, 1] : [-1, 0, 1, 2]
  const weight = (d: number) => (filter === 'bilinear' ? 1 - Math.abs(d) : keys(d, -0.75))
  return all.map((k) => [Math.min(from - 1, Math.max(0, first + k)), weight(place - (first + k))])
}

/** Bytes from 60 to 195: no filter overshoots beyond 0 to 255, so that nothing is cut between the passes. */
const noise = ({ width, height, channels }: Omit<Picture, 'data'>): Uint8Array => {
  let state = 1
  return Uint8Array.from({ length: width * height * channels }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return 60 + ((state >>> 16) / 2 ** 16) * 136
  })
}

// Odd sides: no centre falls on the edge of a pixel, where the last bit of a quotient would decide.
const sizes = [
  { width: 21, height: 21, to: { width: 23, height: 25 } },
  { width: 51, height: 37, to: { width: 33, height: 25 } },
  { width: 31, height: 41, to: { width: 5, height: 3 } },
  { width: 3, height: 5, to: { width: 25, height: 17 } },
  { width: 9, height: 31, to: { width: 21, height: 11 } },
  { width: 31, height: 9, to: { width: 11, height: 21 } },
  { width: 1, height: 1, to: { width: 5, height: 9 } },
]
const kinds = [
  ...filters.map((filter) => ({ filter, antialias: true })),
  ...(['bicubic', 'bilinear', 'nearest'] as const).map((filter) => ({ filter, antialias: false })),
]

describe.each(kinds)('$filter, antialias $antialias', (kind) => {
  test.each(sizes)('$width×$height to $to.width×$to.height: within a level of the sum in float64', async (size) => {
    for (const channels of [1, 3] as const) {
      const picture = { width: size.width, height: size.height, channels, data: noise({ ...size, channels }) }
      const made = await resize(picture, { ...kind, to: size.to })
      const expected = reference(picture, { ...kind, to: size.to })
      expect(made.length).toBe(expected.length)
      // After each pass is rounded: half a level, and that of the first times the sum of |weights|, 1.5 at most.
      const off = Math.max(...expected.map((value, i) => Math.abs(made[i]! - Math.round(value))))
      expect(off).toBeLessThanOrEqual(1)
    }
  })

  test.runIf(kind.antialias || kind.filter !== 'nearest')(
    'a symmetric picture stays symmetric: nothing moves to either side',
    async () => {
      for (const [from, to] of [
        [20, 33],
        [33, 20],
        [16, 5],
      ] as const) {
        const row = Array.from({ length: from }, (_, i) => 40 + 9 * Math.min(i, from - 1 - i))
        const data = Uint8Array.from(Array.from({ length: from }, () => row).flat())
        const picture = { data, width: from, height: from, channels: 1 as const }
        const made = await resize(picture, { ...kind, to: { width: to, height: to } })
        const first = [...made.subarray(0, to)]
        expect(first).toEqual(first.toReversed())
        expect([...made]).toEqual([...made].reverse())
      }
    },
  )
})

test('one colour stays as it is, at every size and by every filter', async () => {
  const side = fc.integer({ min: 1, max: 40 })
  await fc.assert(
    fc.asyncProperty(
      side,
      side,
      side,
      side,
      fc.constantFrom(...kinds),
      fc.nat(255),
      async (w, h, a, b, kind, level) => {
        const picture = { data: new Uint8Array(w * h).fill(level), width: w, height: h, channels: 1 as const }
        const made = await resize(picture, { ...kind, to: { width: a, height: b } })
        expect(new Set(made)).toEqual(new Set([level]))
      },
    ),
    { numRuns: 60 },
  )
})

test('a window has the bytes that the whole has there, made of the region alone', async () => {
  const picture = { width: 90, height: 70, channels: 3 as const, data: noise({ width: 90, height: 70, channels: 3 }) }
  for (const to of [
    { width: 60, height: 50 },
    { width: 120, height: 95 },
    { width: 100, height: 20 },
  ]) {
    const options = { to, filter: 'lanczos3' as const, antialias: true }
    const window = { left: 11, top: 7, width: 30, height: 12 }
    const plan = planResampling(picture, { ...options, window })
    const part = await resample(cut(picture, plan.region), plan, 3)
    const whole = { data: await resize(picture, options), ...to, channels: 3 as const }
    expect(part.data).toEqual(cut(whole, window).data)
    expect(plan.region.width).toBeLessThan(picture.width)
  }
})

test('first down where a picture becomes lower by more than twice what it becomes narrower, as Pillow 13 does', () => {
  const passes = (width: number, height: number, to: { width: number; height: number }) =>
    planResampling({ width, height }, { to, window: { left: 0, top: 0, ...to } }).passes.length
  expect(passes(100, 100, { width: 110, height: 90 })).toBe(2)
  expect(passes(100, 100, { width: 90, height: 79 })).toBe(2)
  expect(passes(100, 100, { width: 90, height: 80 })).toBe(1)
  expect(passes(100, 100, { width: 110, height: 101 })).toBe(1)
})

test('tall pictures are made by columns: each has the bytes that it has alone', async () => {
  const [width, height] = [8, 60_000]
  const data = noise({ width, height, channels: 3 })
  const picture: Picture = { data, width, height, channels: 3 }
  const to = { width: 120, height: 2 }
  const whole = {
    data: await resize(picture, { to, filter: 'bilinear', antialias: true }),
    ...to,
    channels: 3 as const,
  }
  for (const left of [0, 91, 93, 119]) {
    const window = { left, top: 0, width: 1, height: 2 }
    const plan = planResampling(picture, { to, window, filter: 'bilinear' })
    expect(plan.passes[0]!.down.first.length).toBe(2)
    expect((await resample(cut(picture, plan.region), plan, 3)).data).toEqual(cut(whole, window).data)
  }
})

test('pictures that are resampled at once do not mix', async () => {
  // large enough that other work has its turn in between
  const make = (level: number): Picture => {
    const data = new Uint8Array(1000 * 3000 * 3)
    for (let i = 0; i < data.length; i++) data[i] = (i * 7) % level
    return { data, width: 1000, height: 3000, channels: 3 }
  }
  const options = { to: { width: 70, height: 50 }, filter: 'bicubic' as const, antialias: true }
  const alone: Uint8Array[] = []
  for (const level of [40, 90, 200]) alone.push(await resize(make(level), options))
  expect(await Promise.all([40, 90, 200].map((level) => resize(make(level), options)))).toEqual(alone)
})

test('a budget: work starts in order, as long as what it takes together is within the total; more than that runs alone', async () => {
  const hold = createBudget(10)
  const events: string[] = []
  const ends: (() => void)[] = []
  const start = (name: string, amount: number) =>
    hold(amount, async () => {
      events.push(name)
      await new Promise<void>((end) => ends.push(end))
    })
  const turn = () => new Promise((done) => setImmediate(done))
  const all = [start('a', 4), start('b', 6), start('c', 99), start('d', 1)]
  await turn()
  expect(events).toEqual(['a', 'b'])
  ends[0]!()
  await turn()
  expect(events).toEqual(['a', 'b'])
  ends[1]!()
  await turn()
  expect(events).toEqual(['a', 'b', 'c'])
  ends[2]!()
  await turn()
  expect(events).toEqual(['a', 'b', 'c', 'd'])
  ends[3]!()
  await Promise.all(all)
  await expect(hold(1, async () => Promise.reject(new Error('no')))).rejects.toThrow('no')
  expect(await hold(10, async () => 'free again')).toBe('free again')
})
