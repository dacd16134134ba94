import { expect, it } from 'vitest'
import { poorFidelity } from '../../src/cache/poor-fidelity.js'

const at = (temperature: number, buckets: number, classes: number) => ({
  temperature,
  klBuckets: { mean: buckets, worst: 10 * buckets },
  klClasses: { mean: classes, worst: 10 * classes },
  tailError: null,
})
const codec = 'q8' as const
const fidelity = { rows: 100, temperatures: [at(1, 1e-6, 2e-3), at(4, 1e-4, 0.3), at(8, 5e-3, 1e-4)] }

it.each([
  [1, 'buckets', undefined],
  [3, 'buckets', undefined],
  [6, 'buckets', 'codec q8 at T = 8: KL to the teacher over what it keeps apart 5.0e-3 on average, 5.0e-2 at worst'],
  [20, 'buckets', /T = 8/],
  [0.5, 'classes', /T = 1: KL to the teacher over all classes 2\.0e-3/],
  [2, 'classes', /T = 4.* 3\.0e-1/],
  [8, 'classes', undefined],
] as const)('at T = %d over %s, by the worse of the two measured next to it', (temperature, over, expected) => {
  const said = poorFidelity({ codec, fidelity }, { temperature, over })
  if (expected === undefined) expect(said).toBeUndefined()
  else expect(said).toMatch(expected)
})

it('says nothing where nothing was measured', () => {
  expect(poorFidelity({ codec }, { temperature: 1, over: 'classes' })).toBeUndefined()
})
