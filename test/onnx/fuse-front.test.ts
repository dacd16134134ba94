import { Tensor } from 'onnxruntime-node'
import { describe, expect, test } from 'vitest'
import { nextTokens, tailTable } from '../../src/cache/index.js'
import { type ElementName, elementTypes } from '../../src/onnx/dtypes.js'
import type { Target } from '../../src/onnx/emit-targets.js'
import { findLogits } from '../../src/onnx/find-logits.js'
import { fuseTeacher } from '../../src/onnx/fuse-teacher.js'
import type { Dimension, GraphBuilder } from '../../src/onnx/graph-builder.js'
import { build, floats, matmul, noise, rowsOf, runModel } from './models.js'

const worst = (actual: readonly number[], expected: readonly number[]) =>
  Math.max(...actual.map((value, i) => Math.abs(value - expected[i]!)))

describe('in front: features', () => {
  const [rows, classes] = [5, 4]
  const x = noise(rows * 6)
  const weights = noise(6 * classes)
  const teacher = (shape: Dimension[], dtype: ElementName = 'float32') =>
    build((g) => {
      const input = g.input('x', dtype, shape)
      const value = dtype === 'float32' ? input : g.node('Cast', [input], { to: elementTypes.float32 })
      const flat = g.node('Reshape', [value, g.i64([-1, 6])])
      g.output('z', 'float32', [shape[0]!, classes], g.node('MatMul', [flat, g.f32(weights, [6, classes])]))
    })
  const fuse = (shape: Dimension[], given: number[], dtype?: ElementName) =>
    fuseTeacher(teacher(shape, dtype), { output: 'z', target: 'f32', front: { kind: 'features', shape: given } })

  test.each<[string, Dimension[], number[], ElementName?]>([
    ['as they are', ['N', 6], [6]],
    ['of any length', ['N', null], [6]],
    ['flat', ['N', 6], [2, 3]],
    ['with an axis of length 1 that the source leaves out', ['N', 1, 6], [6]],
    ['with one that only the source has', ['N', 2, 3], [2, 1, 3]],
    ['with a fixed batch', [1, 2, 3], [2, 3]],
    ['as float16', ['N', 6], [6], 'float16'],
    ['as float64', ['N', 6], [6], 'float64'],
  ])('%s', async (_, shape, given, dtype) => {
    const fused = fuse(shape, given, dtype)
    const batch = shape[0] === 'N' ? 'N' : 'batch'
    expect(fused.inputs).toEqual([{ name: 'features', dtype: 'float32', shape: [batch, ...given] }])
    const { logits } = await runModel(fused.proto, { features: floats(x, [rows, ...given]) })
    expect(worst(logits!.values, matmul(x, weights, 6))).toBeLessThan(dtype === 'float16' ? 1e-2 : 1e-5)
  })

  test('what does not fit is an error that prints both shapes', () => {
    expect(() => fuse(['N', 7], [6])).toThrow(
      "the teacher's input x: float32[N,7] does not fit the features: they give [N,6]",
    )
    expect(() => fuse(['N', 3, 2], [2, 3])).toThrow(/does not fit the features: they give \[N,2,3\]/)
  })
})

const [rows, length, vocabulary, width, classes] = [3, 4, 11, 5, 6]
const table = noise(vocabulary * width)
const places = noise(length * width, 0.5)
const kinds = noise(2 * width, 0.7)
const head = noise(width * classes)
/** Right padding, none, all but one. */
const tokens = [5, 2, 10, -1, 1, 3, 0, 9, 7, -1, -1, -1]

interface Options {
  inputs?: string[]
  dtype?: ElementName
  shape?: Dimension[]
  /** What stands behind the logits. */
  end?: (g: GraphBuilder, z: string) => string
  pooled?: boolean
  opset?: number
}

/** Logits of each position: (embedding of the token, its place, its type; -Inf where the mask is 0) · head. */
function tokenTeacher(options: Options = {}) {
  const { inputs = ['input_ids'], dtype = 'int64', shape = ['N', 'L'], end = (_, z) => z, pooled, opset = 18 } = options
  return build(
    (g) => {
      const feed = Object.fromEntries(inputs.map((name) => [name, g.input(name, dtype, shape)]))
      const look = (values: number[], ids: string) =>
        g.node('Gather', [g.f32(values, [values.length / width, width]), ids])
      let h = look(table, feed.input_ids ?? feed[inputs[0]!]!)
      if (feed.position_ids) h = g.node('Add', [h, look(places, feed.position_ids)])
      if (feed.token_type_ids) h = g.node('Add', [h, look(kinds, feed.token_type_ids)])
      let z = g.node('MatMul', [h, g.f32(head, [width, classes])])
      if (feed.attention_mask) {
        const mask = g.node('Cast', [g.node('Unsqueeze', [feed.attention_mask, g.i64([2])])], {
          to: elementTypes.float32,
        })
        z = g.node('Div', [z, mask])
      }
      const by = pooled
        ? g.node('Squeeze', [g.node('Slice', [z, g.i64([0]), g.i64([1]), g.i64([1])]), g.i64([1])])
        : end(g, z)
      g.output('z', 'float32', pooled ? [shape[0]!, classes] : [...shape, classes], by)
    },
    { opset },
  )
}

/** The same in float64; 0 at padding. */
function reference(inputs: string[]): number[] {
  return tokens.flatMap((token, at) => {
    if (token < 0) return Array(classes).fill(0)
    const h = Array.from({ length: width }, (_, i) => {
      const place = inputs.includes('position_ids') ? places[(at % length) * width + i]! : 0
      return table[token * width + i]! + place + (inputs.includes('token_type_ids') ? kinds[i]! : 0)
    })
    return matmul(h, head, width)
  })
}

const feed = { tokens: new Tensor('int32', Int32Array.from(tokens), [rows, length]) }
const fuse = (options: Options, target: Target = 'f32') => {
  const { proto, output, positions } = findLogits({ proto: tokenTeacher(options) }, { tokens: true })
  return fuseTeacher(proto, { output, positions, target, front: { kind: 'tokens', length } })
}

describe('what a teacher of tokens is fed', () => {
  const roles = ['input_ids', 'attention_mask', 'token_type_ids', 'position_ids']
  /** What it is fed as its logits, a role after another, of the whole sequence [N, 4·L] or of each position [N, L, 4]. */
  const echo = (by: 'sequence' | 'position', opset = 18) =>
    build(
      (g) => {
        const fed = roles.map((name) =>
          g.node('Cast', [g.input(name, 'int64', ['N', 'L'])], { to: elementTypes.float32 }),
        )
        if (by === 'sequence') return g.output('z', 'float32', ['N', 4 * length], g.node('Concat', fed, { axis: 1 }))
        const columns = fed.map((value) => g.node('Unsqueeze', [value, g.i64([2])]))
        return g.output('z', 'float32', ['N', 'L', 4], g.node('Concat', columns, { axis: 2 }))
      },
      { opset },
    )
  const fed = async (by: 'sequence' | 'position', front: { pad?: number; side?: 'left' | 'right' }, opset?: number) => {
    const { proto, output, positions } = findLogits({ proto: echo(by, opset) }, { tokens: true })
    const fused = fuseTeacher(proto, { output, positions, target: 'f32', front: { kind: 'tokens', length, ...front } })
    return runModel(fused.proto, feed)
  }
  /** Of the tokens above, a sequence a row: ids, mask, types, positions of each. */
  const left = [
    [99, 5, 2, 10, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0, 1, 2],
    [1, 3, 0, 9, 1, 1, 1, 1, 0, 0, 0, 0, 0, 1, 2, 3],
    [99, 99, 99, 7, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0],
  ]

  test('by default 0 behind the tokens', async () => {
    const { logits } = await fed('sequence', {})
    expect(rowsOf(logits!.values, 16)).toEqual([
      [5, 2, 10, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0, 1, 2, 3],
      [1, 3, 0, 9, 1, 1, 1, 1, 0, 0, 0, 0, 0, 1, 2, 3],
      [7, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3],
    ])
  })

  test('the id of its padding, and before the tokens where that is asked for, which are then counted from 0', async () => {
    const { logits } = await fed('sequence', { pad: 99 })
    expect(rowsOf(logits!.values, 16).map((row) => row.slice(0, 4))).toEqual([
      [5, 2, 10, 99],
      [1, 3, 0, 9],
      [7, 99, 99, 99],
    ])
    for (const opset of [13, 18])
      expect(rowsOf((await fed('sequence', { pad: 99, side: 'left' }, opset)).logits!.values, 16)).toEqual(left)
  })

  test('what it says of a position comes out in the order of the tokens', async () => {
    for (const side of ['left', 'right'] as const) {
      const { logits, length: lengths } = await fed('position', { pad: 99, side })
      expect(lengths!.values).toEqual([3, 4, 1])
      expect(rowsOf(logits!.values, 4)).toEqual(
        tokens.map((token, at) => (token < 0 ? [0, 0, 0, 0] : [token, 1, 0, at % length])),
      )
    }
  })

  test('a student takes the tokens as they are', async () => {
    const proto = tokenTeacher({ inputs: ['tokens'], dtype: 'int32' })
    const look = proto.graph!.node[0]!
    expect(look.input[1]).toBe('tokens')
    const front = { kind: 'tokens', length, pad: 9, side: 'left' } as const
    const fused = fuseTeacher(proto, { output: 'z', positions: true, target: 'f32', front })
    const { logits } = await runModel(fused.proto, {
      tokens: new Tensor('int32', Int32Array.from([1, 3, 0, 9]), [1, 4]),
    })
    expect(worst(logits!.values, reference([]).slice(length * classes, 2 * length * classes))).toBeLessThan(1e-5)
  })

  test('an operator set that cannot move the tokens is refused', async () => {
    expect(() =>
      fuseTeacher(tokenTeacher({ opset: 10, pooled: false }), {
        ...{ output: 'z', positions: true, target: 'f32' },
        front: { kind: 'tokens', length, side: 'left' },
      }),
    ).toThrow('a teacher of tokens, padded on the left: expected operator set 11 or later, found 10')
  })
})

describe('in front: tokens; behind: targets by position', () => {
  const all = ['input_ids', 'attention_mask', 'token_type_ids', 'position_ids']
  test.each<[string, Options]>([
    ['ids of any name', { inputs: ['x'] }],
    ['a name that clashes', { inputs: ['tokens'] }],
    ['all that there may be, in any order', { inputs: all.toReversed() }],
    ['int32', { inputs: all, dtype: 'int32' }],
    ['a batch that is fixed', { shape: [1, 'L'] }],
    ['a length that is fixed', { shape: ['N', length] }],
    ['opset 13', { opset: 13 }],
    ['Softmax at the end', { end: (g, z) => g.node('Softmax', [z], { axis: -1 }) }],
    ['LogSoftmax over axis 2', { end: (g, z) => g.node('LogSoftmax', [z], { axis: 2 }) }],
    ['all inputs and a Softmax', { inputs: all, end: (g, z) => g.node('Softmax', [z], { axis: 2 }) }],
  ])('%s', async (_, options) => {
    const fused = fuse(options)
    expect(fused.inputs).toMatchObject([{ name: 'tokens', dtype: 'int32', shape: [expect.any(String), length] }])
    const { logits, length: lengths, row_sum } = await runModel(fused.proto, feed)
    expect(logits!.dims).toEqual([rows * length, classes])
    expect(worst(logits!.values, reference(options.inputs ?? []))).toBeLessThan(1e-5)
    expect(lengths!.values).toEqual([3, 4, 1])
    // the teacher divides by the mask: what it says of padding is NaN, and no reason to stop
    expect(row_sum!.values.every(Number.isFinite)).toBe(true)
  })

  test('a classifier of sequences: [N, C]', async () => {
    const { logits } = await runModel(fuse({ pooled: true }).proto, feed)
    expect(logits!.dims).toEqual([rows, classes])
    expect(
      worst(
        logits!.values,
        rowsOf(reference([]), length * classes).flatMap((row) => row.slice(0, classes)),
      ),
    ).toBeLessThan(1e-5)
  })

  test('float16 by position', async () => {
    const { logits, shift } = await runModel(fuse({}, 'f16').proto, feed)
    expect([logits!.dims, shift!.dims]).toEqual([[rows * length, classes], [rows * length]])
    const back = logits!.values.map((gap, i) => gap + shift!.values[Math.floor(i / classes)]!)
    expect(worst(back, reference([]))).toBeLessThan(2 ** -8)
  })

  test.each(['topk', 'sampled'] as const)(
    '%s keeps the logit of the next token, where it is a class',
    async (codec) => {
      const { temperatures } = tailTable
      const fused = fuse({}, { codec, k: 2, classes, labels: 'next token', temperatures })
      const fed = codec === 'topk' ? ['tokens'] : ['tokens', 'uniforms']
      expect(fused.inputs.map(({ name }) => name)).toEqual(fed)
      const uniforms = floats(Array(rows * length * 2).fill(0.5), [rows, length, 2])
      const { label_logit, shift } = await runModel(fused.proto, codec === 'topk' ? feed : { ...feed, uniforms })
      const labels = nextTokens(tokens, { positions: length, classes })
      expect(labels.some((label, at) => label < 0 && tokens[at + 1]! >= classes)).toBe(true)
      const z = reference([])
      labels.forEach((label, at) => {
        const found = label_logit!.values[at]! + shift!.values[at]!
        if (label < 0) expect(found).toBeNaN()
        else expect(Math.abs(found - z[at * classes + label]!)).toBeLessThan(2 ** -8)
      })
    },
  )

  test('a Softmax over positions is not over classes', () => {
    const proto = tokenTeacher({ end: (g, z) => g.node('Softmax', [z], { axis: 1 }) })
    expect(findLogits({ proto }, { tokens: true }).kind).toBe('log of probabilities')
  })

  test('what does not fit is an error that prints both shapes', () => {
    expect(() => fuse({ shape: ['N', 128] })).toThrow(
      'expected logits [N, 4, C] from the teacher, found z: float32[N,128,6]',
    )
    expect(() => fuse({ shape: ['N', 128], pooled: true })).toThrow(
      "the teacher's input input_ids: int64[N,128] does not fit the tokens: they give [N,4]",
    )
    expect(() => fuse({ inputs: ['input_ids', 'past_key_values.0.key'], dtype: 'int64' })).not.toThrow() // unused: pruned
    expect(() => fuse({ inputs: ['ids', 'token_type_ids'] })).toThrow(
      /expected a teacher of tokens with one input, or input_ids with attention_mask, .*; found ids: int64\[N,L\], token/,
    )
    expect(() => findLogits({ proto: tokenTeacher() })).toThrow(/no output is floats of shape \[N, C\]/)
  })
})
