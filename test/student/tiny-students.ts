import * as tf from '@tensorflow/tfjs-core'
import {
  input,
  type LayersModel,
  layers,
  model,
  regularizers,
  type SymbolicTensor,
  sequential,
} from '@tensorflow/tfjs-layers'
import { random } from '../../src/random.js'
import type { StudentInput } from '../../src/student/inputs.js'

// Tiny students, one for each of tfjs's layers and for what can be set of it.

export const CLASSES = 3

export interface TinyStudent {
  name: string
  input: StudentInput
  make(): LayersModel
  /** It draws in training: its reference is the same source of random numbers on tfjs's own backend, and not model.fit, which has another. */
  draws?: boolean
}

type Layer = { apply(x: never): unknown }
type Part = Layer | ((x: SymbolicTensor) => SymbolicTensor)

export const row: StudentInput = { kind: 'features', shape: [6] }
export const sequence: StudentInput = { kind: 'features', shape: [5, 3] }
export const image: StudentInput = { kind: 'features', shape: [6, 5, 2] }
const volume: StudentInput = { kind: 'features', shape: [4, 5, 4, 2] }
const film: StudentInput = { kind: 'features', shape: [3, 5, 4, 2] }
const tokens: StudentInput = { kind: 'tokens', shape: [5], vocabulary: 7 }

const apply = (part: Part, x: SymbolicTensor | SymbolicTensor[]) =>
  (typeof part === 'function' ? part(x as SymbolicTensor) : part.apply(x as never)) as SymbolicTensor

/** From the input through the parts, flattened, to logits. */
function network({ shape, kind }: StudentInput, parts: Part[]): LayersModel {
  const x = input({ shape, dtype: kind === 'tokens' ? 'int32' : 'float32' })
  let y = x
  for (const part of parts) y = apply(part, y)
  if (y.shape.length > 2) y = apply(layers.flatten(), y)
  return model({ inputs: x, outputs: apply(layers.dense({ units: CLASSES, name: 'logits' }), y) })
}

/** Weights that no initializer draws, of a size at which gradients say something; variances above 0. */
function seeded(name: string, student: LayersModel): LayersModel {
  const { normal } = random('tiny', name)
  const weights = student.weights.map(({ shape, originalName }) => {
    const values = Float32Array.from({ length: tf.util.sizeFromShape(shape as number[]) }, () => 0.4 * normal())
    return tf.tensor(/variance/.test(originalName) ? values.map((x) => 0.5 + Math.abs(x)) : values, shape as number[])
  })
  student.setWeights(weights)
  tf.dispose(weights)
  return student
}

/** A student of some layers. Its weights are found by `weights`: equal names give equal weights where the shapes are equal. */
export function tinyStudent(options: {
  name: string
  input: StudentInput
  parts: () => Part[]
  weights?: string
}): TinyStudent {
  const { name, input, parts, weights = name } = options
  return { name, input, make: () => seeded(weights, network(input, parts())) }
}

export const tinyStudents: TinyStudent[] = []
function add(name: string, input: StudentInput, parts: () => Part[], more: Partial<TinyStudent> = {}): void {
  tinyStudents.push({ ...tinyStudent({ name, input, parts }), ...more })
}
const draws = { draws: true }

// Core
const activations = [
  ...['elu', 'hardSigmoid', 'linear', 'relu', 'relu6', 'selu', 'sigmoid', 'softmax', 'softplus', 'softsign', 'tanh'],
  ...['swish', 'mish', 'gelu', 'gelu_new'],
] as const
for (const activation of activations) {
  add(`dense, ${activation}`, row, () => [layers.dense({ units: 4, activation: activation as 'elu' })])
}
add('dense, no bias', row, () => [layers.dense({ units: 4, useBias: false })])
add('dense of a sequence', sequence, () => [layers.dense({ units: 4, activation: 'tanh' })])
add('activation', row, () => [layers.dense({ units: 4 }), layers.activation({ activation: 'tanh' })])
add('dropout', row, () => [layers.dense({ units: 8 }), layers.dropout({ rate: 0.4 })], draws)
add('dropout of whole steps', sequence, () => [layers.dropout({ rate: 0.4, noiseShape: [8, 1, 3] })], draws)
add('spatialDropout1d', sequence, () => [layers.spatialDropout1d({ rate: 0.4 })], draws)
add('repeatVector', row, () => [layers.repeatVector({ n: 3 })])
add('permute', sequence, () => [layers.permute({ dims: [2, 1] }), layers.dense({ units: 4, activation: 'relu' })])
add('reshape', row, () => [layers.reshape({ targetShape: [2, 3] }), layers.dense({ units: 4, activation: 'relu' })])
add('reshape, a size left open', row, () => [layers.reshape({ targetShape: [-1, 3] }), layers.globalMaxPooling1d()])
add('flatten, channels first', image, () => [layers.flatten({ dataFormat: 'channelsFirst' })])
add('masking', sequence, () => [layers.masking({ maskValue: 0 }), layers.simpleRNN({ units: 4 })])

// Activations as layers
add('reLU', row, () => [layers.dense({ units: 6 }), layers.reLU()])
add('reLU with a maximum', row, () => [layers.dense({ units: 6 }), layers.reLU({ maxValue: 0.5 })])
add('leakyReLU', row, () => [layers.dense({ units: 6 }), layers.leakyReLU({ alpha: 0.2 })])
add('prelu', row, () => [layers.dense({ units: 6 }), layers.prelu()])
add('prelu, shared', image, () => [layers.prelu({ sharedAxes: [1, 2] })])
add('elu', row, () => [layers.dense({ units: 6 }), layers.elu()])
add('elu, alpha', row, () => [layers.dense({ units: 6 }), layers.elu({ alpha: 0.5 })])
add('thresholdedReLU', row, () => [layers.dense({ units: 6 }), layers.thresholdedReLU({ theta: 0.3 })])
add('softmax', row, () => [layers.dense({ units: 6 }), layers.softmax()])
add('softmax of an axis', sequence, () => [layers.softmax({ axis: 1 })])

// Embedding
add('embedding', tokens, () => [layers.embedding({ inputDim: 8, outputDim: 4 })])
add('embedding, pooled', tokens, () => [
  layers.embedding({ inputDim: 8, outputDim: 4 }),
  layers.globalAveragePooling1d(),
])
add('embedding, masked', tokens, () => [
  layers.embedding({ inputDim: 8, outputDim: 4, maskZero: true }),
  layers.lstm({ units: 4, recurrentInitializer: 'glorotNormal' }),
])

// Convolutions
const conv = { filters: 4, kernelSize: 3 }
add('conv2d', image, () => [layers.conv2d({ ...conv, activation: 'relu' })])
add('conv2d, same', image, () => [layers.conv2d({ ...conv, padding: 'same', activation: 'tanh' })])
add('conv2d, strides', image, () => [layers.conv2d({ ...conv, strides: 2, padding: 'same' })])
add('conv2d, strides of two sizes', image, () => [layers.conv2d({ ...conv, strides: [2, 1] })])
add('conv2d, dilated', image, () => [layers.conv2d({ ...conv, kernelSize: 2, dilationRate: 2 })])
add('conv2d, channels first', image, () => [layers.conv2d({ ...conv, kernelSize: 2, dataFormat: 'channelsFirst' })])
add('conv2d, no bias', image, () => [layers.conv2d({ ...conv, useBias: false })])
add('conv1d', sequence, () => [layers.conv1d({ ...conv, activation: 'relu' })])
add('conv1d, same', sequence, () => [layers.conv1d({ ...conv, padding: 'same' })])
add('conv1d, causal', sequence, () => [layers.conv1d({ ...conv, padding: 'causal' })])
add('conv1d, strides', sequence, () => [layers.conv1d({ ...conv, strides: 2 })])
add('conv1d, dilated', sequence, () => [layers.conv1d({ ...conv, kernelSize: 2, dilationRate: 2 })])
add('conv3d', volume, () => [layers.conv3d({ ...conv, activation: 'relu' })])
add('conv3d, two of them', volume, () => [
  layers.conv3d({ ...conv, kernelSize: 2, activation: 'tanh' }),
  layers.conv3d({ ...conv, kernelSize: 2 }),
])
add('conv3d, same, strides', volume, () => [
  layers.conv3d({ filters: 2, kernelSize: 1 }),
  layers.conv3d({ ...conv, padding: 'same', strides: 2 }),
])
add('conv2dTranspose', image, () => [layers.conv2dTranspose({ ...conv, activation: 'tanh' })])
add('conv2dTranspose, same, strides', image, () => [layers.conv2dTranspose({ ...conv, padding: 'same', strides: 2 })])
add('conv2dTranspose, strides of two sizes', image, () => [layers.conv2dTranspose({ ...conv, strides: [2, 1] })])
add('conv2dTranspose, channels first', image, () => [layers.conv2dTranspose({ ...conv, dataFormat: 'channelsFirst' })])
add('conv3dTranspose', volume, () => [layers.conv3dTranspose({ ...conv, kernelSize: 2 })])
add('conv3dTranspose, same, strides', volume, () => [
  layers.conv3dTranspose({ ...conv, kernelSize: 2, padding: 'same', strides: 2 }),
])
add('separableConv2d', image, () => [layers.separableConv2d({ ...conv, activation: 'relu' })])
add('separableConv2d, same, multiplied', image, () => [
  layers.separableConv2d({ ...conv, padding: 'same', depthMultiplier: 2 }),
])
add('separableConv2d, strides', image, () => [layers.separableConv2d({ ...conv, strides: 2 })])
add('separableConv2d, dilated', image, () => [layers.separableConv2d({ ...conv, kernelSize: 2, dilationRate: 2 })])
add('depthwiseConv2d', image, () => [layers.depthwiseConv2d({ kernelSize: 3, activation: 'relu' })])
add('depthwiseConv2d, same, multiplied', image, () => [
  layers.depthwiseConv2d({ kernelSize: 3, padding: 'same', depthMultiplier: 2 }),
])
add('depthwiseConv2d, strides', image, () => [layers.depthwiseConv2d({ kernelSize: 2, strides: 2 })])
add('depthwiseConv2d, dilated', image, () => [layers.depthwiseConv2d({ kernelSize: 2, dilationRate: 2 })])
add('cropping2D', image, () => [
  layers.conv2d({ ...conv, kernelSize: 1 }),
  layers.cropping2D({
    cropping: [
      [1, 1],
      [0, 2],
    ],
  }),
])
add('upSampling2d', image, () => [layers.conv2d({ ...conv, kernelSize: 1 }), layers.upSampling2d({ size: [2, 3] })])
add('upSampling2d, bilinear', image, () => [
  layers.conv2d({ ...conv, kernelSize: 1 }),
  layers.upSampling2d({ size: [2, 2], interpolation: 'bilinear' }),
])
add('upSampling2d, channels first', image, () => [
  layers.conv2d({ ...conv, kernelSize: 1 }),
  layers.upSampling2d({ dataFormat: 'channelsFirst' }),
])
add('zeroPadding2d', image, () => [
  layers.conv2d({ ...conv, kernelSize: 1 }),
  layers.zeroPadding2d({
    padding: [
      [1, 2],
      [0, 1],
    ],
  }),
  layers.conv2d(conv),
])

// Pools, each behind a convolution, so that a gradient goes through it
const behind = (pool: Layer) => [layers.conv2d({ filters: 3, kernelSize: 1 }), pool]
const behind1d = (pool: Layer) => [layers.conv1d({ filters: 3, kernelSize: 1 }), pool]
const behind3d = (pool: Layer) => [layers.conv3d({ filters: 3, kernelSize: 1 }), pool]
add('maxPooling1d', sequence, () => behind1d(layers.maxPooling1d({ poolSize: 2 })))
add('maxPooling1d, same, overlapping', sequence, () =>
  behind1d(layers.maxPooling1d({ poolSize: 3, strides: 1, padding: 'same' })),
)
add('averagePooling1d', sequence, () => behind1d(layers.averagePooling1d({ poolSize: 2 })))
add('averagePooling1d, same', sequence, () => behind1d(layers.averagePooling1d({ poolSize: 2, padding: 'same' })))
add('maxPooling2d', image, () => behind(layers.maxPooling2d({ poolSize: 2 })))
add('maxPooling2d, same', image, () => behind(layers.maxPooling2d({ poolSize: 2, padding: 'same' })))
add('maxPooling2d, overlapping', image, () => behind(layers.maxPooling2d({ poolSize: 3, strides: 1 })))
add('maxPooling2d, channels first', image, () =>
  behind(layers.maxPooling2d({ poolSize: 2, dataFormat: 'channelsFirst' })),
)
add('averagePooling2d', image, () => behind(layers.averagePooling2d({ poolSize: 2 })))
add('averagePooling2d, same', image, () => behind(layers.averagePooling2d({ poolSize: 2, padding: 'same' })))
add('averagePooling2d, same, overlapping', image, () =>
  behind(layers.averagePooling2d({ poolSize: 3, strides: 1, padding: 'same' })),
)
add('maxPooling3d', volume, () => behind3d(layers.maxPooling3d({ poolSize: 2 })))
add('maxPooling3d, same', volume, () => behind3d(layers.maxPooling3d({ poolSize: 2, padding: 'same' })))
add('averagePooling3d', volume, () => behind3d(layers.averagePooling3d({ poolSize: 2 })))
add('averagePooling3d, same', volume, () => behind3d(layers.averagePooling3d({ poolSize: 2, padding: 'same' })))
add('globalAveragePooling1d', sequence, () => behind1d(layers.globalAveragePooling1d()))
add('globalMaxPooling1d', sequence, () => behind1d(layers.globalMaxPooling1d()))
add('globalAveragePooling2d', image, () => behind(layers.globalAveragePooling2d({})))
add('globalAveragePooling2d, channels first', image, () =>
  behind(layers.globalAveragePooling2d({ dataFormat: 'channelsFirst' })),
)
add('globalMaxPooling2d', image, () => behind(layers.globalMaxPooling2d({})))

// Two branches, merged
const branches =
  (merge: Layer, units: [number, number] = [4, 4]) =>
  (x: SymbolicTensor) =>
    apply(merge, [
      apply(layers.dense({ units: units[0], activation: 'tanh' }), x),
      apply(layers.dense({ units: units[1] }), x),
    ])
add('add', row, () => [branches(layers.add())])
add('average', row, () => [branches(layers.average())])
add('concatenate', row, () => [branches(layers.concatenate(), [4, 2])])
add('concatenate along time', sequence, () => [branches(layers.concatenate({ axis: 1 }))])
add('maximum', row, () => [branches(layers.maximum())])
add('minimum', row, () => [branches(layers.minimum())])
add('multiply', row, () => [branches(layers.multiply())])
add('multiply, broadcast', sequence, () => [branches(layers.multiply(), [4, 1])])
add('dot', row, () => [branches(layers.dot({ axes: 1 }))])
add('dot of sequences', sequence, () => [branches(layers.dot({ axes: 2 }))])
add('dot, normalized', row, () => [branches(layers.dot({ axes: 1, normalize: true }))])

// Noise
add('gaussianNoise', row, () => [layers.gaussianNoise({ stddev: 0.3 })], draws)
add('gaussianDropout', row, () => [layers.gaussianDropout({ rate: 0.3 })], draws)
add('alphaDropout', row, () => [layers.alphaDropout({ rate: 0.3 })], draws)

// Normalisation
const normalised = (norm: Layer) => [layers.conv2d({ filters: 3, kernelSize: 1 }), norm]
add('batchNormalization', image, () => normalised(layers.batchNormalization()))
add('batchNormalization of rows', row, () => [layers.dense({ units: 4 }), layers.batchNormalization({ momentum: 0.7 })])
add('batchNormalization of sequences', sequence, () => [layers.batchNormalization()])
add('batchNormalization of volumes', volume, () => [layers.batchNormalization()])
add('batchNormalization, no centre', image, () => normalised(layers.batchNormalization({ center: false })))
add('batchNormalization, no scale', image, () => normalised(layers.batchNormalization({ scale: false })))
add('batchNormalization along another axis', image, () => normalised(layers.batchNormalization({ axis: 1 })))
add('layerNormalization', row, () => [layers.dense({ units: 4 }), layers.layerNormalization()])
add('layerNormalization of sequences', sequence, () => [layers.layerNormalization()])
add('layerNormalization, no centre', row, () => [layers.layerNormalization({ center: false })])
add('layerNormalization, no scale', row, () => [layers.layerNormalization({ scale: false })])
add('layerNormalization of two axes', sequence, () => [layers.layerNormalization({ axis: [1, 2] })])

// Recurrent
add('simpleRNN', sequence, () => [layers.simpleRNN({ units: 4 })])
add('simpleRNN of one unit', sequence, () => [layers.simpleRNN({ units: 1 })])
add('simpleRNN, sequences', sequence, () => [layers.simpleRNN({ units: 4, returnSequences: true })])
add('simpleRNN, backwards', sequence, () => [layers.simpleRNN({ units: 4, goBackwards: true })])
add('gru', sequence, () => [layers.gru({ units: 4 })])
add('gru, sequences', sequence, () => [layers.gru({ units: 4, returnSequences: true })])
add('gru, implementation 2', sequence, () => [layers.gru({ units: 4, implementation: 2 })])
add('gru, unrolled', sequence, () => [layers.gru({ units: 4, unroll: true })])
add('lstm', sequence, () => [layers.lstm({ units: 4 })])
add('lstm, sequences', sequence, () => [layers.lstm({ units: 4, returnSequences: true })])
add('lstm, two of them', sequence, () => [layers.lstm({ units: 4, returnSequences: true }), layers.lstm({ units: 3 })])
add('lstm, implementation 2', sequence, () => [layers.lstm({ units: 4, implementation: 2 })])
add('lstm, relu, no unit forget bias', sequence, () => [
  layers.lstm({ units: 4, activation: 'relu', recurrentActivation: 'sigmoid', unitForgetBias: false }),
])
add('lstm, masked', sequence, () => [layers.masking(), layers.lstm({ units: 4 })])
add('lstm, masked, sequences', sequence, () => [layers.masking(), layers.lstm({ units: 4, returnSequences: true })])
add('gru, masked', sequence, () => [layers.masking(), layers.gru({ units: 4 })])
add('gru, masked, backwards', sequence, () => [layers.masking(), layers.gru({ units: 4, goBackwards: true })])
add('gru of tokens, masked', tokens, () => [
  layers.embedding({ inputDim: 8, outputDim: 4, maskZero: true }),
  layers.gru({ units: 4 }),
])
add('lstm with its state', sequence, () => [
  (x) => {
    const [, , cell] = layers.lstm({ units: 4, returnState: true }).apply(x) as SymbolicTensor[]
    return cell!
  },
])
add('lstm that starts from a state', sequence, () => [
  (x) => {
    const start = apply(layers.dense({ units: 4 }), apply(layers.flatten(), x))
    return layers.lstm({ units: 4 }).apply([x, start, start]) as SymbolicTensor
  },
])
add('simpleRNN, dropout', sequence, () => [layers.simpleRNN({ units: 4, dropout: 0.3, recurrentDropout: 0.3 })], draws)
add('gru, dropout', sequence, () => [layers.gru({ units: 4, dropout: 0.3, recurrentDropout: 0.3 })], draws)
add('lstm, dropout', sequence, () => [layers.lstm({ units: 4, dropout: 0.3, recurrentDropout: 0.3 })], draws)
add('rnn of a cell', sequence, () => [layers.rnn({ cell: layers.gruCell({ units: 4 }) }) as Layer])
add('rnn of stacked cells', sequence, () => [
  layers.rnn({ cell: [layers.lstmCell({ units: 4 }), layers.gruCell({ units: 3 })] as never }) as Layer,
])
add(
  'rnn of a cell, dropout',
  sequence,
  () => [layers.rnn({ cell: layers.lstmCell({ units: 4, dropout: 0.3, recurrentDropout: 0.3 }) }) as Layer],
  draws,
)
for (const mergeMode of ['concat', 'sum', 'mul', 'ave'] as const) {
  add(`bidirectional, ${mergeMode}`, sequence, () => [
    layers.bidirectional({ layer: layers.lstm({ units: 4 }) as never, mergeMode }),
  ])
}
add('bidirectional, sequences', sequence, () => [
  layers.bidirectional({ layer: layers.gru({ units: 4, returnSequences: true }) as never, mergeMode: 'concat' }),
])
add('bidirectional, masked', sequence, () => [
  layers.masking(),
  layers.bidirectional({ layer: layers.gru({ units: 4 }) as never, mergeMode: 'concat' }),
])
add('convLstm2d', film, () => [layers.convLstm2d({ filters: 3, kernelSize: 2 })])
add('convLstm2d, same, sequences', film, () => [
  layers.convLstm2d({ filters: 3, kernelSize: 3, padding: 'same', returnSequences: true }),
])
add(
  'convLstm2d, dropout',
  film,
  () => [layers.convLstm2d({ filters: 3, kernelSize: 2, dropout: 0.3, recurrentDropout: 0.3 })],
  draws,
)

// Wrappers
add('timeDistributed of dense', sequence, () => [
  layers.timeDistributed({ layer: layers.dense({ units: 4, activation: 'relu' }) }),
])
add('timeDistributed of conv2d', film, () => [
  layers.timeDistributed({ layer: layers.conv2d({ ...conv, kernelSize: 2 }) }),
])

// Preprocessing
add('rescaling', image, () => [layers.rescaling({ scale: 0.5, offset: -1 })])
add('resizing', image, () => [layers.conv2d({ ...conv, kernelSize: 1 }), layers.resizing({ height: 4, width: 4 })])
add('resizing, nearest', image, () => [
  layers.conv2d({ ...conv, kernelSize: 1 }),
  layers.resizing({ height: 9, width: 8, interpolation: 'nearest' }),
])
add('centerCrop', image, () => [layers.centerCrop({ height: 4, width: 4 })])
add('categoryEncoding', tokens, () => [layers.categoryEncoding({ numTokens: 9, outputMode: 'multiHot' })])
add('randomWidth', image, () => [layers.randomWidth({ factor: 0.2, seed: 1 })], draws)

// Regularizers and constraints
const l2 = () => regularizers.l2({ l2: 0.1 })
add('dense, l2', row, () => [layers.dense({ units: 4, kernelRegularizer: l2(), biasRegularizer: l2() })])
add('dense, l1', row, () => [layers.dense({ units: 4, kernelRegularizer: regularizers.l1({ l1: 0.1 }) })])
add('dense, l1l2', row, () => [layers.dense({ units: 4, kernelRegularizer: 'l1l2' })])
add('conv2d, l2', image, () => [layers.conv2d({ ...conv, kernelRegularizer: l2() })])
add('separableConv2d, l2', image, () => [
  layers.separableConv2d({ ...conv, depthwiseRegularizer: l2(), pointwiseRegularizer: l2() }),
])
add('embedding, l2', tokens, () => [layers.embedding({ inputDim: 8, outputDim: 4, embeddingsRegularizer: l2() })])
add('batchNormalization, l2', image, () =>
  normalised(layers.batchNormalization({ gammaRegularizer: l2(), betaRegularizer: l2() })),
)
add('layerNormalization, l2', row, () => [layers.layerNormalization({ gammaRegularizer: l2() })])
add('prelu, l2', row, () => [layers.prelu({ alphaRegularizer: l2() })])

// Models as layers, layers twice, layers that are not trained
add('a model as a layer', row, () => [
  sequential({
    layers: [layers.dense({ units: 4, activation: 'relu', inputShape: [6], kernelRegularizer: l2() })],
  }) as never,
])
add('a layer twice', row, () => {
  const twice = layers.dense({ units: 6, activation: 'tanh', kernelRegularizer: l2() })
  return [twice, twice]
})
add('a layer that is not trained', row, () => [
  layers.dense({ units: 4, activation: 'relu', trainable: false }),
  layers.dense({ units: 4 }),
])
add('normalisation that is not trained', row, () => [
  layers.dense({ units: 4 }),
  layers.batchNormalization({ trainable: false }),
])
