import { describe, expect, test } from 'vitest'
import { elementTypes } from '../../src/onnx/dtypes.js'
import { type LogitsKind, openOutput } from '../../src/onnx/find-logits.js'
import type { GraphBuilder } from '../../src/onnx/graph-builder.js'
import { type BuildOptions, build, floats, matmul, noise, rowsOf, runModel, softmax } from './models.js'

const [rows, inner, classes] = [6, 4, 3]
const x = noise(rows * inner)
const microsoft = { domains: { 'com.microsoft': 1 } }
const learned = { domains: { 'ai.onnx.ml': 1 }, opset: 15 }

/** z = x·W of [N, C], with `head` behind it, which returns the value that comes out as 'y'. */
type Head = (g: GraphBuilder, z: string) => string

function teacher(weights: number[], head: Head, { shape, ...options }: BuildOptions & { shape?: (string | number)[] }) {
  return build((g) => {
    const width = weights.length / inner
    const z = g.node('MatMul', [g.input('x', 'float32', ['N', inner]), g.f32(weights, [inner, width])])
    g.output('y', 'float32', shape ?? ['N', width], head(g, z))
  }, options)
}

/** What the graph proposes, and the logits that it then gives. */
async function logitsOf(proto: ReturnType<typeof build>) {
  const found = openOutput({ proto })
  const reading = found.propose(found.classes)
  const edited = found.read(reading)
  const { [edited.output]: result } = await runModel(edited.proto, { x: floats(x, [rows, inner]) })
  return { kind: reading.kind, logits: rowsOf(result!.values, result!.dims[1]!) }
}

/** The largest difference of two sets of rows. */
const apart = (a: number[][], b: number[][]) =>
  Math.max(...a.flatMap((row, i) => row.map((value, c) => Math.abs(value - b[i]![c]!))))

const quantized = (g: GraphBuilder, value: string, scale = 1 / 256) => {
  const grid = [g.f32(scale), g.constant('uint8', Uint8Array.of(0), [])]
  return g.node('DequantizeLinear', [g.node('QuantizeLinear', [value, ...grid]), ...grid])
}

/** Between the quantization of z and that of p, as ONNX Runtime's QOperator format has it. */
const betweenBytes = (g: GraphBuilder, z: string, op: string, attributes: Record<string, number> = {}) => {
  const input = [g.f32(1 / 16), g.constant('uint8', Uint8Array.of(128), [])]
  const output = [g.f32(1 / 256), g.constant('uint8', Uint8Array.of(0), [])]
  const bytes = g.node('QuantizeLinear', [z, ...input])
  const p = g.node(op, [bytes, ...input, ...output], attributes, { domain: 'com.microsoft' })
  return g.node('DequantizeLinear', [p, ...output])
}
const onGrid = (z: number) => Math.min(255, Math.max(0, Math.round(16 * z) + 128)) / 16 - 8

const sum = (g: GraphBuilder, value: string, keepdims = 1) => g.node('ReduceSum', [value, g.i64([1])], { keepdims })

describe('the logits of a softmax come out, whatever stands behind it', () => {
  const weights = noise(inner * classes, 2)
  const z = rowsOf(matmul(x, weights, inner), classes)
  const heads: [string, LogitsKind, Head, BuildOptions?, ((z: number) => number)?][] = [
    ['a temperature', 'softmax removed', (g, v) => g.node('Softmax', [g.node('Div', [v, g.f32(4)])]), {}, (v) => v / 4],
    ['quantization', 'softmax removed', (g, v) => quantized(g, g.node('Softmax', [v]))],
    [
      'quantized operators of com.microsoft',
      'softmax removed',
      (g, v) => betweenBytes(g, v, 'QLinearSoftmax', { axis: -1, opset: 13 }),
      microsoft,
      onGrid,
    ],
    [
      'float16 and back',
      'softmax removed',
      (g, v) => {
        const half = g.node('Cast', [g.node('Softmax', [v])], { to: elementTypes.float16 })
        return g.node('Cast', [half], { to: elementTypes.float32 })
      },
    ],
    [
      'rounding to three digits',
      'softmax removed',
      (g, v) => g.node('Div', [g.node('Round', [g.node('Mul', [g.node('Softmax', [v]), g.f32(1000)])]), g.f32(1000)]),
    ],
    ['bounds', 'softmax removed', (g, v) => g.node('Clip', [g.node('Softmax', [v]), g.f32(1e-7), g.f32(1 - 1e-7)])],
    [
      'bounds of opset 10',
      'softmax removed',
      (g, v) => g.node('Clip', [g.node('Softmax', [v])], { min: { float: 1e-7 }, max: { float: 1 } }),
      { opset: 10 },
    ],
    [
      'a logarithm with a guard',
      'log-softmax removed',
      (g, v) => g.node('Log', [g.node('Add', [g.node('Softmax', [v]), g.f32(1e-8)])]),
    ],
    [
      'an average of one, as a bagging of one model has it',
      'softmax removed',
      (g, v) => {
        const one = g.node('Concat', [g.node('Reshape', [g.node('Softmax', [v]), g.i64([1, -1, classes])])], {
          axis: 0,
        })
        return g.node('ReduceMean', [one], { axes: [0], keepdims: 0 })
      },
      { opset: 12 },
    ],
    ['a sum of one', 'softmax removed', (g, v) => g.node('Div', [g.node('Sum', [g.node('Softmax', [v])]), g.f32(1)])],
    [
      'its formula with a guard below',
      'softmax removed',
      (g, v) => {
        const e = g.node('Exp', [v])
        return g.node('Div', [e, g.node('Add', [sum(g, e), g.f32(1e-7)])])
      },
    ],
    [
      'its formula with a divisor that is 1 where the sum is 0, as AdaBoost has it',
      'softmax removed',
      (g, v) => {
        const e = g.node('Exp', [v])
        const total = g.node('Reshape', [sum(g, e, 0), g.i64([-1, 1])])
        const none = g.node('Equal', [
          g.node('Cast', [total], { to: elementTypes.int32 }),
          g.constant('int32', Int32Array.of(0), []),
        ])
        return g.node('Div', [e, g.node('Add', [total, g.node('Cast', [none], { to: elementTypes.float32 })])])
      },
    ],
    [
      'its formula by the logarithm of the sum, as GaussianNB has it',
      'softmax removed',
      (g, v) => {
        const total = g.node('ReduceLogSumExp', [v, g.i64([1])], { keepdims: 0 })
        return g.node('Exp', [g.node('Sub', [v, g.node('Reshape', [total, g.i64([-1, 1])])])])
      },
    ],
    [
      'a division by the sum, which is 1',
      'softmax removed',
      (g, v) => g.node('Normalizer', [g.node('Softmax', [v])], { norm: 'L1' }, { domain: 'ai.onnx.ml' }),
      learned,
    ],
  ]
  test.each(heads)('%s', async (_, kind, head, options = {}, expected = (v) => v) => {
    const found = await logitsOf(teacher(weights, head, options))
    expect(found.kind).toBe(kind)
    expect(
      apart(
        found.logits,
        z.map((row) => row.map(expected)),
      ),
    ).toBeLessThan(1e-5)
  })
})

describe('of two classes 0 and z come out, however the sigmoid is written', () => {
  const weights = noise(inner, 2)
  const z = matmul(x, weights, inner)
  const one = (g: GraphBuilder) => g.f32(1)
  const pair = (g: GraphBuilder, p: string, unit = one(g)) =>
    g.node('Concat', [g.node('Sub', [unit, p]), p], { axis: 1 })
  const logistic = (g: GraphBuilder, v: string) => g.node('Add', [g.node('Exp', [g.node('Neg', [v])]), one(g)])
  const two = ['N', 2]
  const heads: [string, Head, Parameters<typeof teacher>[2], ((z: number) => number)?][] = [
    ['one column', (g, v) => g.node('Sigmoid', [v]), {}],
    ['one column, squeezed', (g, v) => g.node('Squeeze', [g.node('Sigmoid', [v]), g.i64([1])]), { shape: ['N'] }],
    ['one column, quantized', (g, v) => quantized(g, g.node('Sigmoid', [v])), {}],
    ['one column, its logarithm', (g, v) => g.node('Log', [g.node('Sigmoid', [v])]), {}],
    ['one column, -softplus(-z)', (g, v) => g.node('Neg', [g.node('Softplus', [g.node('Neg', [v])])]), {}],
    ['Reciprocal(1 + exp(-z))', (g, v) => g.node('Reciprocal', [logistic(g, v)]), {}],
    ['1 / (1 + exp(-z))', (g, v) => g.node('Div', [one(g), logistic(g, v)]), {}],
    ['1 - p | p', (g, v) => pair(g, g.node('Sigmoid', [v])), { shape: two }],
    [
      'p | 1 - p',
      (g, v) => {
        const p = g.node('Sigmoid', [v])
        return g.node('Concat', [p, g.node('Sub', [one(g), p])], { axis: 1 })
      },
      { shape: two },
      (v) => -v,
    ],
    [
      '1 - p | p, the 1 cast from an integer',
      (g, v) => pair(g, g.node('Sigmoid', [v]), g.node('Cast', [g.i64(1)], { to: elementTypes.float32 })),
      { shape: two },
    ],
    [
      '1 - p | p, stacked',
      (g, v) => {
        const p = g.node('Squeeze', [g.node('Sigmoid', [v]), g.i64([1])])
        const parts = [g.node('Sub', [one(g), p]), p].map((part) => g.node('Unsqueeze', [part, g.i64([1])]))
        return g.node('Concat', parts, { axis: 1 })
      },
      { shape: two },
    ],
    [
      '1 - p | p, everything quantized',
      (g, v) => {
        const p = quantized(g, g.node('Sigmoid', [v]))
        return quantized(g, pair(g, p, quantized(g, one(g), 1 / 255)))
      },
      { shape: two },
    ],
    ['quantized operators of com.microsoft', (g, v) => betweenBytes(g, v, 'QLinearSigmoid'), microsoft, onGrid],
    [
      'a classifier of ai.onnx.ml with two scores',
      (g) => {
        const attributes = {
          classlabels_ints: [0, 1],
          coefficients: { floats: [...weights.map((w) => -w), ...weights] },
          intercepts: { floats: [0, 0] },
          multi_class: 0,
          post_transform: 'LOGISTIC',
        }
        const options = { outputs: ['label', 'scores'], domain: 'ai.onnx.ml' }
        const [, scores] = g.nodeOf('LinearClassifier', ['x'], attributes, options)
        return g.node('Normalizer', [scores!], { norm: 'L1' }, { domain: 'ai.onnx.ml' })
      },
      { ...learned, shape: two },
    ],
  ]
  test.each(heads)('%s', async (_, head, options, expected = (v) => v) => {
    const found = await logitsOf(teacher(weights, head, options))
    expect(found.kind).toBe('sigmoid removed')
    expect(
      apart(
        found.logits,
        z.map((v) => [0, expected(v)]),
      ),
    ).toBeLessThan(1e-5)
  })
})

describe('sigmoids of one against the rest, divided by their sum', () => {
  // far in the tails, where float32 knows no difference of 1 - p from 1
  const weights = noise(inner * classes, 20)
  const z = rowsOf(matmul(x, weights, inner), classes)
  const logSigmoid = (v: number) => Math.min(v, 0) - Math.log1p(Math.exp(-Math.abs(v)))
  const exact = z.map((row) => {
    const logs = row.map(logSigmoid)
    const top = Math.max(...logs)
    const total = top + Math.log(logs.reduce((all, v) => all + Math.exp(v - top), 0))
    return logs.map((v) => v - total)
  })
  const heads: [string, Head][] = [
    [
      'as they are',
      (g, v) => {
        const q = g.node('Sigmoid', [v])
        return g.node('Div', [q, sum(g, q)])
      },
    ],
    [
      'a row of zeros made one of ones, as SGDClassifier has it',
      (g, v) => {
        const q = g.node('Reciprocal', [g.node('Add', [g.node('Exp', [g.node('Neg', [v])]), g.f32(1)])])
        const total = sum(g, q)
        const none = g.node('Not', [g.node('Cast', [total], { to: elementTypes.bool })])
        const added = g.node('Cast', [none], { to: elementTypes.float32 })
        return g.node('Div', [
          g.node('Add', [q, added]),
          g.node('Add', [total, g.node('Mul', [added, g.f32(classes)])]),
        ])
      },
    ],
    [
      'joined of single models',
      (g, v) => {
        const parts = Array.from({ length: classes }, (_, c) => {
          const p = g.node('Sigmoid', [g.node('Slice', [v, g.i64([c]), g.i64([c + 1]), g.i64([1])])])
          const both = g.node('Concat', [g.node('Sub', [g.f32(1), p]), p], { axis: 1 })
          return g.node('Slice', [both, g.i64([1]), g.i64([2]), g.i64([1])])
        })
        const q = g.node('Concat', parts, { axis: 1 })
        return g.node('Div', [q, sum(g, q)])
      },
    ],
  ]
  test.each(heads)('%s: log p keeps its tails', async (_, head) => {
    expect(Math.min(...exact.flat())).toBeLessThan(-40)
    const found = await logitsOf(teacher(weights, head, {}))
    expect(found.kind).toBe('log of probabilities')
    expect(apart(found.logits, exact)).toBeLessThan(1e-4)
    const p = z
      .map((row) => row.map((v) => Math.exp(logSigmoid(v))))
      .map((row) => row.map((v) => v / row.reduce((a, b) => a + b)))
    expect(apart(found.logits.map(softmax), p)).toBeLessThan(1e-5)
  })
})

describe('what cannot be cut is known for probabilities all the same', () => {
  const weights = noise(inner * classes, 2)
  const mean = (g: GraphBuilder, v: string) =>
    g.node('Mean', [g.node('Softmax', [v]), g.node('Softmax', [g.node('Neg', [v])])])
  const heads: [string, Head, BuildOptions?][] = [
    ['an average, quantized', (g, v) => quantized(g, mean(g, v))],
    ['an average, rounded', (g, v) => g.node('Round', [mean(g, v)])],
    ['1 - p', (g, v) => g.node('Sub', [g.f32(1), mean(g, v)])],
    [
      '1 - p, the 1 cast',
      (g, v) => g.node('Sub', [g.node('Cast', [g.i64(1)], { to: elementTypes.float32 }), mean(g, v)]),
    ],
    ['a guard added', (g, v) => g.node('Add', [mean(g, v), g.f32(0.01)])],
    ['halves', (g, v) => g.node('Cast', [mean(g, v)], { to: elementTypes.float16 })],
    [
      'quantized operators of com.microsoft',
      (g, v) => g.node('Mean', [betweenBytes(g, v, 'QLinearSoftmax', { axis: -1, opset: 13 }), mean(g, v)]),
      microsoft,
    ],
    ['shares of a sum', (g, v) => g.node('Div', [g.node('Abs', [v]), sum(g, g.node('Abs', [v]))])],
  ]
  test.each(heads)('%s', (_, head, options = {}) => {
    const found = openOutput({ proto: teacher(weights, head, options) })
    expect(found).toMatchObject({ probable: true, sigmoids: false })
    expect(found.propose(classes).kind).toBe('log of probabilities')
  })
})

test('a hostile graph whose ends meet again and again is given up', () => {
  const proto = build((g) => {
    let value = g.input('x', 'float32', ['N', classes])
    for (let i = 0; i < 60; i++) value = g.node('Mul', [g.node('Clip', [value]), g.node('Round', [value])])
    g.output('y', 'float32', ['N', classes], value)
    g.node('Concat', ['a'], { axis: 0 }, { outputs: ['a'] })
    g.output('z', 'float32', ['N', classes], g.node('ReduceMean', ['a', g.i64([0])]))
  })
  expect(openOutput({ proto }, { output: 'y' }).propose(classes).kind).toBe('logits')
  expect(openOutput({ proto }, { output: 'z' }).propose(classes).kind).toBe('logits')
})
