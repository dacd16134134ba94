import { create } from '@bufbuild/protobuf'
import { type ModelProto, TensorProtoSchema } from 'onnx-buf'
import { InferenceSession } from 'onnxruntime-node'
import { describe, expect, test } from 'vitest'
import { elementTypes } from '../../src/onnx/dtypes.js'
import { type ClassLabel, findClassLabels, findLabelOutputs } from '../../src/onnx/find-classes.js'
import { type Attributes, encodeModel, type GraphBuilder, makeValueInfo } from '../../src/onnx/graph-builder.js'
import { readLabels } from '../../src/onnx/read-labels.js'
import { type BuildOptions, build, floats } from './models.js'

const classes = 3
const ml = (version: number) => ({ domains: { 'ai.onnx.ml': version }, opset: 15 })

/** Values of an integer label, or a text, and of the scores, where they are not those that are given. */
type Head = (g: GraphBuilder, scores: string) => { label?: string; text?: string; scores?: string }

/** Features [N, 3], of which the largest decides, and what `head` makes of them. */
const model = (head: Head, options: BuildOptions = ml(1)) =>
  build((g) => {
    const x = g.input('x', 'float32', ['N', classes])
    const z = g.node('MatMul', [x, g.f32([1, 0, 0, 0, 1, 0, 0, 0, 1], [classes, classes])])
    const { label, text, scores = z } = head(g, z)
    g.output('label', text ? 'string' : 'int64', ['N'], text ?? label)
    g.output('scores', 'float32', ['N', classes], scores)
  }, options)

const mlNode = (g: GraphBuilder, op: string, inputs: string[], attributes: Attributes = {}) =>
  g.node(op, inputs, attributes, { domain: 'ai.onnx.ml' })
const argMax = (g: GraphBuilder, scores: string) => g.node('ArgMax', [scores], { axis: 1, keepdims: 0 })
const texts = { strings: ['no', 'ja', 'vielleicht'] }

/** A constant of texts, as an initializer. */
function textTensor(g: GraphBuilder): string {
  const stringData = texts.strings.map((text) => new TextEncoder().encode(text))
  const [dims, dataType] = [[BigInt(classes)], elementTypes.string]
  g.initializers.push(create(TensorProtoSchema, { name: 'classes', dims, dataType, stringData }))
  return 'classes'
}

/** A linear classifier of one weight a class: the largest feature decides. */
function classifier(g: GraphBuilder, labels: Attributes): [label: string, scores: string] {
  const coefficients = { floats: [1, 0, 0, 0, 1, 0, 0, 0, 1] }
  const attributes = { ...labels, coefficients, intercepts: { floats: [0, 0, 0] }, post_transform: 'SOFTMAX' }
  return g.nodeOf('LinearClassifier', ['x'], attributes, { domain: 'ai.onnx.ml', outputs: 2 }) as [string, string]
}

const ofTexts: Head = (g) => {
  const [text, scores] = classifier(g, { classlabels_strings: texts })
  return { text, scores }
}

/** What a model's output says of rows that are of class 0, 1 and 2. */
async function said(proto: ModelProto, output: string): Promise<ClassLabel[]> {
  const session = await InferenceSession.create(encodeModel(proto), { logSeverityLevel: 3 })
  const rows = floats([1, 0, 0, 0, 1, 0, 0, 0, 1], [classes, classes])
  const { data } = (await session.run({ x: rows }, [output]))[output]!
  await session.release()
  return Array.from(
    data as ArrayLike<unknown>,
    (label) => (typeof label === 'bigint' ? Number(label) : label) as ClassLabel,
  )
}

describe('the classes that a label output gives are those that its graph shows', () => {
  const cases: [string, ClassLabel[], Head, BuildOptions?][] = [
    [
      'a classifier of integers',
      [10, 20, 30],
      (g) => {
        const [label, scores] = classifier(g, { classlabels_ints: [10, 20, 30] })
        return { label, scores }
      },
    ],
    ['a classifier of texts', texts.strings, ofTexts],
    [
      'ArrayFeatureExtractor over integers, cast to and fro, as skl2onnx writes it',
      [-1, 1, 7],
      (g, z) => {
        const picked = mlNode(g, 'ArrayFeatureExtractor', [g.i64([-1, 1, 7]), argMax(g, z)])
        const flat = g.node('Reshape', [g.node('Cast', [picked], { to: elementTypes.float32 }), g.i64([-1])])
        return { label: g.node('Cast', [flat], { to: elementTypes.int64 }) }
      },
    ],
    [
      'ArrayFeatureExtractor over texts',
      texts.strings,
      (g, z) => ({ text: mlNode(g, 'ArrayFeatureExtractor', [textTensor(g), argMax(g, z)]) }),
    ],
    ['Gather', [5, 3, 4], (g, z) => ({ label: g.node('Gather', [g.i64([5, 3, 4]), argMax(g, z)]) }), { opset: 18 }],
    [
      'Gather of a Constant of texts',
      texts.strings,
      (g, z) => ({ text: g.node('Gather', [g.node('Constant', [], { value_strings: texts }), argMax(g, z)]) }),
      { opset: 18 },
    ],
    [
      'LabelEncoder of version 1',
      texts.strings,
      (g, z) => ({ text: mlNode(g, 'LabelEncoder', [argMax(g, z)], { classes_strings: texts }) }),
    ],
    [
      'LabelEncoder of the places, in another order',
      ['ja', 'vielleicht', 'no'],
      (g, z) => ({
        text: mlNode(g, 'LabelEncoder', [argMax(g, z)], { keys_int64s: [2, 0, 1], values_strings: texts }),
      }),
      ml(2),
    ],
    [
      "LabelEncoder of a classifier's integers",
      ['vielleicht', 'no', 'ja'],
      (g) => {
        const [own, scores] = classifier(g, { classlabels_ints: [30, 10, 20] })
        const table = { keys_int64s: [10, 20, 30], values_strings: texts }
        return { text: mlNode(g, 'LabelEncoder', [own], table), scores }
      },
      ml(2),
    ],
    [
      'integers cast to texts',
      ['10', '20', '30'],
      (g) => {
        const [own, scores] = classifier(g, { classlabels_ints: [10, 20, 30] })
        return { text: g.node('Cast', [own], { to: elementTypes.string }), scores }
      },
    ],
  ]
  test.each(cases)('%s', async (_, labels, head, options) => {
    const proto = model(head, options)
    expect(await said(proto, 'label')).toEqual(labels) // the model gives them
    const [found, ...others] = findLabelOutputs(proto.graph!, 'scores')
    expect(others).toEqual([])
    expect(found).toMatchObject({ name: 'label', labels })
    expect(findClassLabels(proto.graph!, 'scores')).toEqual(labels)
    const read = readLabels(proto, found!)
    const asNumbers = labels.map((value, place) => (typeof value === 'string' ? place : value))
    expect(await said(read.proto, read.output)).toEqual(asNumbers)
  })

  test('the largest score without names: places', async () => {
    const topK = (g: GraphBuilder, z: string) => g.nodeOf('TopK', [z, g.i64([1])], { axis: 1 }, { outputs: 2 })[1]!
    for (const top of [argMax, topK]) {
      const { graph } = model((g, z) => ({ label: g.node('Reshape', [top(g, z), g.i64([-1])]) }))
      expect(findLabelOutputs(graph!, 'scores')).toMatchObject([{ name: 'label', labels: undefined }])
      expect(findClassLabels(graph!, 'scores')).toBeUndefined()
    }
  })

  test('a text that is none of the labels is -1', async () => {
    const proto = model(ofTexts)
    const [found] = findLabelOutputs(proto.graph!, 'scores')
    const read = readLabels(proto, { ...found!, labels: ['no', 'vielleicht'] })
    expect(await said(read.proto, read.output)).toEqual([0, -1, 1])
  })
})

describe('without a label output, the classes are those of', () => {
  const scores = (fill: (g: GraphBuilder) => void) =>
    build((g) => {
      g.input('x', 'float32', ['N', classes])
      fill(g)
    }, ml(1)).graph!

  test('the classifier that the scores come from', () => {
    const graph = scores((g) => {
      const [, z] = classifier(g, { classlabels_strings: texts })
      g.output('p', 'float32', ['N', classes], mlNode(g, 'Normalizer', [z], { norm: 'L1' }))
    })
    expect(findClassLabels(graph, 'p')).toEqual(texts.strings)
  })

  test('the ZipMap behind them', () => {
    const graph = scores((g) => {
      g.node('ZipMap', ['x'], { classlabels_int64s: [3, 5, 9] }, { domain: 'ai.onnx.ml', outputs: ['maps'] })
      g.outputs.push(makeValueInfo('maps', 'float32', []))
    })
    expect(findClassLabels(graph, 'maps')).toEqual([3, 5, 9])
  })

  test('no classifier inside the model', () => {
    const graph = scores((g) => {
      const [, z] = classifier(g, { classlabels_ints: [0, 1, 2] })
      const weights = g.f32(Array(9).fill(1), [classes, classes])
      g.output('z', 'float32', ['N', classes], g.node('MatMul', [z, weights]))
    })
    expect(findClassLabels(graph, 'z')).toBeUndefined()
  })
})

describe('what is no label of the logits:', () => {
  test.each<[string, (g: GraphBuilder, z: string) => string]>([
    ['rounded numbers', (g) => g.node('Cast', [g.node('ReduceSum', ['x', g.i64([1])], { keepdims: 0 })], { to: 7 })],
    ['the length of the batch', (g, z) => g.node('Shape', [z])],
    ['a threshold of its own', (g, z) => g.node('Cast', [g.node('Greater', [z, g.f32(0.2)])], { to: 7 })],
    ['the class of another head', (g) => argMax(g, g.node('MatMul', ['x', g.f32([1, 0, 0, 1, 1, 1], [classes, 2])]))],
  ])('%s', (_, other) => {
    const graph = model((g, z) => ({ label: other(g, z) })).graph!
    expect(findLabelOutputs(graph, 'scores')).toEqual([])
  })

  test('one part of a split, of another', () => {
    const graph = build((g) => {
      const joint = g.node('Identity', [g.input('x', 'float32', ['N', 5])])
      const [age, sex] = g.nodeOf('Split', [joint, g.i64([3, 2])], { axis: 1 }, { outputs: 2 })
      g.output('age', 'float32', ['N', 3], age!)
      g.output('sex', 'int64', ['N'], argMax(g, sex!))
    }).graph!
    expect(findLabelOutputs(graph, 'age')).toEqual([])
  })

  test('but that of the softmax is one of its log-softmax', () => {
    const graph = build((g) => {
      const z = g.node('Identity', [g.input('x', 'float32', ['N', classes])])
      g.output('log', 'float32', ['N', classes], g.node('LogSoftmax', [z]))
      g.output('top', 'int64', ['N'], argMax(g, g.node('Softmax', [z])))
    }).graph!
    expect(findLabelOutputs(graph, 'log')).toMatchObject([{ name: 'top' }])
  })
})
