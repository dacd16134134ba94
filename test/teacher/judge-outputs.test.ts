import { describe, expect, test } from 'vitest'
import { random } from '../../src/random.js'
import {
  floorOf,
  judgeValues,
  largestDifference,
  type SampledValues,
  SUM_TOLERANCE,
} from '../../src/teacher/judge-outputs.js'
import { softmax } from '../onnx/models.js'

const stream = random('judge')
const classes = 5
/** Rows of C values, one by one. */
const make = (rows: number, row: () => number[]) => Float32Array.from(Array.from({ length: rows }, row).flat())
const scores = () => Array.from({ length: classes }, () => 2 * stream.normal())
const judge = (values: Float32Array, options: Partial<SampledValues> = {}) =>
  judgeValues({ values, classes, tolerance: SUM_TOLERANCE.float32, probable: false, ...options })

describe('the numbers alone', () => {
  test.each([
    ['scores of a linear model', () => scores(), 'logits'],
    ['scores after a ReLU', () => scores().map((v) => Math.max(0, 3 * v)), 'logits'],
    [
      'scores of rows that sum to 0',
      () => ((row) => row.map((v) => v - row.reduce((a, b) => a + b) / classes))(scores()),
      'logits',
    ],
    // least squares on one-hot labels: rows sum to 1, and some values are below 0
    [
      'a linear model of probabilities',
      () => ((row) => row.map((v) => (v - row.reduce((a, b) => a + b) / classes) / 4 + 1 / classes))(scores()),
      'logits',
    ],
    ['softmax', () => softmax(scores()), 'probabilities'],
    ['softmax in three digits, of a hard teacher', () => softmax(scores().map((v) => 5 * v)), 'probabilities'],
    ['log softmax', () => softmax(scores()).map(Math.log), 'log-probabilities'],
    [
      'sigmoids',
      () => scores().map((v) => 1 / (1 + Math.exp(-v))),
      /all sampled values lie in \[0, 1\], but the rows sum to [\d.]+ to [\d.]+/,
    ],
    ['cosines from 0 to 1', () => scores().map((v) => Math.abs(Math.cos(v))), /all sampled values lie in \[0, 1\]/],
    ['percentages', () => softmax(scores()).map((p) => 100 * p), /every row sums to 100, as percentages or counts do/],
    [
      'negative log-probabilities',
      () => softmax(scores()).map((p) => -Math.log(p)),
      /logarithms of probabilities with the sign turned/,
    ],
    [
      'votes of 8 models',
      () =>
        Array.from({ length: 8 }, () => stream.below(classes)).reduce(
          (row, c) => row.with(c, row[c]! + 1),
          Array<number>(classes).fill(0),
        ),
      /every row sums to 8/,
    ],
    [
      'one-hot rows',
      () => Array<number>(classes).fill(0).with(stream.below(classes), 1),
      /every sampled row is a 1 among zeros/,
    ],
  ] as [string, () => number[], string | RegExp][])('%s', (_, row, expected) => {
    const verdict = judge(make(256, row))
    if (typeof expected === 'string') expect(verdict).toBe(expected)
    else expect(verdict).toEqual({ unclear: expect.stringMatching(expected) })
  })

  test('few rows that sum to 1, or many that are the same, may be chance', () => {
    const unclear = { unclear: expect.stringMatching(/sum to 1 as probabilities do, but only \d of them differ/) }
    expect(judge(make(7, () => softmax(scores())))).toEqual(unclear)
    expect(judge(make(8, () => softmax(scores())))).toBe('probabilities')
    const row = softmax(scores())
    expect(judge(make(256, () => row))).toEqual(unclear)
  })
  test('few rows of logarithms are logits, which is the same', () => {
    expect(judge(make(7, () => softmax(scores()).map(Math.log)))).toBe('logits')
  })
  test('the graph says that they are probabilities: rows may be few, and ones among zeros', () => {
    expect(
      judge(
        make(1, () => softmax(scores())),
        { probable: true },
      ),
    ).toBe('probabilities')
    expect(
      judge(
        make(20, () => [0, 1, 0, 0, 0]),
        { probable: true },
      ),
    ).toBe('probabilities')
    // but not of one label a row
    expect(
      judge(
        make(20, () => scores().map((v) => 1 / (1 + Math.exp(-v)))),
        { probable: true },
      ),
    ).toHaveProperty('unclear')
    expect(judge(make(20, scores), { probable: true })).toBe('logits')
  })
  test('a sum of 1 within 1e-3, of quantized values within 2e-2', () => {
    const off = (by: number) => make(50, () => softmax(scores()).map((p) => p * (1 + by)))
    expect(judge(off(9e-4))).toBe('probabilities')
    expect(judge(off(1.5e-3))).toHaveProperty('unclear')
    expect(judge(off(1.9e-2), { tolerance: SUM_TOLERANCE.coarse })).toBe('probabilities')
    expect(judge(off(2.5e-2), { tolerance: SUM_TOLERANCE.coarse })).toHaveProperty('unclear')
  })
})

describe('how far the softmax of logits is from what an output says', () => {
  const options = { classes: 3, columns: 3, logarithm: false, normalised: true, coarse: false }
  const z = Float32Array.of(1, 2, 3, 0, 0, 0)
  const p = Float32Array.from([...softmax([1, 2, 3]), ...softmax([0, 0, 0])])

  test('nothing, whatever constant a row of logits has', () => {
    expect(largestDifference({ logits: z.map((v, i) => v + (i < 3 ? 7 : -9)), values: p }, options)).toBeLessThan(1e-6)
    expect(largestDifference({ logits: z, values: p.map(Math.log) }, { ...options, logarithm: true })).toBeLessThan(
      1e-6,
    )
  })
  test('half of the sum over the classes of the worst row; of coarse values the largest of a class', () => {
    const values = p.map((v, i) => v + [0.01, -0.02, 0.02, 0.003, 0.003, -0.006][i]!)
    expect(largestDifference({ logits: z, values }, options)).toBeCloseTo(0.025, 6)
    expect(largestDifference({ logits: z, values }, { ...options, coarse: true })).toBeCloseTo(0.02, 6)
  })
  test('many classes, each of them little apart, are far apart together', () => {
    const classes = 1000
    // a thousand sigmoids of which none is likely: a softmax of them is flat
    const logits = new Float32Array(classes).fill(-8)
    const values = logits.map((v) => 1 / (1 + Math.exp(-v)))
    expect(largestDifference({ logits, values }, { ...options, classes, columns: classes })).toBeGreaterThan(0.3)
  })
  test('one column is of the second class', () => {
    const values = Float32Array.of(1 / (1 + Math.exp(-2)))
    const two = { ...options, classes: 2, columns: 1 }
    expect(largestDifference({ logits: Float32Array.of(0, 2), values }, two)).toBeLessThan(1e-6)
    expect(largestDifference({ logits: Float32Array.of(0, -2), values }, two)).toBeGreaterThan(0.5)
  })
})

describe('what a probability that reads 0 may have been', () => {
  const tiny = 2 ** -126
  const options = { classes: 2, coarse: false, tiny }

  test('no zero among them: what the type cannot tell from 0', () => {
    expect(floorOf(Float32Array.of(0.25, 0.75, 1e-9, 1), options)).toBe(tiny)
    expect(floorOf(Float32Array.of(), options)).toBe(tiny)
  })
  test('half of the least step seen', () => {
    // 1 - p in float32: steps of 2^-24
    expect(floorOf(Float32Array.of(0, 1, 2 ** -24, 1 - 2 ** -24), options)).toBe(2 ** -25)
    // a byte of scale 1/256
    expect(floorOf(Float32Array.of(1 / 256, 255 / 256, 0.5, 0.5), { ...options, coarse: true })).toBe(1 / 512)
    // float16, whose least number is 2^-24
    expect(floorOf(Float32Array.of(0, 1, 2 ** -24, 1), { ...options, tiny: 2 ** -25 })).toBe(2 ** -25)
  })
  test('a power of two, below the step where that is none', () => {
    expect(floorOf(Float32Array.of(0, 1, 3e-6, 1 - 3e-6), options)).toBe(2 ** -20)
  })
  test('the zeros of a row together do not change what its other classes say', () => {
    // a forest of 100 trees: its shares are exact
    const forest = Float32Array.from({ length: 1000 }, (_, c) => (c === 3 ? 0.99 : c === 4 ? 0.01 : 0))
    const floor = floorOf(forest, { ...options, classes: 1000 })
    expect(998 * floor).toBeLessThanOrEqual(1e-5)
    expect(998 * floor).toBeGreaterThan(4e-6)
    const bytes = Float32Array.from({ length: 1000 }, (_, c) => (c < 2 ? 127 / 255 : c === 2 ? 1 / 255 : 0))
    const coarse = floorOf(bytes, { ...options, classes: 1000, coarse: true })
    expect(997 * coarse).toBeLessThanOrEqual(2e-2)
  })
})
