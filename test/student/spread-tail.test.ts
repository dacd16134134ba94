import { expect, it } from 'vitest'
import { softTargets } from '../../src/cache/index.js'
import { spreadTail } from '../../src/student/spread-tail.js'

const z = [1, 4, -2, 0.5, 3, -1]
const temperature = 2
const known = {
  k: 2,
  index: Int32Array.of(1, 4),
  logits: Float32Array.of(4, 3),
  logTail: (T: number) => [Math.log([1, -2, 0.5, -1].reduce((sum, x) => sum + Math.exp(x / T), 0))],
  labelLogit: Float32Array.of(-2),
  top: Float32Array.of(4),
}
const soft = softTargets(z, temperature)
const spread = (labels?: Int32Array) =>
  softTargets(spreadTail(known, { classes: 6, temperature, ...(labels && { labels }) })(0), 1)

it('gives the known classes their own and the others even shares of the rest', () => {
  const found = spread()
  const rest = (soft[0]! + soft[2]! + soft[3]! + soft[5]!) / 4
  ;[rest, soft[1]!, rest, rest, soft[4]!, rest].forEach((p, c) => {
    expect(found[c]).toBeCloseTo(p, 6)
  })
})

it('gives the label its own', () => {
  const found = spread(Int32Array.of(2))
  const rest = (soft[0]! + soft[3]! + soft[5]!) / 3
  ;[rest, soft[1]!, soft[2]!, rest, soft[4]!, rest].forEach((p, c) => {
    expect(found[c]).toBeCloseTo(p, 6)
  })
})
