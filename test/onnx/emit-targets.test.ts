import { InferenceSession, Tensor } from 'onnxruntime-node'
import { describe, expect, test } from 'vitest'
import { headOf } from '../../src/cache/codecs/buckets.js'
import { type CodecName, codecOf } from '../../src/cache/codecs/codec.js'
import { halfValues } from '../../src/cache/codecs/half.js'
import { tailTable } from '../../src/cache/codecs/tail.js'
import { uniformsOf } from '../../src/cache/codecs/uniforms.js'
import { opsetOfTarget, type Target } from '../../src/onnx/emit-targets.js'
import { fuseTeacher } from '../../src/onnx/fuse-teacher.js'
import { encodeModel } from '../../src/onnx/graph-builder.js'
import { random } from '../../src/random.js'
import { words } from '../../src/teacher/run-rows.js'
import { build, floats } from './models.js'

/** Rows of many kinds: Gaussian, heavy-tailed, nearly one-hot, few different values, all equal, gaps of 1 to 10^`decades`: beyond float16, which is masked. */
function rowsOf(classes: number, rows: number, decades: number): Float32Array {
  const stream = random('rows', classes)
  const kinds: (() => number)[] = [
    () => 3 * stream.normal(),
    () => stream.normal() / (0.05 + stream.uniform()),
    () => (stream.uniform() < 1 / classes ? 30 : 0.1 * stream.normal()),
    () => stream.below(4),
    () => 2,
    () => -(10 ** (decades * stream.uniform())),
    ...(decades > 4 ? [() => (stream.below(3) ? 3 * stream.normal() : Number.NEGATIVE_INFINITY)] : []),
  ]
  return Float32Array.from({ length: rows * classes }, (_, i) => kinds[Math.floor(i / classes) % kinds.length]!())
}

function targetOf(name: CodecName, classes: number): Target {
  const [codec, k] = name.split(':')
  if (codec === 'f32' || codec === 'f16') return codec
  if (codec === 'q8') return { codec }
  const { temperatures } = tailTable
  return { codec: codec as 'topk', k: headOf(Number(k), classes), classes, labels: 'given', temperatures }
}

/** What the graph and what TypeScript make of the same rows. */
async function encodeTwice(name: CodecName, classes: number, opset: number) {
  const rows = classes > 10_000 ? 6 : 60
  const logits = rowsOf(classes, rows, name === 'q8' ? 4 : name.includes(':') ? 6 : 38)
  const stream = random('labels')
  const labels = Int32Array.from({ length: rows }, () => stream.below(classes + 1) - 1)
  const k = Number(name.split(':')[1] ?? 0)
  const keys = Uint32Array.from({ length: rows }, () => stream.uint32())
  const uniforms = uniformsOf(keys, { width: name.startsWith('sampled') ? headOf(k, classes) : 0 })
  const proto = build(
    (g) => g.output('z', 'float32', ['N', classes], g.node('Identity', [g.input('x', 'float32', ['N', classes])])),
    { opset },
  )
  const fused = fuseTeacher(proto, { output: 'z', target: targetOf(name, classes) })
  const session = await InferenceSession.create(encodeModel(fused.proto), { graphOptimizationLevel: 'all' })
  const feeds: Record<string, Tensor> = {
    x: floats(logits, [rows, classes]),
    label: new Tensor('int32', labels, [rows]),
    uniforms: new Tensor('float32', uniforms, [rows, 1, uniforms.length / rows]),
  }
  const { row_sum, ...graph } = await session.run(Object.fromEntries(session.inputNames.map((n) => [n, feeds[n]!])))
  await session.release()
  expect(row_sum!.dims).toEqual([rows])
  const columns = codecOf(name).columns({ classes, labelled: true })
  // float32 subtracts logits of this size to no more than half a unit in their last place
  const coarse = Array.from({ length: rows }, (_, r) =>
    logits.subarray(r * classes, (r + 1) * classes).reduce((most, z) => Math.max(most, Math.min(Math.abs(z), 1e6)), 0),
  )
  return { coarse, rows, columns, graph, typescript: codecOf(name).encode({ logits, classes, labels, keys }) }
}

const cases: [CodecName, number, number][] = [
  ['f32', 10, 18],
  ['f16', 1000, 18],
  ['q8', 1000, 11],
  ['q8', 10, 18],
  ['topk:1', 2, 18],
  ['topk:4', 10, 11],
  ['topk:16', 1000, 18],
  ['topk:16', 50_257, 13],
  ['topk:8', 70_000, 21],
  ['sampled:4', 10, 16],
  ['sampled:16', 1000, 18],
  ['sampled:50', 50_257, 18],
]

describe('the graph and TypeScript encode the same rows alike', () => {
  test.each(cases)('%s of %i classes, opset %i', async (name, classes, opset) => {
    expect(opsetOfTarget(targetOf(name, classes))).toBeLessThanOrEqual(opset)
    const { coarse, rows, columns, graph, typescript } = await encodeTwice(name, classes, opset)
    expect(Object.keys(graph).sort()).toEqual(columns.map((column) => column.name).sort())
    for (const { name: column, type } of columns) {
      expect([column, graph[column]!.type]).toEqual([column, type])
      const [ours, theirs] = [words(graph[column]!), typescript[column]!]
      expect([column, ours.length]).toEqual([column, theirs.length])
      const values = (array: ArrayLike<number>) =>
        type === 'float16' ? Array.from(array, (half) => halfValues[half]!) : Array.from(array)
      const [a, b] = [values(ours), values(theirs)]
      const different = a.filter((value, i) => !(value === b[i] || (Number.isNaN(value) && Number.isNaN(b[i]))))
      if (type === 'float32' || type === 'float16') {
        // Float32 sums of up to 70,000 terms against float64's; float16 then rounds to one side or the other.
        a.forEach((value, i) => {
          if (Object.is(value, b[i])) return
          const unit = type === 'float16' ? 2 ** -10 : 2 ** -20
          expect(Math.abs(value - b[i]!), `${column}[${i}]: ${value}, ${b[i]}`).toBeLessThanOrEqual(
            unit * Math.abs(b[i]!) + 5e-5 + 2 ** -23 * coarse[Math.floor(i / (a.length / rows))]!,
          )
        })
      } else if (column === 'index' || column === 'count') {
        expect([column, different.length]).toEqual([column, 0])
      } else {
        // a level to one side or the other, where a root lies at the middle of two
        expect(different.length / a.length, column).toBeLessThan(2e-3)
      }
    }
  })
})
