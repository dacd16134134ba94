import { describe, expect, it } from 'vitest'
import { type Buckets, type CodecName, codecOf, TAIL_RANGE } from '../../../src/cache/index.js'
import { random } from '../../../src/random.js'

const [rows, classes] = [20, 12]
const { normal, below } = random('masked classes')
/** Half of the classes of each row are masked, other ones each time; never the first. */
const isMasked = Array.from({ length: rows * classes }, (_, i) => i % classes > 0 && below(2) === 0)
const finite = Float32Array.from({ length: rows * classes }, () => 3 * normal())
const masked = (mask: number) => finite.map((z, i) => (isMasked[i] ? mask : z))
const labels = Int32Array.from({ length: rows }, (_, row) => row % classes)
const keys = Uint32Array.from({ length: rows }, random('keys').uint32)
const encode = (codec: CodecName, mask: number) =>
  codecOf(codec).encode({ logits: masked(mask), classes, labels, keys })
const masks = [Number.NEGATIVE_INFINITY, Math.fround(-3.4028234663852886e38), -1e6]
const topOf = (row: number) =>
  Math.max(...finite.subarray(row * classes, (row + 1) * classes).filter((_, c) => !isMasked[row * classes + c]))

describe.each(['f32', 'f16'] as const)('codec %s', (codec) => {
  it('keeps a masked class 65504 below the row’s top, whatever it is masked with', () => {
    for (const mask of masks) {
      const logits = codecOf(codec).decode(encode(codec, mask), { classes, labelled: true }) as Float32Array
      for (const [i, z] of logits.entries()) {
        const gap = topOf(Math.floor(i / classes)) - z
        if (isMasked[i]) expect(Math.abs(gap - 65504)).toBeLessThan(0.01)
        else expect(Math.abs(z - finite[i]!)).toBeLessThan(codec === 'f32' ? 1e-30 : 1e-2)
      }
    }
  })
})

describe.each(['topk:3', 'topk:11', 'sampled:3', 'sampled:60'] as const)('codec %s', (codec) => {
  it('keeps the statistics of the classes that are not masked, and the mass that they have', () => {
    for (const mask of masks) {
      const columns = encode(codec, mask)
      const kept = codecOf(codec).decode(columns, { classes, labelled: true }) as Buckets
      for (let row = 0; row < rows; row++) {
        const present = [...finite.subarray(row * classes, (row + 1) * classes)].filter(
          (_, c) => !isMasked[row * classes + c],
        )
        const mean = present.reduce((sum, z) => sum + z / present.length, 0)
        const squares = present.reduce((sum, z) => sum + (z - mean) ** 2, 0)
        const deviation = Math.sqrt(squares / Math.max(1, present.length - 1))
        expect(Math.abs(kept.mean[row]! - mean)).toBeLessThan(1e-2)
        expect(Math.abs(kept.std[row]! * Math.sqrt(classes / (classes - 1)) - deviation)).toBeLessThan(1e-2)
        for (const T of [TAIL_RANGE.low, 1, 4, TAIL_RANGE.high]) {
          const head = [...kept.logits.subarray(row * kept.k, (row + 1) * kept.k)]
          const mass = head.reduce((sum, z) => sum + Math.exp(z / T), 0) + Math.exp(kept.logTail(T)[row]!)
          const exact = present.reduce((sum, z) => sum + Math.exp(z / T), 0)
          expect(Math.abs(mass / exact - 1)).toBeLessThan(2e-2)
        }
        const label = labels[row]!
        const gap = topOf(row) - kept.labelLogit![row]!
        if (isMasked[row * classes + label]) expect(Math.abs(gap - 65504)).toBeLessThan(0.01)
      }
      if (!codec.startsWith('sampled')) continue
      for (const [i, c] of kept.index.entries())
        if (isMasked[Math.floor(i / kept.k) * classes + c]) expect(kept.count![i]).toBe(0)
    }
  })
})

it('of logits too large for such a gap in float32 none is raised to the top', () => {
  const logits = Float32Array.of(3e38, -3e38, 0, 1e13)
  expect(codecOf('f32').encode({ logits, classes: 4 }).logits).toEqual(logits)
  const halves = codecOf('f16').encode({ logits, classes: 4 })
  expect([...codecOf('f16').tops(halves, { classes: 4, labelled: false }, Int32Array.of(-1))]).toEqual([0])
  expect(halves.logits!.filter((half) => half === 0)).toHaveLength(1)
})

it.each(['q8', 'hybrid:40'] as const)('codec %s refuses them', (codec) => {
  for (const mask of masks)
    expect(() => encode(codec, mask)).toThrow(
      `codec ${codec} cannot keep a class that is masked (65504 below the row's top logit)`,
    )
})
