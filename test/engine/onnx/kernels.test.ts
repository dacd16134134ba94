import '@tensorflow/tfjs-backend-cpu'
import * as tf from '@tensorflow/tfjs-core'
import '@tensorflow/tfjs-layers' // registers tfjs's gradients
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Engine } from '../../../src/engine/engine.js'
import { openOnnx } from '../../../src/engine/onnx/engine.js'
import { random } from '../../../src/random.js'

let engine: Engine

beforeAll(async () => {
  tf.enableProdMode()
  await tf.setBackend('cpu')
  engine = await openOnnx({ threads: 1 })
})
afterAll(() => engine.dispose())

const { uniform, below } = random('kernels')
const floats = (size: number, from: number, to: number) =>
  Float32Array.from({ length: size }, () => from + (to - from) * uniform())

const shapes = {
  a: [3, 4],
  b: [3, 4],
  row: [4],
  p: [3, 4],
  u: [3, 4],
  i: [3, 4],
  j: [3, 4],
  k: [3],
  s: [2, 3, 4],
  img: [2, 6, 5, 3],
  wide: [16, 6, 4, 16],
}
type Inputs = Record<keyof typeof shapes, tf.Tensor>
const values: Record<keyof typeof shapes, Float32Array | Int32Array> = {
  a: Float32Array.of(-2, -1, -0.5, 0, 0.25, 0.5, 1, 1.5, 2, 3, 10, -20),
  b: floats(12, -3, 3),
  row: floats(4, -2, 2),
  p: floats(12, 0.1, 5),
  u: floats(12, -0.95, 0.95),
  i: Int32Array.of(-7, -3, -1, 0, 1, 2, 3, 4, 5, 6, 7, 8),
  j: Int32Array.of(2, 2, 2, -3, -3, -3, 4, 4, 4, 1, 1, 1),
  k: Int32Array.of(2, 0, 2),
  s: floats(24, -2, 2),
  // Few values, so that pools meet ties.
  img: Float32Array.from({ length: 180 }, () => below(4) - 1),
  wide: Float32Array.from({ length: 16 * 24 * 16 }, () => below(4) - 1),
}
const dtypeOf = (name: string) => (values[name as keyof typeof shapes] instanceof Int32Array ? 'int32' : 'float32')

/** Gradients, so that what the gradients of tfjs are made of is run, too. */
const gradient = (f: (x: tf.Tensor) => tf.Tensor) => (x: tf.Tensor) =>
  tf.grad((y) => {
    const z = f(y)
    return tf.sum(tf.mul(z, tf.cos(tf.reshape(tf.range(0, z.size), z.shape))))
  })(x)

type Case = (inputs: Inputs) => tf.Tensor | tf.Tensor[]

/** The same input for many operations, each by its own name. */
const each = (input: keyof Inputs, ...operations: ((x: tf.Tensor) => tf.Tensor)[]) =>
  Object.fromEntries(
    operations.map((op): [string, Case] => [op.name.replace('__op', ''), (inputs) => op(inputs[input])]),
  )
const each2 = (left: keyof Inputs, right: keyof Inputs, ...operations: ((x: tf.Tensor, y: tf.Tensor) => tf.Tensor)[]) =>
  Object.fromEntries(
    operations.map((op): [string, Case] => [
      `${op.name.replace('__op', '')} ${left} ${right}`,
      (inputs) => op(inputs[left], inputs[right]),
    ]),
  )
const gradients = (cases: Record<string, [keyof Inputs, (x: tf.Tensor, inputs: Inputs) => tf.Tensor]>) =>
  Object.fromEntries(
    Object.entries(cases).map(([name, [input, f]]): [string, Case] => [
      name,
      (inputs) => gradient((x) => f(x, inputs))(inputs[input]),
    ]),
  )

const filter = (height: number, width: number, from: number, to: number) =>
  tf.reshape(tf.sin(tf.range(0, height * width * from * to)), [height, width, from, to]) as tf.Tensor4D
const image = (x: tf.Tensor) => x as tf.Tensor4D

const families: Record<string, Record<string, Case>> = {
  'functions of any number': each(
    'a',
    tf.abs,
    tf.neg,
    tf.exp,
    tf.expm1,
    tf.square,
    tf.floor,
    tf.ceil,
    tf.round,
    tf.sign,
    tf.sin,
    tf.cos,
    tf.sinh,
    tf.cosh,
    tf.tanh,
    tf.atan,
    tf.asinh,
    tf.erf,
    tf.sigmoid,
    tf.softplus,
    tf.relu,
    tf.relu6,
    tf.elu,
    tf.selu,
    tf.leakyRelu,
    tf.step,
    tf.isNaN,
    tf.isInf,
    tf.isFinite,
    tf.logSigmoid,
    tf.softmax,
    tf.logSoftmax,
  ),
  'functions of some numbers': {
    ...each('p', tf.log, tf.log1p, tf.sqrt, tf.rsqrt, tf.reciprocal, tf.tan),
    ...each('u', tf.acos, tf.asin, tf.atanh, tf.log1p),
    acosh: ({ p }) => tf.acosh(tf.add(p, 1)),
    clipByValue: ({ a }) => tf.clipByValue(a, -1, 2),
    prelu: ({ a, row }) => tf.prelu(a, row),
    'step with a slope': ({ a }) => tf.step(a, 0.5),
    'cast to int32': ({ a }) => tf.cast(a, 'int32'),
    'cast to bool': ({ a }) => tf.cast(a, 'bool'),
  },
  'two numbers': {
    ...each2('a', 'b', tf.add, tf.sub, tf.mul, tf.div, tf.maximum, tf.minimum, tf.squaredDifference, tf.mod, tf.atan2),
    ...each2('a', 'row', tf.add, tf.sub, tf.mul, tf.div),
    ...each2('p', 'b', tf.pow),
    ...each2('i', 'j', tf.add, tf.sub, tf.mul, tf.maximum, tf.minimum, tf.floorDiv, tf.mod),
    addN: ({ a, b, p }) => tf.addN([a, b, p]),
    'atan2 on the axes': ({ a }) => tf.atan2(tf.sign(a), tf.mul(tf.round(a), 0)),
  },
  comparisons: {
    ...each2('i', 'j', tf.equal, tf.notEqual, tf.greater, tf.greaterEqual, tf.less, tf.lessEqual),
    ...each2('a', 'row', tf.equal, tf.notEqual, tf.greater, tf.greaterEqual, tf.less, tf.lessEqual),
    logic: ({ a, b }) => {
      const [x, y] = [tf.greater(a, 0), tf.less(b, 1)]
      return [tf.logicalAnd(x, y), tf.logicalOr(x, y), tf.logicalXor(x, y), tf.logicalNot(x), tf.equal(x, y)]
    },
    where: ({ a, b }) => tf.where(tf.greater(a, b), a, b),
  },
  reductions: {
    ...each('s', tf.sum, tf.mean, tf.max, tf.min, tf.prod, tf.logSumExp),
    axes: ({ s }) => [tf.sum(s, [0, 2]), tf.mean(s, 1, true), tf.max(s, -1), tf.min(s, [1, 2], true), tf.prod(s, 0)],
    'sum of truth values': ({ a }) => tf.sum(tf.greater(a, 0), 1),
    any: ({ a }) => [tf.any(tf.greater(a, 5), 1), tf.all(tf.greater(a, -5), 1)],
    arguments: ({ s, i }) => [tf.argMax(s, 1), tf.argMin(s, -1), tf.argMax(i, 0)],
    cumsum: ({ s }) => [tf.cumsum(s, 1), tf.cumsum(s, 2, true), tf.cumsum(s, 0, false, true)],
    topk: ({ b }) => Object.values(tf.topk(b, 2)),
    moments: ({ s }) => Object.values(tf.moments(s, [0, 2])),
    unsortedSegmentSum: ({ a, k }) => tf.unsortedSegmentSum(a, k as tf.Tensor1D, 3),
  },
  products: {
    matMul: ({ a, b }) => [tf.matMul(a, b, false, true), tf.matMul(a, b, true, false)],
    'matMul of stacks': ({ s }) => [tf.matMul(s, s, false, true), tf.matMul(s, s, true, false)],
    'matMul with a stack of one': ({ s, a }) => tf.matMul(s, tf.reshape(a, [1, 3, 4]), false, true),
    'fused matMul': ({ a, b, k }) =>
      tf.fused.matMul({ a, b, transposeB: true, bias: tf.cast(k, 'float32'), activation: 'elu' }),
    dot: ({ a, row }) => tf.dot(a, row),
    outerProduct: ({ row }) => tf.outerProduct(row as tf.Tensor1D, row as tf.Tensor1D),
  },
  shapes: {
    reshape: ({ s }) => [
      tf.reshape(s, [4, -1]),
      tf.expandDims(s, 1),
      tf.expandDims(s, -1),
      tf.squeeze(tf.expandDims(s, 0)),
    ],
    transpose: ({ s }) => [tf.transpose(s), tf.transpose(s, [1, 0, 2])],
    tile: ({ a, row }) => [tf.tile(a, [2, 3]), tf.tile(tf.reshape(row, [1, 4]), [3, 1]), tf.broadcastTo(row, [3, 4])],
    concat: ({ a, b, row }) => [tf.concat([a, b], 0), tf.concat([a, b], -1), tf.stack([row, row], 1)],
    split: ({ s }) => [...tf.split(s, 2, 0), ...tf.split(s, [1, 3], -1), ...tf.unstack(s, 1)],
    slice: ({ s }) => [tf.slice(s, [0, 1, 2], [2, 2, 1]), tf.slice(s, [1], [1]), tf.slice(s, [0, 1], [-1, -1])],
    stridedSlice: ({ s }) => [
      tf.stridedSlice(s, [0, 0, 3], [2, 3, 0], [1, 2, -1]),
      tf.stridedSlice(s, [0, 1], [2, 3], [1, 1], 0, 0, 0, 0, 2),
      tf.stridedSlice(s, [0, 2, 3], [2, 0, 0], [1, -1, -2], 0, 6),
    ],
    reverse: ({ s }) => [tf.reverse(s), tf.reverse(s, [0, -1])],
    pad: ({ a }) => [
      tf.pad(
        a,
        [
          [1, 2],
          [0, 3],
        ],
        7,
      ),
      tf.mirrorPad(
        a,
        [
          [1, 2],
          [2, 0],
        ],
        'reflect',
      ),
      tf.mirrorPad(
        a,
        [
          [2, 1],
          [0, 3],
        ],
        'symmetric',
      ),
    ],
    gather: ({ a, k, s }) => [
      tf.gather(a, k),
      tf.gather(s, tf.cast(k, 'int32'), 2),
      tf.gather(
        s,
        tf.tensor2d(
          [
            [0, 1],
            [2, 1],
          ],
          [2, 2],
          'int32',
        ),
        1,
        1,
      ),
    ],
    gatherND: ({ s, k }) => tf.gatherND(s, tf.reshape(tf.minimum(k, tf.scalar(1, 'int32')), [3, 1])),
    scatterND: ({ a, k }) => tf.scatterND(tf.reshape(k, [3, 1]), a, [4, 4]),
    oneHot: ({ k }) => [tf.oneHot(k, 4), tf.oneHot(k, 3, 2, -1)],
    creations: ({ a }) => [
      tf.zerosLike(a),
      tf.onesLike(a),
      tf.fill([2, 2], 3),
      tf.range(2, 9, 3),
      tf.linspace(0, 1, 5),
      tf.eye(3),
    ],
  },
  images: {
    conv2d: ({ img }) => [
      tf.conv2d(image(img), filter(3, 3, 3, 4), 1, 'same'),
      tf.conv2d(image(img), filter(3, 2, 3, 4), [2, 1], 'valid'),
      tf.conv2d(image(img), filter(2, 2, 3, 1), 1, 'valid', 'NHWC', [2, 3]),
      tf.conv2d(image(img), filter(3, 3, 3, 2), 2, [
        [0, 0],
        [2, 1],
        [1, 3],
        [0, 0],
      ]),
      tf.conv2d(tf.transpose(image(img), [0, 3, 1, 2]), filter(3, 3, 3, 2), 2, 'same', 'NCHW'),
    ],
    'fused conv2d': ({ img, row }) =>
      tf.fused.conv2d({
        x: image(img),
        filter: filter(3, 3, 3, 4),
        strides: 1,
        pad: 'same',
        bias: row,
        activation: 'relu',
      }),
    conv2dTranspose: ({ img }) => tf.conv2dTranspose(image(img), filter(3, 3, 2, 3), [2, 11, 10, 2], 2, 'same'),
    depthwise: ({ img }) => [
      tf.depthwiseConv2d(image(img), filter(3, 3, 3, 1), 1, 'same'),
      tf.depthwiseConv2d(image(img), filter(2, 3, 3, 2), 2, 'valid'),
      tf.separableConv2d(image(img), filter(3, 3, 3, 2), filter(1, 1, 6, 2), 1, 'same'),
    ],
    pools: ({ img }) => [
      tf.maxPool(image(img), 2, 2, 'valid'),
      tf.maxPool(image(img), [3, 2], [1, 2], 'same'),
      tf.avgPool(image(img), 2, 2, 'same'),
      tf.avgPool(image(img), 3, 1, 'same'),
      tf.maxPool(image(img), 1, 1, 'valid'),
    ],
    batchNorm: ({ img, p }) => {
      const vector = (from: number) => tf.slice(tf.reshape(p, [12]), [from], [3]) as tf.Tensor1D
      return [
        tf.batchNorm(image(img), vector(0), vector(3), vector(6), vector(9), 1e-3),
        tf.batchNorm(image(img), vector(0), vector(3)),
      ]
    },
  },
  'gradients of functions': gradients({
    smooth: [
      'u',
      (x) =>
        tf.addN([
          tf.exp(x),
          tf.sin(x),
          tf.tanh(x),
          tf.sigmoid(x),
          tf.softplus(x),
          tf.asin(x),
          tf.atan(x),
          tf.erf(x),
          tf.expm1(x),
          tf.log1p(x),
        ]),
    ],
    'with corners': [
      'a',
      (x) =>
        tf.addN([
          tf.abs(x),
          tf.relu(x),
          tf.relu6(x),
          tf.elu(x),
          tf.selu(x),
          tf.leakyRelu(x, 0.1),
          tf.clipByValue(x, -1, 1),
        ]),
    ],
    roots: ['p', (x) => tf.addN([tf.sqrt(x), tf.rsqrt(x), tf.log(x), tf.reciprocal(x), tf.pow(x, 3), tf.square(x)])],
    'two numbers': [
      'p',
      (x, { b }) =>
        tf.addN([
          tf.mul(x, b),
          tf.div(b, x),
          tf.sub(b, x),
          tf.maximum(x, b),
          tf.minimum(x, b),
          tf.squaredDifference(x, b),
          tf.pow(x, b),
        ]),
    ],
    broadcast: ['row', (x, { a }) => tf.div(tf.mul(a, x), tf.add(tf.square(x), 1))],
    softmax: ['a', (x) => tf.add(tf.softmax(x), tf.logSoftmax(x))],
    prelu: ['row', (x, { a }) => tf.prelu(a, x)],
  }),
  'gradients of reductions and shapes': gradients({
    reductions: [
      's',
      (x) =>
        tf.addN([tf.sum(x, [0, 2]), tf.mean(x, [0, 2]), tf.max(x, [0, 2]), tf.min(x, [0, 2]), tf.logSumExp(x, [0, 2])]),
    ],
    cumsum: ['s', (x) => tf.cumsum(x, 2)],
    shapes: [
      'a',
      (x) => tf.concat([tf.transpose(x), tf.slice(tf.tile(tf.slice(x, [0, 1], [2, 2]), [2, 2]), [0, 0], [4, 3])], 0),
    ],
    pad: [
      'a',
      (x) =>
        tf.pad(x, [
          [1, 0],
          [2, 1],
        ]),
    ],
    mirrorPad: [
      'a',
      (x) =>
        tf.mirrorPad(
          x,
          [
            [1, 0],
            [2, 1],
          ],
          'reflect',
        ),
    ],
    stack: ['row', (x) => tf.stack([x, tf.reverse(x)])],
    split: ['a', (x) => tf.sub(...(tf.split(x, 2, 1) as [tf.Tensor, tf.Tensor]))],
    gather: ['a', (x, { k }) => tf.gather(x, k)],
    'gather columns': ['a', (x, { k }) => tf.gather(x, k, 1)],
    matMul: ['a', (x, { b }) => tf.matMul(tf.matMul(x, b, false, true), x)],
    'matMul of stacks': ['s', (x) => tf.matMul(x, x, false, true)],
    where: ['a', (x, { b }) => tf.where(tf.greater(b, 0), x, tf.square(x))],
  }),
  'gradients of images': gradients({
    'conv2d input': ['img', (x) => tf.conv2d(image(x), filter(3, 3, 3, 4), 1, 'same')],
    'conv2d input, strided': ['img', (x) => tf.conv2d(image(x), filter(3, 2, 3, 4), [2, 3], 'same')],
    'conv2d input, padded more than the filter': ['img', (x) => tf.conv2d(image(x), filter(2, 2, 3, 1), 1, 3)],
    'depthwise input': ['img', (x) => tf.depthwiseConv2d(image(x), filter(3, 2, 3, 2), 1, 'same')],
    'depthwise input, strided': ['img', (x) => tf.depthwiseConv2d(image(x), filter(3, 3, 3, 1), 2, 'valid')],
    'max pool with ties': ['img', (x) => tf.maxPool(image(x), 2, 2, 'valid')],
    'max pool that overlaps': ['img', (x) => tf.maxPool(image(x), 3, 2, 'same')],
    'max pool with gaps': ['img', (x) => tf.maxPool(image(x), 1, 2, 'valid')],
    'average pool': ['img', (x) => tf.avgPool(image(x), 2, 2, 'valid')],
    'average pool that overlaps': ['img', (x) => tf.avgPool(image(x), 3, 1, 'same')],
    'batch norm in training': [
      'img',
      (x, { p }) => {
        const { mean, variance } = tf.moments(x, [0, 1, 2])
        const vector = (from: number) => tf.slice(tf.reshape(p, [12]), [from], [3]) as tf.Tensor1D
        return tf.batchNorm(image(x), mean as tf.Tensor1D, variance as tf.Tensor1D, vector(0), vector(3), 1e-3)
      },
    ],
  }),
  'gradients of filters': Object.fromEntries(
    Object.entries({
      plain: (w: tf.Tensor4D, x: tf.Tensor4D) => tf.conv2d(x, w, 1, 'same'),
      strided: (w: tf.Tensor4D, x: tf.Tensor4D) => tf.conv2d(x, w, [2, 1], 'valid'),
      depthwise: (w: tf.Tensor4D, x: tf.Tensor4D) => tf.depthwiseConv2d(x, w, 1, 'same'),
      'depthwise, strided': (w: tf.Tensor4D, x: tf.Tensor4D) => tf.depthwiseConv2d(x, w, 2, 'same'),
    }).map(([name, f]): [string, Case] => [
      name,
      ({ img }) => gradient((w) => f(w as tf.Tensor4D, image(img)))(filter(3, 2, 3, 2)),
    ]),
  ),
}

/** Channels that divide into the blocks of ONNX Runtime's own layout, which these then run in. */
const wideFilter = (height: number, width: number, from = 16, to = 16) =>
  tf.mul(filter(height, width, from, to), 0.1) as tf.Tensor4D
const vector = () => tf.linspace(-1, 1, 16) as tf.Tensor1D
families['blocked images'] = {
  conv2d: ({ wide }) => tf.conv2d(image(wide), wideFilter(3, 3), 1, 'same'),
  'conv2d, strided': ({ wide }) => tf.conv2d(image(wide), wideFilter(3, 3), 2, 'same'),
  'of few channels': ({ wide }) =>
    tf.conv2d(image(tf.slice(wide, [0, 0, 0, 0], [-1, -1, -1, 3])), wideFilter(3, 2, 3), 1, 'valid'),
  pools: ({ wide }) => [tf.maxPool(image(wide), 2, 2, 'valid'), tf.maxPool(image(wide), 3, 2, 'same')],
  'elementwise and sums': ({ wide }) => {
    const y = tf.conv2d(image(wide), wideFilter(1, 1), 1, 'same')
    const mean = tf.mean(y, [1, 2], true)
    return [
      tf.sum(y, [0, 1, 2]),
      tf.mean(y, [0, 1, 2]),
      tf.mean(y, [1, 2]),
      tf.sub(tf.mul(y, vector()), mean),
      tf.greater(tf.add(y, wide), 0),
    ]
  },
  ...gradients({
    input: ['wide', (x) => tf.conv2d(image(x), wideFilter(3, 3), 1, 'same')],
    'input, strided': ['wide', (x) => tf.conv2d(image(x), wideFilter(3, 3), 2, 'same')],
    'input, strided, 1 by 1': ['wide', (x) => tf.conv2d(image(x), wideFilter(1, 1), 2, 'same')],
    'max pool with ties': ['wide', (x) => tf.maxPool(image(x), 2, 2, 'valid')],
    'max pool of relu': [
      'wide',
      (x) => tf.maxPool(tf.relu(tf.conv2d(image(x), wideFilter(1, 1), 1, 'same')) as tf.Tensor4D, 2, 2, 'valid'),
    ],
    'a small network': [
      'wide',
      (x) => {
        const y = tf.relu(tf.add(tf.conv2d(image(x), wideFilter(3, 3), 1, 'same'), vector()))
        const z = tf.mul(tf.sigmoid(tf.conv2d(y as tf.Tensor4D, wideFilter(3, 3), 2, 'same')), vector())
        return tf.mean(z, [1, 2])
      },
    ],
  }),
  ...Object.fromEntries(
    Object.entries({
      filter: (w: tf.Tensor4D, x: tf.Tensor4D) => tf.conv2d(x, w, 1, 'same'),
      'filter, strided': (w: tf.Tensor4D, x: tf.Tensor4D) => tf.conv2d(x, w, 2, 'same'),
      'filter, strided, cut': (w: tf.Tensor4D, x: tf.Tensor4D) =>
        tf.conv2d(x, tf.slice(w, [0, 0, 0, 0], [1, 1, -1, -1]) as tf.Tensor4D, 2, 'valid'),
      'filter, valid': (w: tf.Tensor4D, x: tf.Tensor4D) => tf.conv2d(x, w, 1, 'valid'),
    }).map(([name, f]): [string, Case] => [
      name,
      ({ wide }) => gradient((w) => f(w as tf.Tensor4D, image(wide)))(wideFilter(3, 3)),
    ]),
  ),
  'filter of one channel': ({ wide }) => {
    const x = tf.slice(wide, [0, 0, 0, 0], [-1, -1, -1, 1]) as tf.Tensor4D
    return gradient((w) => tf.conv2d(x, w as tf.Tensor4D, 1, 'same'))(wideFilter(3, 3, 1))
  },
}

describe.each(Object.keys(families))('%s', (family) => {
  test('are those of tfjs on its cpu backend', async () => {
    const cases = families[family]!
    const step = (inputs: Record<string, tf.Tensor>) =>
      Object.fromEntries(
        Object.entries(cases).flatMap(([name, run]) =>
          [run(inputs as Inputs)].flat().map((tensor, i) => [`${name} ${i}`, tensor] as const),
        ),
      )
    const specs = Object.fromEntries(
      Object.entries(shapes).map(([name, shape]) => [name, { shape, dtype: dtypeOf(name) as 'float32' }]),
    )
    const program = await engine.compile(step, { inputs: specs })
    const found = await program.run(values)
    await program.dispose()
    const tensors = Object.fromEntries(
      Object.entries(shapes).map(([name, shape]) => [
        name,
        tf.tensor(values[name as 'a'], shape, dtypeOf(name) as 'float32'),
      ]),
    )
    for (const [name, expected] of Object.entries(step(tensors))) {
      expect(differences(found[name]!, expected.dataSync()), name).toEqual([])
    }
  })
})

/** The elements that differ by more than a few float32 roundings. */
function differences(found: Float32Array, expected: ArrayLike<number>): string[] {
  if (found.length !== expected.length) return [`${found.length} elements, expected ${expected.length}`]
  // Long sums differ by the size of what is summed, which the largest result stands for.
  const largest = Array.from(expected).reduce((max, x) => Math.max(max, Number.isFinite(x) ? Math.abs(x) : 0), 0)
  return Array.from(found).flatMap((value, i) => {
    const wanted = expected[i]!
    const tolerance = 2e-6 * Math.max(1, Math.abs(wanted), largest)
    const same = Object.is(value, wanted) || Math.abs(value - wanted) <= tolerance
    return same ? [] : [`[${i}] ${value}, expected ${wanted}`]
  })
}
