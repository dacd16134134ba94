import { expect, test } from 'vitest'
import { poorFidelity } from '../../src/cache/check-fidelity.js'
import { type CodecName, measureFidelity } from '../../src/cache/index.js'
import { random } from '../../src/random.js'

const classes = 100
const stream = random('fidelity')
const logits = Float32Array.from({ length: 50 * classes }, () => 4 * stream.normal())
const measured = (codec: CodecName, scale = 1) => ({
  codec,
  fidelity: measureFidelity({ logits: logits.map((z) => z * scale), classes, codec }),
})

test('says nothing of good targets, and nothing where nothing was measured', () => {
  for (const temperature of [0.1, 1, 3, 50]) {
    expect(poorFidelity(measured('f16'), temperature)).toBeUndefined()
    expect(poorFidelity({ codec: 'hybrid:1', fidelity: undefined }, temperature)).toBeUndefined()
  }
  expect(poorFidelity(measured('topk:4'), 4)).toBeUndefined()
})

test('says how far poor targets are off, and beyond which temperatures a tail is not known', () => {
  expect(poorFidelity(measured('hybrid:1', 10), 2)).toMatch(
    /^at temperature 2 the targets are 0\.\d+ nats from the teacher's on average \(KL, codec hybrid:1\)$/,
  )
  expect(poorFidelity(measured('topk:4'), 30)).toBe(
    'codec topk:4 keeps its tail for temperatures 0.5 to 20, not for 30',
  )
})
