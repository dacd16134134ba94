import { describe, expect, it } from 'vitest'
import { alikePairs } from '../../src/viewer/alike.js'
import { type Sample, TEMPERATURES } from '../../src/viewer/api.js'
import { encodeMeans } from '../../src/viewer/classes.js'
import { softenSample } from '../../src/viewer/distribution.js'
import { decodeMeans } from '../../src/viewer/means.js'
import { placeIn } from '../../src/viewer/text.js'
import { softmax } from './fixtures.js'
import { makeFixture } from './page-answers.js'

const close = (found: number, wanted: number) => expect(Math.abs(found - wanted)).toBeLessThan(1e-12)

describe('the temperatures that a slider stops at', () => {
  it('go from 0.5 to 20 by equal factors, 1, 2, 4, 8 and 16 among them', () => {
    expect(TEMPERATURES[0]).toBe(0.5)
    expect(TEMPERATURES.at(-1)).toBe(20)
    expect(TEMPERATURES).toEqual(expect.arrayContaining([1, 2, 4, 8, 16]))
    for (let i = 1; i < TEMPERATURES.length - 1; i++) close(TEMPERATURES[i]! / TEMPERATURES[i - 1]!, 2 ** 0.125)
  })
})

describe('a sample at a temperature', () => {
  it.each([0, 8, 24, 43])('has the softmax of its logits, at stop %i', (stop) => {
    const { answer, logits, studentLogits } = makeFixture({ rows: 5, classes: 10, student: true })
    const { slots, tail, entropy } = softenSample(answer('/api/samples/3') as Sample, stop, 10)
    const [teacher, student] = [logits[3]!, studentLogits[3]!].map((z) => softmax(z, TEMPERATURES[stop]!))
    expect(slots).toHaveLength(10)
    for (const slot of slots) {
      close(slot.p, teacher![slot.class]!)
      close(slot.student!, student![slot.class]!)
    }
    expect(slots.map(({ p }) => p)).toEqual(slots.map(({ p }) => p).sort((a, b) => b - a))
    expect(tail).toBeNull()
    close(entropy, -teacher!.reduce((sum, p) => sum + p * Math.log(p), 0))
  })

  it.each([0, 8, 24, 43])('has the kept classes and the mass of the others, at stop %i', (stop) => {
    const { answer, logits } = makeFixture({ rows: 5, classes: 50, kept: 4 })
    const { slots, tail, entropy } = softenSample(answer('/api/samples/2') as Sample, stop, 50)
    const all = softmax(logits[2]!, TEMPERATURES[stop]!)
    for (const slot of slots) close(slot.p, all[slot.class]!)
    const kept = new Set(slots.map((slot) => slot.class))
    expect(tail?.classes).toBe(46)
    close(
      tail!.p,
      all.reduce((sum, p, c) => (kept.has(c) ? sum : sum + p), 0),
    )
    const spread = all.map((p, c) => (kept.has(c) ? p : tail!.p / 46))
    close(
      entropy,
      spread.reduce((sum, p) => sum - p * Math.log(p), 0),
    )
  })

  it('has nothing in an empty tail', () => {
    const { answer } = makeFixture({ rows: 2, classes: 10, kept: 9 })
    const sample = { ...(answer('/api/samples/0') as Sample), tail: TEMPERATURES.map(() => -1e30) }
    expect(softenSample(sample, 8, 10).tail).toEqual({ classes: 1, p: 0, student: null })
  })
})

describe('pairs of classes that are alike', () => {
  it('are those that give each other most, the stronger way first', () => {
    const mean = Float32Array.of(0.7, 0.1, 0.2, 0.05, 0.9, 0.05, 0.3, 0, 0.7)
    const pairs = alikePairs({ temperature: 4, classes: [4, 5, 6], rows: [1, 1, 1], order: [0, 1, 2], mean }, 2)
    expect(pairs.map(({ from, to }) => [from, to])).toEqual([
      [6, 4],
      [4, 5],
    ])
    expect(pairs[0]!.mass).toBeCloseTo(0.25)
  })
})

it('takes what is typed as a position for the nearest that there is', () => {
  expect(['0', '2', '1.5', '-1', '7', '', 'x', '1e9'].map((text) => placeIn(text, 4))).toEqual([0, 2, 2, 0, 3, 0, 0, 3])
})

it('sends means whatever rounding leaves of them: a little below 0 is 0, and not 1; nor is NaN', () => {
  const means = encodeMeans([Float32Array.of(1 + 1e-7, -1e-12, Number.NaN, 0.25)])
  const { mean } = decodeMeans({ classes: [0, 1], rows: [1, 1], order: [0, 1], stops: [8], means }, 8)
  expect([...mean].map((p) => Number(p.toFixed(4)))).toEqual([1, 0, 0, 0.25])
})
