import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type ElementName, elementTypes } from '../../src/onnx/dtypes.js'
import { fuseTeacher, type ImageInput } from '../../src/onnx/fuse-teacher.js'
import type { Dimension, GraphBuilder } from '../../src/onnx/graph-builder.js'
import { printGraph } from '../../src/onnx/print-graph.js'
import { type BuildOptions, build, bytes, floats, matmul, noise, rowsOf, runModel } from './models.js'

const [height, width, channels, classes, rows] = [2, 3, 3, 4, 5]
const features = height * width * channels
const weights = noise(features * classes)
const pixels = noise(rows * features, 60).map((v) => Math.min(255, Math.max(0, Math.round(v + 128))))
const multiply = Float32Array.of(0.017, 0.018, 0.02)
const add = Float32Array.of(-2.1, -2, -1.8)

/** A linear classifier of an image of the given shape, flattened as it lies in memory. */
function teacher(shape: Dimension[], options: BuildOptions & { dtype?: ElementName; names?: [string, string] } = {}) {
  const { dtype = 'float32', names = ['image', 'scores'] } = options
  return build((g: GraphBuilder) => {
    const image = g.input(names[0], dtype, shape)
    const values = ['float32', 'float16'].includes(dtype)
      ? image
      : g.node('Cast', [image], { to: elementTypes.float32 })
    const flat = g.node('Reshape', [values, g.i64([-1, features])])
    const w = g.f32(weights, [features, classes])
    const weight = dtype === 'float16' ? g.node('Cast', [w], { to: elementTypes.float16 }) : w
    const z = g.node('MatMul', [flat, weight])
    g.output(names[1], dtype === 'float16' ? dtype : 'float32', [shape[0] ?? null, classes], z)
  }, options)
}

const image = (changes: Partial<ImageInput> = {}): ImageInput => ({
  kind: 'image',
  height,
  width,
  channels,
  layout: 'NCHW',
  multiply,
  add,
  ...changes,
})

/** The teacher's logits in float64, straight from the pixels. */
function reference({ layout, multiply, add }: ImageInput): number[] {
  const x = rowsOf(pixels, features).flatMap((row) =>
    Array.from({ length: features }, (_, i) => {
      // i is the place in the teacher's memory; from it the place among [height, width, channels].
      const [c, at] =
        layout === 'NCHW'
          ? [Math.floor(i / (height * width)), i % (height * width)]
          : [i % channels, Math.floor(i / channels)]
      return row[at * channels + c]! * multiply[c]! + add[c]!
    }),
  )
  return matmul(x, weights, features)
}

const feed = { pixels: bytes(pixels, [rows, height, width, channels]) }
const close = (actual: readonly number[], expected: readonly number[]) =>
  Math.max(...actual.map((value, i) => Math.abs(value - expected[i]!)))

describe('in front: uint8 NHWC pixels', () => {
  const [C, H, W] = [channels, height, width]
  const cases: [string, Dimension[], Partial<ImageInput>, Parameters<typeof teacher>[1]?][] = [
    ['NCHW', ['N', C, H, W], {}],
    ['NHWC', ['N', H, W, C], { layout: 'NHWC' }],
    ['height and width dynamic', ['N', C, 'h', null], {}],
    ['flat, channels first', ['N', features], {}],
    ['flat, channels last', ['N', features], { layout: 'NHWC' }],
    ['batch fixed at 1', [1, C, H, W], {}],
    ['batch unnamed', [null, C, H, W], {}],
    ['opset 7, IR 3', ['N', C, H, W], {}, { opset: 7, ir: 3 }],
    ['opset 11', ['N', C, H, W], {}, { opset: 11, ir: 6 }],
    ['opset 13', ['N', C, H, W], {}, { opset: 13, ir: 7 }],
    ['opset 21', ['N', C, H, W], {}, { opset: 21, ir: 10 }],
    ['a float16 teacher', ['N', C, H, W], {}, { dtype: 'float16' }],
    ['a float64 input', ['N', C, H, W], {}, { dtype: 'float64' }],
    ['only a scale', ['N', C, H, W], { add: new Float32Array(C) }],
    [
      'a uint8 teacher',
      ['N', H, W, C],
      { layout: 'NHWC', multiply: new Float32Array(C).fill(1), add: new Float32Array(C) },
      { dtype: 'uint8' },
    ],
    [
      'an int32 teacher',
      ['N', C, H, W],
      { multiply: new Float32Array(C).fill(1), add: new Float32Array(C) },
      { dtype: 'int32' },
    ],
    ['names that clash', ['N', C, H, W], {}, { names: ['pixels', 'logits'] }],
    ['names that clash the other way', ['N', C, H, W], {}, { names: ['logits', 'row_sum'] }],
  ]
  test.each(cases)('%s', async (name, shape, changes, options = {}) => {
    const proto = teacher(shape, options)
    const [, output] = options.names ?? ['image', 'scores']
    const before = printGraph(proto)
    const fused = fuseTeacher(proto, { output, front: image(changes), target: 'f32' })
    const batch = shape[0] === 'N' ? 'N' : 'batch'
    expect(fused.inputs).toEqual([{ name: 'pixels', dtype: 'uint8', shape: [batch, height, width, channels] }])
    expect(fused.outputs).toEqual([
      { name: 'logits', dtype: 'float32', shape: [batch, classes] },
      { name: 'row_sum', dtype: 'float32', shape: [batch] },
    ])
    expect(fused.proto.irVersion).toBe(proto.irVersion)
    expect(fused.proto.opsetImport).toEqual(proto.opsetImport)
    expect(printGraph(proto)).toBe(before)
    const expected = reference(image(changes))
    const scale = Math.max(...expected.map(Math.abs))
    const { logits, row_sum } = await runModel(fused.proto, feed)
    expect(logits).toMatchObject({ dims: [rows, classes], type: 'float32' })
    expect(close(logits!.values, expected) / scale).toBeLessThan(name.includes('float16') ? 3e-3 : 2e-6)
    expect(row_sum!.dims).toEqual([rows])
    const sums = rowsOf(logits!.values, classes).map((row) => row.reduce((a, b) => a + b))
    const unscaled = row_sum!.values.map((sum) => sum * 2 ** 32)
    expect(close(unscaled, sums) / scale).toBeLessThan(1e-5)
  })

  test('gray images, with and without a channel axis', async () => {
    const gray = {
      kind: 'image' as const,
      height: features,
      width: 1,
      channels: 1,
      multiply: Float32Array.of(1 / 255),
      add: Float32Array.of(0.5),
    }
    const expected = matmul(
      pixels.map((v) => v * gray.multiply[0]! + 0.5),
      weights,
      features,
    )
    for (const shape of [
      ['N', 1, features, 1],
      ['N', features, 1],
      ['N', features],
    ]) {
      const options = { output: 'scores', target: 'f32' as const }
      const fused = fuseTeacher(teacher(shape), { ...options, front: { ...gray, layout: 'NCHW' } })
      const { logits } = await runModel(fused.proto, { pixels: bytes(pixels, [rows, features, 1, 1]) })
      expect(close(logits!.values, expected)).toBeLessThan(1e-4)
    }
  })

  test('without an image the input stays as it is', async () => {
    const fused = fuseTeacher(teacher(['N', features]), { output: 'scores', target: 'f32' })
    expect(fused.inputs).toEqual([{ name: 'image', dtype: 'float32', shape: ['N', features] }])
    const x = noise(rows * features)
    const { logits } = await runModel(fused.proto, { image: floats(x, [rows, features]) })
    expect(close(logits!.values, matmul(x, weights, features))).toBeLessThan(1e-5)
  })

  test('an empty batch is possible', async () => {
    const fused = fuseTeacher(teacher(['N', channels, height, width]), {
      output: 'scores',
      front: image(),
      target: 'f16',
    })
    const { logits, shift } = await runModel(fused.proto, { pixels: bytes([], [0, height, width, channels]) })
    expect([logits!.dims, shift!.dims]).toEqual([[0, classes], [0]])
  })
})

describe('what does not fit is an error that prints both shapes', () => {
  const fuse = (shape: Dimension[], changes: Partial<ImageInput> = {}, dtype: ElementName = 'float32') =>
    fuseTeacher(teacher(shape, { dtype }), { output: 'scores', front: image(changes), target: 'f32' })

  test('another size', () => {
    expect(() => fuse(['N', 3, 224, 224])).toThrow(
      "the teacher's input image: float32[N,3,224,224] does not fit the images: they give [N,3,2,3] (NCHW)",
    )
  })
  test('another layout: said', () => {
    expect(() => fuse(['N', height, width, channels])).toThrow(/they give \[N,3,2,3\] \(NCHW\); is its layout NHWC\?$/)
  })
  test('another rank', () => {
    expect(() => fuse(['N', features + 1])).toThrow(/image: float32\[N,19\] does not fit/)
    expect(() => fuse(['N', 1, channels, height, width])).toThrow(/does not fit/)
  })
  test('normalised pixels for a uint8 input', () => {
    expect(() => fuse(['N', channels, height, width], {}, 'uint8')).toThrow(/takes pixels as uint8: declare "scale": 1/)
  })
  test('no numbers', () => {
    expect(() => fuse(['N', channels, height, width], {}, 'string')).toThrow(/expected an input of numbers/)
  })
  test('unknown names', () => {
    const options = { front: image(), target: 'f32' } as const
    const proto = teacher(['N', channels, height, width])
    expect(() => fuseTeacher(proto, { ...options, output: 'y' })).toThrow("computes no value 'y'")
  })
  test('two inputs', () => {
    const proto = build((g) =>
      g.output(
        'z',
        'float32',
        ['N', 2],
        g.node('Add', [g.input('a', 'float32', ['N', 2]), g.input('b', 'float32', ['N', 2])]),
      ),
    )
    expect(() => fuseTeacher(proto, { output: 'z', target: 'f32' })).toThrow(
      'one input, found a: float32[N,2], b: float32[N,2]',
    )
  })
})

describe('behind, as float16', () => {
  /** The targets of given logits, through a teacher that only passes them on. */
  async function targets(z: number[], options: BuildOptions = {}) {
    const proto = build(
      (g) => g.output('z', 'float32', ['N', classes], g.node('Identity', [g.input('x', 'float32', ['N', classes])])),
      options,
    )
    const fused = fuseTeacher(proto, { output: 'z', target: 'f16' })
    expect(fused.outputs.map(({ name, dtype }) => [name, dtype]).sort()).toEqual([
      ['logits', 'float16'],
      ['row_sum', 'float32'],
      ['shift', 'float32'],
    ])
    const { logits, shift, row_sum } = await runModel(fused.proto, { x: floats(z, [z.length / classes, classes]) })
    return { logits: logits!.values, shift: shift!.values, rowSum: row_sum!.values }
  }

  test.each([7, 10, 11, 12, 13, 17, 18, 20, 21])(
    'logits + shift give the logits back to float16 of the gap: opset %i',
    async (opset) => {
      const z = noise(40 * classes, 8)
      const { logits, shift } = await targets(z, { opset, ir: opset < 9 ? 3 : 8 })
      rowsOf(z, classes).forEach((row, r) => {
        const top = Math.max(...row)
        expect(shift[r]).toBe(top)
        row.forEach((value, c) => {
          const gap = value - top
          // Half a unit in the last place of 11 bits; Math.fround is the one rounding of the float32 subtraction.
          expect(Math.abs(logits[r * classes + c]! - gap)).toBeLessThanOrEqual(Math.abs(gap) * 2 ** -11 + 2 ** -24)
        })
        expect(Math.max(...logits.slice(r * classes, (r + 1) * classes))).toBe(0)
      })
    },
  )

  test('a gap beyond float16 is kept as -65504', async () => {
    const { logits, shift } = await targets([0, -1e6, -65504, 1, 1e30, -1e30, 0, 5])
    expect(logits.slice(0, 4)).toEqual([-1, -65504, -65504, 0])
    expect(logits.slice(4)).toEqual([0, -65504, -65504, -65504])
    expect(shift).toEqual([1, Math.fround(1e30)])
  })

  /** A row that is finite but for masked classes, with a top below which float32 has the gap of one. */
  const isKept = (row: number[]) => {
    const top = Math.max(...row)
    const hasGap = 60_000 < Math.fround(top - Math.fround(top - 65504))
    return Number.isFinite(top) && (row.every(Number.isFinite) || hasGap)
  }
  test('row_sum is finite exactly where the row is, masked classes aside', () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.array(
            fc.oneof(
              { weight: 6, arbitrary: fc.float({ noNaN: true, noDefaultInfinity: true }) },
              fc.constantFrom(Number.NaN, Infinity, -Infinity),
            ),
            { minLength: classes, maxLength: classes },
          ),
          { minLength: 1, maxLength: 6 },
        ),
        async (matrix) => {
          const { rowSum } = await targets(matrix.flat())
          expect(rowSum.map(Number.isFinite)).toEqual(matrix.map(isKept))
        },
      ),
      { numRuns: 30 },
    ))
})

describe('behind: a quantized teacher', () => {
  const [inner, many] = [16, 64]
  const whole = (count: number, most: number) =>
    noise(count).map((v) => Math.max(-most, Math.min(most, Math.round(16 * v))))
  /** A product of quantized values, quantized: half of its outputs lie between two steps, where integers and floats round differently. */
  const proto = build((g: GraphBuilder) => {
    const grid = (step: number, zero: string) => [g.f32(step), zero]
    const activation = grid(0.1, g.constant('int8', Int8Array.of(0), []))
    const x = g.node('QuantizeLinear', [g.input('features', 'float32', ['N', inner]), ...activation])
    const stored = g.constant('int8', Int8Array.from(whole(inner * classes, 31)), [inner, classes])
    const w = g.node('DequantizeLinear', [stored, ...grid(0.1, g.constant('int8', Int8Array.of(0), []))])
    const zeros = g.constant('int32', new Int32Array(classes), [classes])
    const bias = g.node('DequantizeLinear', [zeros, ...grid(0.1 * 0.1, g.constant('int32', Int32Array.of(0), []))])
    const z = g.node('Gemm', [g.node('DequantizeLinear', [x, ...activation]), w, bias])
    const result = grid(0.02, g.constant('int8', Int8Array.of(0), []))
    const y = g.node('DequantizeLinear', [g.node('QuantizeLinear', [z, ...result]), ...result])
    g.output('y', 'float32', ['N', classes], y)
  })
  const x = floats(
    whole(many * inner, 20).map((v) => v * 0.01),
    [many, inner],
  )
  test.each(['f32', 'f16'] as const)('%s is of what it gives by itself, to the bit', async (target) => {
    const own = (await runModel(proto, { features: x })).y!.values
    const front = { kind: 'features', shape: [inner] } as const
    const { logits, shift } = await runModel(fuseTeacher(proto, { output: 'y', front, target }).proto, { features: x })
    expect(new Set(own).size).toBeGreaterThan(20)
    if (target === 'f32') expect(logits!.values).toEqual(own)
    else expect(shift!.values).toEqual(rowsOf(own, classes).map((row) => Math.max(...row)))
  })
})
