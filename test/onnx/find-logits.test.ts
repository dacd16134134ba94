import { describe, expect, test } from 'vitest'
import { DecantError } from '../../src/errors.js'
import { describeModel } from '../../src/onnx/describe-model.js'
import { elementTypes } from '../../src/onnx/dtypes.js'
import { findLogits, type LogitsKind } from '../../src/onnx/find-logits.js'
import { type GraphBuilder, makeValueInfo } from '../../src/onnx/graph-builder.js'
import { printGraph } from '../../src/onnx/print-graph.js'
import { type BuildOptions, build, floats, matmul, noise, rowsOf, runModel, softmax } from './models.js'

const [rows, inner, classes] = [5, 4, 3]
const x = noise(rows * inner)
const weights = noise(inner * classes, 2)
const z = matmul(x, weights, inner)

/** z = x·W of [N, 4], with `head` behind it. */
function teacher(head: (g: GraphBuilder, z: string) => void, options: BuildOptions = {}) {
  return build((g) => {
    const input = g.input('x', 'float32', ['N', inner])
    head(g, g.node('MatMul', [input, g.f32(weights, [inner, classes])], {}, { outputs: ['z'] }))
  }, options)
}

const out = (g: GraphBuilder, value: string) => g.output('out', 'float32', ['N', classes], value)
const sum = (g: GraphBuilder, value: string) => g.node('ReduceSum', [value, g.i64([1])])
const flat = (g: GraphBuilder, value: string) => g.node('Reshape', [value, g.i64([-1, classes])])

async function logitsOf(proto: ReturnType<typeof build>, options: { output?: string } = {}) {
  const found = findLogits({ proto }, options)
  const result = await runModel(found.proto, { x: floats(x, [rows, inner]) })
  expect(Object.keys(result)).toEqual([found.output])
  const { dims, type, values } = result[found.output]!
  return { ...found, dims, type, values }
}

function expectClose(actual: readonly number[], expected: readonly number[], tolerance = 1e-5) {
  expect(actual.length).toBe(expected.length)
  const worst = Math.max(...actual.map((value, i) => Math.abs(value - expected[i]!)))
  expect(worst).toBeLessThan(tolerance)
}

describe('raw logits come out, whatever the head', () => {
  const heads: [string, LogitsKind, (g: GraphBuilder, z: string) => void, BuildOptions?][] = [
    ['none', 'logits', out],
    ['a scale', 'logits', (g, v) => out(g, g.node('Identity', [g.node('Mul', [v, g.f32(1)])]))],
    ['Softmax', 'softmax removed', (g, v) => out(g, g.node('Softmax', [v]))],
    ['Softmax over axis 1', 'softmax removed', (g, v) => out(g, g.node('Softmax', [v], { axis: 1 }))],
    ['Softmax of opset 11', 'softmax removed', (g, v) => out(g, g.node('Softmax', [v])), { opset: 11 }],
    [
      'Softmax of opset 7',
      'softmax removed',
      (g, v) => out(g, g.node('Softmax', [v], { axis: 1 })),
      { opset: 7, ir: 3 },
    ],
    ['LogSoftmax', 'log-softmax removed', (g, v) => out(g, g.node('LogSoftmax', [v], { axis: -1 }))],
    ['Log of Softmax', 'log-softmax removed', (g, v) => out(g, g.node('Log', [g.node('Softmax', [v])]))],
    ['Exp of LogSoftmax', 'softmax removed', (g, v) => out(g, g.node('Exp', [g.node('LogSoftmax', [v])]))],
    [
      'Softmax, Dropout, Cast, Identity',
      'softmax removed',
      (g, v) => {
        const p = g.node('Dropout', [g.node('Softmax', [v])])
        const double = g.node('Cast', [p], { to: elementTypes.float64 })
        g.output('out', 'float64', ['N', classes], g.node('Identity', [double]))
      },
    ],
    [
      'Softmax in float16',
      'softmax removed',
      (g, v) => {
        const half = g.node('Cast', [v], { to: elementTypes.float16 })
        g.output('out', 'float16', ['N', classes], g.node('Softmax', [half]))
      },
    ],
    [
      'Softmax, Reshape',
      'softmax removed',
      (g, v) => {
        const p = g.node('Softmax', [v], {}, { outputs: ['p'] })
        g.output('out', 'float32', ['N', classes], flat(g, p))
      },
      { opset: 11 },
    ],
    [
      'Softmax of [N, C, 1, 1]',
      'softmax removed',
      (g, v) => {
        const image = g.node('Unsqueeze', [v, g.i64([2, 3])])
        g.output('out', 'float32', ['N', classes, 1, 1], g.node('Softmax', [image], { axis: 1 }))
      },
    ],
    [
      'logits [N, C, 1, 1]',
      'logits',
      (g, v) => {
        g.output('out', 'float32', ['N', classes, 1, 1], g.node('Unsqueeze', [v, g.i64([2, 3])]))
      },
    ],
    [
      'Exp / ReduceSum',
      'softmax removed',
      (g, v) => {
        const e = g.node('Exp', [v])
        out(g, g.node('Div', [e, sum(g, e)]))
      },
    ],
    [
      'Exp / ReduceSum, shifted, opset 11',
      'softmax removed',
      (g, v) => {
        const e = g.node('Exp', [g.node('Sub', [v, g.node('ReduceMax', [v], { axes: [-1] })])])
        out(g, g.node('Div', [e, g.node('ReduceSum', [e], { axes: [-1], keepdims: 1 })]))
      },
      { opset: 11 },
    ],
    [
      'Exp · Reciprocal(ReduceSum)',
      'softmax removed',
      (g, v) => {
        const e = g.node('Exp', [v])
        out(g, g.node('Mul', [e, g.node('Reciprocal', [sum(g, e)])]))
      },
    ],
    [
      'z - log Σ exp z',
      'log-softmax removed',
      (g, v) => {
        const shifted = g.node('Sub', [v, g.node('ReduceMax', [v, g.i64([1])])])
        out(g, g.node('Sub', [shifted, g.node('Log', [sum(g, g.node('Exp', [shifted]))])]))
      },
    ],
    [
      'z - ReduceLogSumExp(z)',
      'log-softmax removed',
      (g, v) => {
        out(g, g.node('Sub', [v, g.node('ReduceLogSumExp', [v, g.i64([-1])])]))
      },
    ],
  ]
  test.each(heads)('%s → %s', async (name, kind, head, options) => {
    const found = await logitsOf(teacher(head, options))
    expect(found).toMatchObject({ kind, classes, from: 'out', type: 'float32', dims: [rows, classes] })
    expectClose(found.values, z, name.includes('float16') ? 1e-2 : 1e-5)
  })
})

describe('probabilities by other means become log p', () => {
  const p = rowsOf(z, classes).flatMap(softmax)
  const sigmoid = z.map((v) => 1 / (1 + Math.exp(-v)))
  const heads: [string, number[], (g: GraphBuilder, z: string) => void][] = [
    ['Sigmoid', sigmoid, (g, v) => out(g, g.node('Sigmoid', [v]))],
    [
      'a sigmoid as Exp / (Exp + 1)',
      sigmoid,
      (g, v) => {
        const e = g.node('Exp', [v])
        out(g, g.node('Div', [e, g.node('Add', [e, g.f32(1)])]))
      },
    ],
    [
      'a clipped Softmax',
      p.map((v) => Math.max(v, 0.01)),
      (g, v) => out(g, g.node('Clip', [g.node('Softmax', [v]), g.f32(0.01), g.f32(1)])),
    ],
    [
      'a smoothed Softmax',
      p.map((v) => 0.9 * v + 0.1 / classes),
      (g, v) => out(g, g.node('Add', [g.node('Mul', [g.node('Softmax', [v]), g.f32(0.9)]), g.f32(0.1 / classes)])),
    ],
    [
      'the mean of two Softmaxes',
      p,
      (g, v) => out(g, g.node('Mean', [g.node('Softmax', [v]), g.node('Softmax', [v])])),
    ],
    [
      'division by the sum',
      rowsOf(sigmoid, classes).flatMap((row) => row.map((v) => v / row.reduce((a, b) => a + b))),
      (g, v) => {
        const q = g.node('Sigmoid', [v])
        out(g, g.node('Div', [q, g.node('Clip', [sum(g, q), g.f32(1e-9)])]))
      },
    ],
    ['the logarithm of such', sigmoid, (g, v) => out(g, g.node('Log', [g.node('Sigmoid', [v])]))],
  ]
  test.each(heads)('%s', async (name, probabilities, head) => {
    const found = await logitsOf(teacher(head))
    expect(found).toMatchObject({ kind: 'log of probabilities', classes, dims: [rows, classes] })
    // ONNX Runtime's own sigmoid has a relative error of 1e-4 in its tail.
    expectClose(found.values, probabilities.map(Math.log), name === 'division by the sum' ? 1e-3 : 1e-5)
  })

  test('a probability of 0 stays finite', async () => {
    const found = await logitsOf(
      teacher((g, v) => {
        const p = g.node('Softmax', [g.node('Mul', [v, g.f32(1e4)])])
        out(g, g.node('Mean', [p, p]))
      }),
    )
    expect(Math.min(...found.values)).toBeCloseTo(-126 * Math.LN2, 4)
  })
  test('the logarithm of a sigmoid keeps its tail', async () => {
    const found = await logitsOf(teacher((g, v) => out(g, g.node('Sigmoid', [g.node('Mul', [v, g.f32(100)])]))))
    const exact = z.map((v) => (v < 0 ? 100 * v - Math.log1p(Math.exp(100 * v)) : -Math.log1p(Math.exp(-100 * v))))
    expect(Math.min(...exact)).toBeLessThan(-150)
    expectClose(found.values, exact, 1e-3)
  })
})

describe('what only looks like a softmax at the end stays', () => {
  test('a Softmax inside, as in attention', async () => {
    const found = await logitsOf(
      teacher((g, v) => out(g, g.node('MatMul', [g.node('Softmax', [v]), g.f32(noise(9), [3, 3])]))),
    )
    expect(found.kind).toBe('logits')
  })
  test('a sum over the batch', async () => {
    const found = await logitsOf(
      teacher((g, v) => {
        const e = g.node('Exp', [v])
        out(g, g.node('Div', [e, g.node('ReduceSum', [e, g.i64([0])])]))
      }),
    )
    expect(found.kind).toBe('logits')
  })
  test('a Softmax over groups of classes', async () => {
    // [N, 3, 1] normalised over its last axis is 1 everywhere: taking it away would change what the teacher says.
    const found = await logitsOf(
      teacher((g, v) => {
        const groups = g.node('Softmax', [g.node('Unsqueeze', [v, g.i64([2])])], { axis: -1 })
        out(g, flat(g, groups))
      }),
    )
    expect(found.kind).toBe('log of probabilities')
    expectClose(
      found.values,
      z.map(() => 0),
    )
  })
})

describe('which output', () => {
  const two = () =>
    teacher((g, v) => {
      g.output('first', 'float32', ['N', classes], g.node('Mul', [v, g.f32(2)]))
      g.output('second', 'float32', ['N', classes], g.node('Neg', [v]))
    })

  test('two candidates: both are named, and --output', () => {
    expect(() => findLogits({ proto: two(), path: 'm.onnx' })).toThrow(DecantError)
    expect(() => findLogits({ proto: two(), path: 'm.onnx' })).toThrow(
      'm.onnx: expected one output of logits, found first: float32[N,3] and second: float32[N,3]: choose one with --output',
    )
  })
  test('a column each class: --output would not help', () => {
    const columns = teacher((g, v) => {
      for (let c = 0; c < 6; c++)
        g.output(
          `i${c}`,
          'float32',
          ['N'],
          g.node('Gather', [v, g.constant('int64', BigInt64Array.of(BigInt(c % 3)), [])], { axis: 1 }),
        )
    })
    expect(() => findLogits({ proto: columns, path: 'm.onnx' })).toThrow(
      /found i0: float32\[N\] and i1: .* and i3: float32\[N\] and 2 more: a column each, .*export the teacher with one output of \[N, C\] \(zipmap=False\)$/,
    )
  })
  test('one of two is chosen; the other is gone with all that only it needs', async () => {
    const found = await logitsOf(two(), { output: 'second' })
    expect(found).toMatchObject({ from: 'second', kind: 'logits' })
    expectClose(
      found.values,
      z.map((v) => -v),
    )
    expect(printGraph(found.proto)).not.toContain(' = Mul(')
  })
  test('a value inside the graph can be chosen', async () => {
    const found = await logitsOf(two(), { output: 'z' })
    expect(found).toMatchObject({ from: 'z', kind: 'logits', classes: undefined })
    expectClose(found.values, z)
  })
  test('an unknown one: what there is', () => {
    expect(() => findLogits({ proto: two(), path: 'm.onnx' }, { output: 'third' })).toThrow(
      "m.onnx: no output 'third'; it has first: float32[N,3], second: float32[N,3], and the values inside its graph",
    )
  })
  test('logits and their softmax are the same logits', async () => {
    const found = await logitsOf(
      teacher((g, v) => {
        g.output('logits', 'float32', ['N', classes], v)
        g.output('probabilities', 'float32', ['N', classes], g.node('Softmax', ['logits']))
      }),
    )
    expectClose(found.values, z)
  })
  test('labels, features and single scores are no candidates', async () => {
    const found = await logitsOf(
      teacher((g, v) => {
        g.output('label', 'int64', ['N'], g.node('ArgMax', [v], { axis: 1, keepdims: 0 }))
        g.output('labels', 'int64', ['N', 1], g.node('ArgMax', [v], { axis: 1 }))
        g.output('score', 'float32', ['N', 1], sum(g, v))
        g.output(
          'map',
          'float32',
          ['N', classes, 2, 2],
          g.node('Expand', [g.node('Unsqueeze', [v, g.i64([2, 3])]), g.i64([1, 1, 2, 2])]),
        )
        out(g, v)
      }),
    )
    expect(found.from).toBe('out')
  })
  test('none: what there is', () => {
    const proto = teacher((g, v) => g.output('label', 'int64', ['N'], g.node('ArgMax', [v], { axis: 1, keepdims: 0 })))
    expect(() => findLogits({ proto, path: 'm.onnx' })).toThrow(
      'm.onnx: no output is floats of shape [N, C]; it has label: int64[N]',
    )
    expect(() => findLogits({ proto, path: 'm.onnx' }, { output: 'label' })).toThrow(
      /expected logits \[N, C\] of floats/,
    )
  })
  test('an operator set that ONNX Runtime does not run', () => {
    expect(() => findLogits({ proto: teacher(out, { opset: 6 }), path: 'm.onnx' })).toThrow(
      /operator set 7 or later, found 6/,
    )
  })
})

describe("scikit-learn's classifiers", () => {
  test.each([
    [
      'a forest, whose leaves hold shares',
      'TreeEnsembleClassifier',
      { class_weights: { floats: [0.25, 0, 0.75] } },
      'log of probabilities',
    ],
    [
      'boosted trees, whose leaves hold logits',
      'TreeEnsembleClassifier',
      { class_weights: { floats: [0.25, -0.1, 0.75] } },
      'logits',
    ],
    [
      'a support vector machine with probabilities',
      'SVMClassifier',
      { prob_a: { floats: [1, 1, 1] } },
      'log of probabilities',
    ],
    ['one without', 'SVMClassifier', {}, 'logits'],
  ] as const)('%s', (_, op, attributes, kind) => {
    const proto = build(
      (g) => {
        const input = g.input('x', 'float32', ['N', inner])
        const [, scores] = g.nodeOf(op, [input], attributes, { outputs: ['label', 'scores'], domain: 'ai.onnx.ml' })
        g.output('probabilities', 'float32', ['N', classes], scores!)
      },
      { domains: { 'ai.onnx.ml': 1 }, opset: 15 },
    )
    expect(findLogits({ proto, path: 'm.onnx' })).toMatchObject({ kind })
  })

  /** What skl2onnx writes: label, and a ZipMap of the probabilities. */
  function sklearn(transform: 'SOFTMAX' | 'NONE', normalizer: boolean, zipMap: boolean) {
    const fill = (g: GraphBuilder) => {
      const input = g.input('x', 'float32', ['N', inner])
      const coefficients = Array.from({ length: classes }, (_, c) => weights.filter((_, i) => i % classes === c)).flat()
      const [label, scores] = g.nodeOf(
        'LinearClassifier',
        [input],
        {
          classlabels_ints: [0, 1, 2],
          coefficients: { floats: coefficients },
          intercepts: { floats: [0, 0, 0] },
          multi_class: 1,
          post_transform: transform,
        },
        { outputs: ['label', 'scores'], domain: 'ai.onnx.ml' },
      )
      const q = normalizer
        ? g.node('Normalizer', [g.node('Sigmoid', [scores!])], { norm: 'L1' }, { domain: 'ai.onnx.ml' })
        : scores!
      g.output('output_label', 'int64', ['N'], label!)
      if (!zipMap) return g.output('probabilities', 'float32', ['N', classes], q)
      g.node(
        'ZipMap',
        [q],
        { classlabels_int64s: [0, 1, 2] },
        { outputs: ['output_probability'], domain: 'ai.onnx.ml' },
      )
      g.outputs.push(makeValueInfo('output_probability', 'float32', [])) // its declared type is a sequence of maps
      g.outputs.at(-1)!.type!.value = { case: undefined }
    }
    return build(fill, { domains: { 'ai.onnx.ml': 1 }, opset: 15 })
  }

  test.each([true, false])('a softmax inside the classifier is removed (ZipMap: %s)', async (zipMap) => {
    const found = await logitsOf(sklearn('SOFTMAX', false, zipMap))
    expect(found.kind).toBe('softmax removed')
    expectClose(found.values, z)
  })
  test('normalised scores become log p', async () => {
    const found = await logitsOf(sklearn('NONE', true, true))
    expect(found.kind).toBe('log of probabilities')
    const q = rowsOf(
      z.map((v) => 1 / (1 + Math.exp(-v))),
      classes,
    )
    const exact = q.flatMap((row) => row.map((v) => Math.log(v / row.reduce((a, b) => a + b))))
    expectClose(found.values, exact, 1e-3) // ONNX Runtime's sigmoid again
  })
})

test('the model itself is not changed, and IR version, operator sets and metadata stay', () => {
  const proto = teacher((g, v) => out(g, g.node('Softmax', [v])), { ir: 7, opset: 13, domains: { 'com.microsoft': 1 } })
  const before = printGraph(proto)
  const found = findLogits({ proto })
  expect(printGraph(proto)).toBe(before)
  expect(found.proto.irVersion).toBe(7n)
  expect(found.proto.opsetImport).toEqual(proto.opsetImport)
  expect(found.proto.graph!.initializer[0]).toBe(proto.graph!.initializer[0])
})

test('a hostile graph that runs in circles ends', () => {
  const proto = teacher((g) => {
    g.node('Add', ['a', 'b'], {}, { outputs: ['c'] })
    g.node('Add', ['c', 'c'], {}, { outputs: ['a'] })
    g.node('Identity', ['c'], {}, { outputs: ['b'] })
    g.output('out', 'float32', ['N', classes], 'c')
  })
  expect(findLogits({ proto }).kind).toBe('logits')
})

test('a model describes itself; initializers listed as inputs are none', () => {
  const proto = teacher(out, { opset: 9, ir: 3 })
  proto.graph!.input.push(makeValueInfo('c', 'float32', [inner, classes]))
  expect(describeModel({ proto })).toEqual({
    inputs: [{ name: 'x', dtype: 'float32', shape: ['N', inner] }],
    outputs: [{ name: 'out', dtype: 'float32', shape: ['N', classes] }],
    opset: 9,
    producer: 'decant',
    metadata: {},
  })
})
