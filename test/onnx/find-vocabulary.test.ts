import { expect, test } from 'vitest'
import { elementTypes } from '../../src/onnx/dtypes.js'
import { findVocabulary } from '../../src/onnx/find-vocabulary.js'
import type { GraphBuilder } from '../../src/onnx/graph-builder.js'
import { build } from './models.js'

const [V, D] = [30, 2]
const microsoft = { domain: 'com.microsoft' }

/** A teacher that makes something of its ids. */
const teacher = (look: (g: GraphBuilder, ids: string) => string, name = 'input_ids') =>
  build(
    (g) => {
      const ids = g.input(name, name === 'tokens' ? 'int32' : 'int64', ['N', 'L'])
      g.output('embedded', 'float32', [null], look(g, ids))
    },
    { domains: { 'com.microsoft': 1 } },
  )
const table = (g: GraphBuilder, rows = V) => g.f32(new Float32Array(rows * D), [rows, D])
const bytes = (g: GraphBuilder) => g.constant('uint8', new Uint8Array(V * D), [V, D])

test.each<[string, (g: GraphBuilder, ids: string) => string]>([
  ['as they are', (g, ids) => g.node('Gather', [table(g), ids])],
  [
    'behind another shape and type',
    (g, ids) => {
      const flat = g.node('Reshape', [g.node('Cast', [ids], { to: elementTypes.int32 }), g.i64([-1])])
      return g.node('Gather', [table(g), flat])
    },
  ],
  [
    'in a table of another type',
    (g, ids) => {
      const halves = g.constant('float16', new Uint16Array(V * D), [V, D])
      return g.node('Gather', [g.node('Cast', [halves], { to: elementTypes.float32 }), ids])
    },
  ],
  [
    'in a quantized table',
    (g, ids) =>
      g.node('Gather', [
        g.node('DequantizeLinear', [bytes(g), g.f32(0.1), g.constant('uint8', new Uint8Array(1), [])]),
        ids,
      ]),
  ],
  [
    "in one that ONNX Runtime's quantizer made",
    (g, ids) => g.node('GatherBlockQuantized', [bytes(g), ids, g.f32(new Float32Array(V), [V, 1])], {}, microsoft),
  ],
  [
    "as ONNX Runtime's optimizer fuses it",
    (g, ids) => g.node('EmbedLayerNormalization', [ids, '', table(g), table(g, 512)], {}, microsoft),
  ],
  [
    'in the first of several',
    (g, ids) => g.node('Add', [g.node('Gather', [table(g), ids]), g.node('Gather', [table(g, 2 * V), ids])]),
  ],
])('a teacher knows the ids of its table: %s', (_, look) => {
  expect(findVocabulary(teacher(look))).toBe(V)
})

test('of a student of decant, which adds 1 to its tokens, they are one less', () => {
  const one = (g: GraphBuilder) => g.constant('int32', Int32Array.of(1), [])
  const looks = [
    (g: GraphBuilder, ids: string) => g.node('Gather', [table(g), g.node('Add', [ids, one(g)])]),
    (g: GraphBuilder, ids: string) => g.node('Gather', [table(g), g.node('Add', [one(g), ids])]),
  ]
  for (const look of looks) expect(findVocabulary(teacher(look, 'tokens'))).toBe(V - 1)
})

test.each<[string, (g: GraphBuilder, ids: string) => string]>([
  ['a table that is computed', (g, ids) => g.node('Gather', [g.node('Neg', [table(g)]), ids])],
  ['ids that depend on more', (g, ids) => g.node('Gather', [table(g), g.node('Mul', [ids, g.i64(2)])])],
  ['no table', (g, ids) => g.node('Cast', [ids], { to: elementTypes.float32 })],
])('is not known from %s', (_, look) => {
  expect(findVocabulary(teacher(look))).toBe(undefined)
})
