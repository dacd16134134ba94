import { describe, expect, test } from 'vitest'
import { elementTypes } from '../../src/onnx/dtypes.js'
import { findPadding } from '../../src/onnx/find-padding.js'
import type { GraphBuilder } from '../../src/onnx/graph-builder.js'
import { build } from './models.js'

const PAD = 50256
const VOCABULARY = 50257

/** A classifier that looks ids up in a table and makes something of `compare(ids)`, too. */
function teacher(compare: (g: GraphBuilder, ids: string) => string, inputs: string[] = ['input_ids']) {
  return build((g) => {
    const [ids] = inputs.map((name) => g.input(name, name === 'tokens' ? 'int32' : 'int64', ['N', 'L']))
    const table = g.f32(new Float32Array(VOCABULARY * 2), [VOCABULARY, 2])
    g.output('embedded', 'float32', ['N', 'L', 2], g.node('Gather', [table, ids!]))
    g.output('compared', 'float32', [null], compare(g, ids!))
  })
}

const cast = (g: GraphBuilder, value: string, to: 'int32' | 'int64' | 'bool' | 'float32') =>
  g.node('Cast', [value], { to: elementTypes[to] })
const equal = (g: GraphBuilder, ids: string, id = PAD) => g.node('Equal', [ids, g.i64(id)])
const not = (g: GraphBuilder, value: string) => g.node('Not', [value])

describe('padding', () => {
  test.each<[string, (g: GraphBuilder, ids: string) => string]>([
    [
      'the last of the others, times their number (transformers 4.5x)',
      (g, ids) => {
        const others = cast(g, not(g, equal(g, ids)), 'int32')
        return g.node('ArgMax', [g.node('Mul', [others, g.node('Identity', [others])])], { axis: -1 })
      },
    ],
    [
      'before the first, less one (transformers of before)',
      (g, ids) => {
        const first = g.node('ArgMax', [cast(g, equal(g, ids), 'int32')], { axis: -1 })
        return g.node('Mod', [g.node('Sub', [first, g.i64(1)]), g.i64(8)])
      },
    ],
    [
      'less one, of the number of the others',
      (g, ids) => g.node('Sub', [g.node('ReduceSum', [cast(g, not(g, equal(g, ids)), 'int64'), g.i64([1])]), g.i64(1)]),
    ],
    [
      'positions counted where there is none (RoBERTa)',
      (g, ids) => g.node('CumSum', [cast(g, not(g, equal(g, ids)), 'int32'), g.i64(1)]),
    ],
    ['a mask of attention', (g, ids) => g.node('Where', [equal(g, ids), g.f32(-1e9), g.f32(0)])],
    [
      'behind another shape and type, the constant as well',
      (g, ids) => {
        const flat = cast(g, g.node('Reshape', [ids, g.i64([-1])]), 'int32')
        const id = cast(g, g.node('Expand', [g.i64(PAD), g.i64([1])]), 'int32')
        return not(g, g.node('Equal', [id, flat]))
      },
    ],
    [
      'searched for, and masked',
      (g, ids) => {
        const where = equal(g, ids)
        g.output('where', 'int64', [null], g.node('NonZero', [where]))
        return not(g, where)
      },
    ],
  ])('is what is compared: %s', (_, compare) => {
    expect(findPadding(teacher(compare))).toEqual({ padding: [PAD] })
    // whatever else it takes, and a lone input of any name
    expect(findPadding(teacher(compare, ['x']))!.padding).toEqual([PAD])
    expect(findPadding(teacher(compare, ['input_ids', 'attention_mask']))!.padding).toEqual([PAD])
  })

  test.each<[string, (g: GraphBuilder, ids: string) => string]>([
    ['ids > 0', (g, ids) => g.node('Greater', [ids, g.i64(0)])],
    ['0 < ids', (g, ids) => g.node('Less', [g.i64(0), ids])],
    ['ids as booleans', (g, ids) => cast(g, ids, 'bool')],
  ])('is 0 where the teacher tells that from the rest: %s', (_, compare) => {
    expect(findPadding(teacher(compare))!.padding).toEqual([0])
  })

  test.each<[string, (g: GraphBuilder, ids: string) => string]>([
    ['where the end of the text is (BART)', (g, ids) => g.node('NonZero', [equal(g, ids)])],
    [
      'the first end of the text (CLIP)',
      (g, ids) => g.node('Gather', [ids, g.node('ArgMax', [cast(g, equal(g, ids), 'int32')], { axis: -1 })]),
    ],
    ['whether an id is in the vocabulary', (g, ids) => g.node('Less', [ids, g.i64(VOCABULARY)])],
    ['something else', (g) => g.node('Equal', [g.i64(PAD), g.i64(PAD)])],
    ['its ids with others', (g, ids) => g.node('Equal', [ids, g.node('Add', [ids, g.i64(1)])])],
  ])('is not %s', (_, compare) => {
    expect(findPadding(teacher(compare))).toEqual({ padding: [] })
  })

  test('may be one of several', () => {
    const proto = teacher((g, ids) => {
      g.output('mask', 'float32', [null], g.node('Where', [equal(g, ids, 32), g.f32(0), g.f32(1)]))
      return not(g, equal(g, ids, 1))
    })
    expect(findPadding(proto)!.padding).toEqual([32, 1])
  })

  test('of decant\u2019s own students is -1', () => {
    expect(
      findPadding(teacher((g, ids) => g.node('Less', [ids, g.constant('int32', Int32Array.of(0), [])]), ['tokens'])),
    ).toBe(undefined)
  })
})
