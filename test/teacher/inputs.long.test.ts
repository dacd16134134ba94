import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { type CodecName, openTargets, verifyTargets } from '../../src/cache/index.js'
import { random } from '../../src/random.js'
import { exportTargets } from '../../src/teacher/index.js'
import { temporaryFolder } from '../helpers/folder.js'
import { sourceOf } from '../helpers/sources.js'
import { linearLogits, makeSequences, writeBigramTeacher, writeLinearTeacher } from '../helpers/teachers.js'

const classes = 7
const common = { provider: 'cpu', batch: 32, shardMb: 0.01 } as const

describe('exporting targets', () => {
  it('of rows of numbers', async () => {
    const dir = temporaryFolder()
    const teacher = writeLinearTeacher(join(dir, 'teacher.onnx'), { side: 4, classes })
    const stream = random('features')
    const values = Float32Array.from({ length: 100 * 16 }, () => stream.normal())
    const source = sourceOf({ kind: 'features', dtype: 'float32', shape: [16] }, values)
    // [N, 1, 4, 4] of [N, 16]: not flat, not a row
    await expect(
      exportTargets({ ...common, source, teacher: join(dir, 'teacher.onnx'), out: join(dir, 'no') }),
    ).rejects.toThrow(
      /teacher\.onnx: the teacher's input image: float32\[N,1,4,4\] does not fit the features: they give \[N,16\]/,
    )
    const square = sourceOf({ kind: 'features', dtype: 'float32', shape: [4, 4] }, values)
    const manifest = await exportTargets({
      ...common,
      source: square,
      codec: 'f32',
      teacher: join(dir, 'teacher.onnx'),
      out: join(dir, 'targets'),
    })
    expect(manifest).toMatchObject({ rows: 100, preprocess: null })
    const targets = await openTargets(join(dir, 'targets'))
    const { logits } = await targets.load()
    for (let row = 0; row < 100; row++) {
      const exact = linearLogits(
        teacher,
        values.subarray(row * 16, (row + 1) * 16).map((x) => x * 255),
      )
      exact.forEach((z, c) => {
        expect(logits[row * classes + c]).toBeCloseTo(z, 4)
      })
    }
    await targets.close()
  })

  it('of sequences of tokens, by position, with their lengths', async () => {
    const [dir, rows, length, vocabulary] = [temporaryFolder(), 100, 6, 11]
    const stream = random('tokens')
    const table = Float32Array.from({ length: vocabulary * vocabulary }, () => stream.normal())
    writeBigramTeacher(join(dir, 'teacher.onnx'), table)
    const { lengths, tokens } = makeSequences(stream, { rows, length, vocabulary })
    const source = sourceOf({ kind: 'tokens', dtype: 'int32', shape: [length] }, tokens)
    for (const codec of ['f32', 'f16'] as const) {
      const out = join(dir, codec)
      const manifest = await exportTargets({ ...common, codec, source, teacher: join(dir, 'teacher.onnx'), out })
      expect(manifest).toMatchObject({ rows, classes: vocabulary, positions: length })
      const targets = await openTargets(out)
      const all = await targets.load()
      expect([...all.columns.length!]).toEqual(lengths)
      tokens.forEach((token, at) => {
        for (let c = 0; c < vocabulary; c++) {
          const exact = token < 0 ? 0 : table[token * vocabulary + c]!
          expect(Math.abs(all.logits[at * vocabulary + c]! - exact)).toBeLessThan(codec === 'f32' ? 1e-6 : 2 ** -9)
        }
      })
      await targets.close()
    }
  })

  it.each<[CodecName, number?]>([
    ['topk:3'],
    ['sampled:3'],
    ['sampled:3', 13], // too old for the graph: the worker encodes
  ])("with the logit of each position's next token (%s)", async (codec, opset) => {
    const [dir, rows, length, vocabulary] = [temporaryFolder(), 50, 6, 11]
    const stream = random('next tokens')
    const table = Float32Array.from({ length: vocabulary * vocabulary }, () => 4 * stream.normal())
    writeBigramTeacher(join(dir, 'teacher.onnx'), table, opset)
    const { tokens } = makeSequences(stream, { rows, length, vocabulary })
    const source = sourceOf({ kind: 'tokens', dtype: 'int32', shape: [length] }, tokens)
    const options = { ...common, codec, source, teacher: join(dir, 'teacher.onnx') }
    expect(await exportTargets({ ...options, out: join(dir, 'targets') })).toMatchObject({
      positionLabels: 'next token',
    })
    const targets = await openTargets(join(dir, 'targets'))
    const { labelLogit } = (await targets.load()).buckets
    await targets.close()
    expect(labelLogit).toHaveLength(rows * length)
    tokens.forEach((token, at) => {
      const next = (at + 1) % length === 0 ? -1 : tokens[at + 1]!
      if (next < 0) expect(labelLogit![at]).toBeNaN()
      else expect(Math.abs(labelLogit![at]! - table[token * vocabulary + next]!)).toBeLessThan(2 ** -7)
    })
    expect(await verifyTargets(join(dir, 'targets'))).toMatchObject({ problems: [] })
  })
})
