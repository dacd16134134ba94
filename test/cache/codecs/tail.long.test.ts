import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { openTargets, TAIL_NODES, tailTable, tailWeights } from '../../../src/cache/index.js'
import { openSource, readPreprocess } from '../../../src/source/index.js'
import { exportTargets } from '../../../src/teacher/index.js'
import { temporaryFolder } from '../../helpers/folder.js'
import { makeLogits, rowsKinds } from './rows.js'
import { shareWithin, tailErrors } from './tail-errors.js'

describe('the mass of the tail, any T in [0.5, 20]: within 1 % on 99.9 % of rows, 1.5 % on all', () => {
  // Few rows of the widest: scripts/bench/codecs/tail.ts has thousands.
  const sizes = [
    { classes: 10, k: 3, rows: 1000 },
    { classes: 100, k: 8, rows: 300 },
    { classes: 1000, k: 16, rows: 60 },
    { classes: 50257, k: 16, rows: 1 },
  ]
  test.each(rowsKinds.flatMap((kind) => sizes.map((size) => ({ kind, ...size }))))(
    '$kind, $classes classes',
    ({ kind, classes, k, rows }) => {
      const errors = tailErrors(makeLogits(kind, { rows, classes }), { classes, k })
      expect(shareWithin(errors, 0.01)).toBeGreaterThanOrEqual(0.999)
      expect(Math.max(...errors)).toBeLessThanOrEqual(0.015)
    },
  )
})

test("the same of the example's teacher, on images that it was not trained on", async () => {
  const preprocess = await readPreprocess('data/preprocess.json')
  const source = await openSource('data/t10k-images-idx3-ubyte.gz', { preprocess })
  const out = temporaryFolder()
  const range = { from: 0, to: 500 }
  await exportTargets({ source, teacher: 'data/teacher.onnx', out, codec: 'f32', provider: 'cpu', range })
  await source.close()
  const targets = await openTargets(out)
  const { logits } = await targets.load()
  await targets.close()
  for (const k of [2, 3, 5]) {
    const errors = tailErrors(logits, { classes: 10, k })
    expect(shareWithin(errors, 0.01)).toBeGreaterThanOrEqual(0.999)
    expect(Math.max(...errors)).toBeLessThanOrEqual(0.015)
  }
})

test('a tail of equal logits, and one of a single class, are exact', () => {
  for (const [logits, k] of [
    [[5, 1, 1, 1], 1],
    [[3, 2, -7], 2],
  ] as const) {
    const errors = tailErrors(Float32Array.from(logits), { classes: logits.length, k })
    expect(errors[0]).toBeLessThan(1e-3)
  }
})

test('the weights of the nodes are those of Lagrange, whatever T', () => {
  const { softening, slope, offset, temperatures } = tailTable
  const xOf = (T: number) => slope / (1 + softening * T) + offset
  fc.assert(
    fc.property(fc.double({ min: 0.5, max: 20, noNaN: true }), (T) => {
      const weights = tailWeights(T)
      for (let i = 0; i < TAIL_NODES; i++) {
        let expected = 1
        for (let j = 0; j < TAIL_NODES; j++)
          if (i !== j) expected *= (xOf(T) - xOf(temperatures[j]!)) / (xOf(temperatures[i]!) - xOf(temperatures[j]!))
        expect(weights[i]).toBeCloseTo(expected, 9)
      }
    }),
  )
})

test('a temperature beyond the nodes is refused', () => {
  for (const T of [0.49, 20.1, Number.NaN]) expect(() => tailWeights(T)).toThrow('knows its tail from 0.5 to 20')
})
