import { describe, expect, test } from 'vitest'
import { fuseTeacher } from '../../src/onnx/fuse-teacher.js'
import { GraphBuilder } from '../../src/onnx/graph-builder.js'
import { type BuildOptions, build, floats, noise, runModel } from './models.js'

/** A graph from [batch, 4, 6, 6] to [batch, 3], exported with that batch. */
type Body = (g: GraphBuilder, x: string) => string

const shape = [4, 6, 6]
const size = 4 * 6 * 6

function fixed(body: Body, batch: number, options: BuildOptions = {}) {
  return build((g) => {
    const x = g.input('x', 'float32', [batch, ...shape])
    g.output('z', 'float32', [batch, 3], body(g, x))
  }, options)
}

const fuse = (body: Body, batch = 1) => fuseTeacher(fixed(body, batch), { output: 'z', target: 'f32' })
const conv = (g: GraphBuilder, x: string, stride = 1) =>
  g.node('Conv', [x, g.f32(noise(4 * 4 * 9, 0.3), [4, 4, 3, 3]), g.f32(noise(4))], {
    pads: [1, 1, 1, 1],
    strides: [stride, stride],
  })
const dense = (g: GraphBuilder, x: string, inner: number) =>
  g.node('Gemm', [x, g.f32(noise(3 * inner, 0.3), [3, inner]), g.f32(noise(3))], { transB: 1 })
const pool = (g: GraphBuilder, x: string) => g.node('GlobalAveragePool', [x])

describe('a batch that is only declared becomes dynamic: each row as the original gives it alone', () => {
  const bodies: [string, Body, number?][] = [
    [
      'convolutions, residual, Flatten',
      (g, x) => {
        const h = g.node('Relu', [conv(g, x)])
        return dense(g, g.node('Flatten', [pool(g, g.node('Add', [h, conv(g, h)]))]), 4)
      },
    ],
    ['Reshape to [1, 4]', (g, x) => dense(g, g.node('Reshape', [pool(g, x), g.i64([1, 4])]), 4)],
    ['Reshape to [1, -1]', (g, x) => dense(g, g.node('Reshape', [pool(g, x), g.i64([1, -1])]), 4)],
    ['Reshape to [-1, 4]', (g, x) => dense(g, g.node('Reshape', [pool(g, x), g.i64([-1, 4])]), 4)],
    ['Reshape to [2, -1] of a batch of 2', (g, x) => dense(g, g.node('Reshape', [pool(g, x), g.i64([2, -1])]), 4), 2],
    [
      'squeeze and excitation',
      (g, x) => {
        const s = g.node('Reshape', [g.node('Reshape', [pool(g, x), g.i64([1, 4])]), g.i64([1, 4, 1, 1])])
        return dense(
          g,
          g.node('ReduceMean', [g.node('Mul', [x, g.node('Sigmoid', [s])]), g.i64([2, 3])], { keepdims: 0 }),
          4,
        )
      },
    ],
    [
      'windows: [9, 4, 4] and back',
      (g, x) => {
        const windows = g.node('Transpose', [g.node('Reshape', [x, g.i64([1, 4, 3, 2, 3, 2])])], {
          perm: [0, 2, 4, 1, 3, 5],
        })
        const rows = g.node('Reshape', [windows, g.i64([9, 4, 4])])
        const mixed = g.node('MatMul', [g.node('Softmax', [g.node('MatMul', [rows, rows])]), rows])
        const back = g.node('Reshape', [mixed, g.i64([1, size])])
        return dense(g, g.node('Mul', [back, g.f32(0.1)]), size)
      },
    ],
    [
      'a token sequence',
      (g, x) => {
        const tokens = g.node('Transpose', [g.node('Reshape', [x, g.i64([1, 4, -1])])], { perm: [0, 2, 1] })
        const normal = g.node('LayerNormalization', [tokens, g.f32([1, 2, 3, 4])])
        const half = g.node('Slice', [normal, g.i64([0]), g.i64([18]), g.i64([1])])
        const first = g.node('Gather', [half, g.i64(0)], { axis: 1 })
        return dense(
          g,
          g.node('Concat', [first, g.node('ReduceMax', [half, g.i64([1])], { keepdims: 0 })], { axis: 1 }),
          8,
        )
      },
    ],
  ]
  test.each(bodies)('%s', async (_, body, batch = 1) => {
    const rows = 4
    const x = noise(rows * size)
    const { proto, fixedBatch } = fuse(body, batch)
    expect(fixedBatch).toBeUndefined()
    const { logits } = await runModel(proto, { x: floats(x, [rows, ...shape]) })
    expect(logits!.dims).toEqual([rows, 3])
    const original = fixed(body, batch)
    for (let r = 0; r < rows; r += batch) {
      const part = x.slice(r * size, (r + batch) * size)
      const { z } = await runModel(original, { x: floats(part, [batch, ...shape]) })
      for (const [i, value] of z!.values.entries()) expect(logits!.values[r * 3 + i]).toBeCloseTo(value, 5)
    }
  })
})

describe('what may mix rows keeps its batch, and says by which node', () => {
  const flat = (g: GraphBuilder, x: string) => g.node('Flatten', [pool(g, x)])
  const bodies: [string, Body, RegExp][] = [
    [
      'a sum over the batch',
      (g, x) => dense(g, g.node('ReduceSum', [flat(g, x), g.i64([0])]), 4),
      /'reducesum' \(ReduceSum\) may mix/,
    ],
    [
      'a reduction of all axes',
      (g, x) => g.node('Mul', [dense(g, flat(g, x), 4), g.node('ReduceMean', [x])]),
      /\(ReduceMean\) may mix/,
    ],
    [
      'the batch moved back',
      (g, x) => dense(g, g.node('Flatten', [g.node('Transpose', [x], { perm: [1, 0, 2, 3] })], { axis: 0 }), size),
      /\(Transpose\) moves the batch axis/,
    ],
    [
      'the batch squeezed',
      (g, x) => g.node('Unsqueeze', [g.node('Squeeze', [dense(g, flat(g, x), 4)]), g.i64([0])]),
      /\(Squeeze\) may mix/,
    ],
    [
      'rows against rows',
      (g, x) => dense(g, g.node('MatMul', [g.node('MatMul', [flat(g, x), g.f32(noise(4), [4, 1])]), flat(g, x)]), 4),
      /\(MatMul\) may mix/,
    ],
    [
      'a constant beside the rows',
      (g, x) => dense(g, g.node('Concat', [flat(g, x), g.f32([1, 2], [1, 2])], { axis: 1 }), 6),
      /\(Concat\) may mix/,
    ],
    [
      'broadcast to a higher rank',
      (g, x) => dense(g, g.node('Flatten', [g.node('Add', [flat(g, x), g.f32(noise(4), [1, 1, 4])])]), 4),
      /\(Add\) may mix/,
    ],
    [
      'one scale for the whole tensor',
      (g, x) => {
        const [q, scale, zero] = g.nodeOf('DynamicQuantizeLinear', [flat(g, x)], {}, { outputs: 3 })
        return dense(g, g.node('DequantizeLinear', [q!, scale!, zero!]), 4)
      },
      /\(DynamicQuantizeLinear\) is not known to treat rows alike/,
    ],
    [
      'sizes that are computed',
      (g, x) => dense(g, g.node('Reshape', [flat(g, x), g.node('Shape', [flat(g, x)])]), 4),
      /\(Shape\) is not known/,
    ],
    [
      'a branch that reads rows from outside',
      (g, x) => {
        const inside = flat(g, x)
        const branch = (op: string) => {
          const b = new GraphBuilder({ prefix: op })
          b.output(`${op}out`, 'float32', [1, 4], b.node(op, [inside]))
          return { graph: b.graph(op) }
        }
        const yes = g.constant('bool', Uint8Array.of(1), [])
        return dense(g, g.node('If', [yes], { then_branch: branch('Neg'), else_branch: branch('Abs') }), 4)
      },
      /\(If\) may mix/,
    ],
  ]
  test.each(bodies)('%s', async (_, body, message) => {
    for (const batch of [1, 3]) {
      const { proto, inputs, fixedBatch } = fuse(body, batch)
      expect(fixedBatch).toEqual({ rows: batch, why: expect.stringMatching(message) })
      expect(fixedBatch!.why).toMatch(/^the batch of 'x' is fixed, and node '/)
      expect(inputs[0]!.shape).toEqual([batch, ...shape])
      if (batch > 1) continue // not every body means anything for three rows
      const x = { x: floats(noise(size), [1, ...shape]) }
      const { logits } = await runModel(proto, x)
      const { z } = await runModel(fixed(body, batch), x)
      expect(logits).toEqual(z)
    }
  })
})
