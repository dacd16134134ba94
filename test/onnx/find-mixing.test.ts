import { describe, expect, it } from 'vitest'
import { findMixing } from '../../src/onnx/find-mixing.js'
import type { GraphBuilder } from '../../src/onnx/graph-builder.js'
import { build } from './models.js'

const model = (body: (g: GraphBuilder, x: string) => string, opset?: number) =>
  build(
    (g) => g.output('z', 'float32', ['N', 4], body(g, g.input('x', 'float32', ['N', 4]))),
    opset === undefined ? {} : { opset },
  )
const bool = (g: GraphBuilder, value: boolean) => g.constant('bool', Uint8Array.of(Number(value)), [])
const dropout = (g: GraphBuilder, x: string, training?: string) =>
  g.node('Dropout', [x, g.f32(0.5), ...(training ? [training] : [])])
const normalize = (g: GraphBuilder, x: string, attributes: { training_mode?: number }, outputs = 1) =>
  g.nodeOf('BatchNormalization', [x, ...[1, 0, 0, 1].map((v) => g.f32([v, v, v, v]))], attributes, { outputs })[0]!

describe('nodes that draw at random are named', () => {
  it.each<[string, (g: GraphBuilder, x: string) => string, string[]]>([
    ['Dropout in training mode', (g, x) => dropout(g, x, bool(g, true)), ["node 'dropout' (Dropout)"]],
    [
      'Dropout whose mode is computed',
      (g, x) => dropout(g, x, g.node('Not', [bool(g, false)])),
      ["node 'dropout' (Dropout)"],
    ],
    ['Dropout out of training mode', (g, x) => dropout(g, x, bool(g, false)), []],
    ['Dropout that says nothing', (g, x) => dropout(g, x), []],
    [
      'noise that is added',
      (g, x) => g.node('Add', [x, g.node('RandomNormalLike', [x])]),
      ["node 'randomnormallike' (RandomNormalLike)"],
    ],
    ['a gate that is drawn', (g, x) => g.node('Mul', [x, g.node('Bernoulli', [x])]), ["node 'bernoulli' (Bernoulli)"]],
  ])('%s', (_, body, chance) => {
    expect(findMixing(model(body)).chance).toEqual(chance)
  })
})

describe('nodes over all rows of a call are named', () => {
  it.each<[string, (g: GraphBuilder, x: string) => string, string[], number?]>([
    [
      'BatchNormalization in training mode',
      (g, x) => normalize(g, x, { training_mode: 1 }, 3),
      ["node 'batchnormalization' (BatchNormalization)"],
    ],
    [
      'BatchNormalization with the outputs that training had, before operator set 14',
      (g, x) => normalize(g, x, {}, 3),
      ["node 'batchnormalization' (BatchNormalization)"],
      9,
    ],
    ['BatchNormalization with learnt statistics', (g, x) => normalize(g, x, {}), []],
    [
      'one scale for the whole tensor',
      (g, x) => g.node('DequantizeLinear', g.nodeOf('DynamicQuantizeLinear', [x], {}, { outputs: 3 })),
      ["node 'dynamicquantizelinear' (DynamicQuantizeLinear)"],
    ],
    [
      'a mean over axis 0',
      (g, x) => g.node('Sub', [x, g.node('ReduceMean', [x, g.i64([0])])]),
      ["node 'reducemean' (ReduceMean)"],
    ],
    [
      'a mean over all axes',
      (g, x) => g.node('Sub', [x, g.node('ReduceMean', [x])]),
      ["node 'reducemean' (ReduceMean)"],
    ],
    ['a mean over the classes', (g, x) => g.node('Sub', [x, g.node('ReduceMean', [x, g.i64([1])])]), []],
    ['a softmax over axis 0', (g, x) => g.node('Softmax', [x], { axis: 0 }), ["node 'softmax' (Softmax)"]],
    [
      'a mean of weights, and a product of sizes: no rows are in them',
      (g, x) => {
        const weights = g.node('ReduceMean', [g.f32([1, 2, 3, 4], [1, 4]), g.i64([0])], { keepdims: 0 })
        const size = g.node('ReduceProd', [g.node('Cast', [g.node('Shape', [x])], { to: 1 })])
        return g.node('Add', [g.node('Mul', [x, weights]), g.node('Mul', [size, g.f32(0)])])
      },
      [],
    ],
  ])('%s', (_, body, batch, opset) => {
    expect(findMixing(model(body, opset)).batch).toEqual(batch)
  })
})
