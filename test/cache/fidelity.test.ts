import { expect, test } from 'vitest'
import { type BucketedCodec, codecOf, measureFidelity } from '../../src/cache/index.js'
import { logSumExp, makeLogits } from './codecs/rows.js'

const [classes, rows] = [40, 20]
const logits = makeLogits('gaussian', { rows, classes })

test('what is lossless has no error, and a wider codec no more than a narrower one', () => {
  const at = (codec: Parameters<typeof measureFidelity>[0]['codec']) => measureFidelity({ logits, classes, codec })
  expect(at('f32').rows).toBe(rows)
  expect(at('f32').temperatures.map(({ temperature }) => temperature)).toEqual([0.5, 1, 2, 4, 8, 20])
  for (const { klBuckets, klClasses, tailError } of at('f32').temperatures)
    expect([klBuckets.worst < 1e-12, klClasses.worst < 1e-12, tailError]).toEqual([true, true, null])
  const worst = (codec: Parameters<typeof at>[0]) => Math.max(...at(codec).temperatures.map((t) => t.klClasses.worst))
  expect(worst('f16')).toBeLessThan(worst('q8'))
  expect(worst('q8')).toBeLessThan(worst('hybrid:45'))
  expect(worst('hybrid:45')).toBeLessThan(worst('topk:8'))
})

test('the figures of a bucketed codec are those of the definition', () => {
  const codec = codecOf('topk:4') as BucketedCodec
  const buckets = codec.decode(codec.encode({ logits, classes }), { classes, labelled: false })
  const { temperatures } = measureFidelity({ logits, classes, codec: 'topk:4' })
  for (const { temperature, klBuckets, klClasses, tailError } of temperatures) {
    const tails = buckets.logTail(temperature)
    const kls = Array.from({ length: rows }, (_, row) => {
      const z = [...logits.subarray(row * classes, (row + 1) * classes)].map((v) => v / temperature)
      const p = z.map((v) => Math.exp(v - logSumExp(z)))
      const head = [...buckets.index.subarray(row * 4, row * 4 + 4)]
      const kept = [...[...buckets.logits.subarray(row * 4, row * 4 + 4)].map((v) => v / temperature), tails[row]!]
      const q = kept.map((v) => Math.exp(v - logSumExp(kept)))
      // all classes: the head's q, the tail's mass spread evenly
      const dense = p.map((_, c) => (head.includes(c) ? q[head.indexOf(c)]! : q[4]! / (classes - 4)))
      const tail = p.reduce((sum, v, c) => (head.includes(c) ? sum : sum + v), 0)
      const both = [...head.map((c, i) => [p[c]!, q[i]!]), [tail, q[4]!]]
      return {
        classes: p.reduce((sum, v, c) => sum + v * Math.log(v / dense[c]!), 0),
        buckets: both.reduce((sum, [a, b]) => sum + a! * Math.log(a! / b!), 0),
        tail: tail < 1e-4 ? 0 : Math.abs(q[4]! / tail - 1),
      }
    })
    const meanOf = (key: 'classes' | 'buckets') => kls.reduce((sum, kl) => sum + kl[key] / rows, 0)
    expect(klClasses.mean).toBeCloseTo(meanOf('classes'), 9)
    expect(klBuckets.mean).toBeCloseTo(meanOf('buckets'), 9)
    expect(klClasses.worst).toBeCloseTo(Math.max(...kls.map((kl) => kl.classes)), 9)
    expect(tailError!.worst).toBeCloseTo(Math.max(...kls.map((kl) => kl.tail)), 6)
  }
})

test('logits as far apart as float32 has them give figures that a manifest can hold', () => {
  const logits = Float32Array.of(3e38, -3e38, 0, 1)
  for (const codec of ['f32', 'f16', 'topk:2'] as const) {
    const { temperatures } = measureFidelity({ logits, classes: 4, codec })
    expect(JSON.stringify(temperatures.map(({ klBuckets, klClasses }) => [klBuckets, klClasses]))).not.toContain('null')
  }
})
