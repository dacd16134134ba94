import '@tensorflow/tfjs-backend-cpu'
import * as tf from '@tensorflow/tfjs-core'
import { input, type LayersModel, layers, model, type SymbolicTensor, sequential } from '@tensorflow/tfjs-layers'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { beforeAll, describe, expect, test } from 'vitest'
import { exportInference } from '../../../src/engine/onnx/export-inference.js'
import { encodeModel } from '../../../src/onnx/graph-builder.js'
import { printGraph } from '../../../src/onnx/print-graph.js'
import { random } from '../../../src/random.js'

beforeAll(async () => {
  tf.enableProdMode()
  await tf.setBackend('cpu')
})

/** Uniform in [-1, 1). */
function noise(seed: string, shape: number[]): tf.Tensor {
  const { uniform } = random(seed)
  return tf.tensor(
    Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => 2 * uniform() - 1),
    shape,
  )
}

/** Random weights everywhere, also where layers start from zeros and ones; variances stay positive. */
function randomize(net: LayersModel): LayersModel {
  for (const { name, val } of net.weights as unknown as { name: string; val: tf.Variable }[]) {
    const values = noise(name, val.shape)
    val.assign(/variance/.test(name) ? tf.add(tf.abs(values), 0.5) : tf.mul(values, 0.5))
  }
  return net
}

const residual = () => {
  const x = input({ shape: [8, 8, 3] })
  const conv = (filters: number, strides = 1) =>
    layers.conv2d({ filters, kernelSize: 3, strides, padding: 'same', useBias: false })
  const a = layers.reLU().apply(layers.batchNormalization().apply(conv(8).apply(x)))
  const b = layers.batchNormalization().apply(conv(8).apply(a))
  const sum = layers.reLU().apply(layers.add().apply([a, b] as SymbolicTensor[]))
  const pooled = layers.globalAveragePooling2d({}).apply(conv(16, 2).apply(sum))
  return model({ inputs: x, outputs: layers.dense({ units: 5 }).apply(pooled) as SymbolicTensor })
}

const students: Record<string, () => LayersModel> = {
  linear: () => sequential({ layers: [layers.flatten({ inputShape: [8, 8, 1] }), layers.dense({ units: 5 })] }),
  mlp: () =>
    sequential({
      layers: [
        layers.flatten({ inputShape: [8, 8, 3] }),
        layers.dense({ units: 32, activation: 'relu' }),
        layers.dropout({ rate: 0.5 }),
        layers.dense({ units: 5, activation: 'softmax' }),
      ],
    }),
  cnn: () =>
    sequential({
      layers: [
        layers.conv2d({ inputShape: [8, 8, 1], filters: 8, kernelSize: 3, padding: 'same', activation: 'relu' }),
        layers.maxPooling2d({ poolSize: 2 }),
        layers.conv2d({ filters: 16, kernelSize: 3, strides: 2, padding: 'same', activation: 'elu' }),
        layers.averagePooling2d({ poolSize: 2, padding: 'same' }),
        layers.flatten(),
        layers.dense({ units: 5 }),
      ],
    }),
  depthwise: () =>
    sequential({
      layers: [
        layers.depthwiseConv2d({ inputShape: [9, 8, 3], kernelSize: 3, depthMultiplier: 2, activation: 'relu6' }),
        layers.separableConv2d({ filters: 4, kernelSize: [3, 2], padding: 'same', activation: 'sigmoid' }),
        layers.conv2d({ filters: 4, kernelSize: 3, dilationRate: 2, activation: 'tanh' }),
        layers.globalMaxPooling2d({}),
        layers.dense({ units: 5, activation: 'selu' }),
        layers.leakyReLU({ alpha: 0.1 }),
      ],
    }),
  residual,
}

describe.each(Object.keys(students))('%s', (name) => {
  test('ONNX Runtime gives what tfjs gives, for any batch size', async () => {
    const net = randomize(students[name]!())
    const session = await InferenceSession.create(encodeModel(exportInference(net)))
    for (const batch of [1, 3]) {
      const x = noise(`x${batch}`, [batch, ...(net.inputs[0]!.shape.slice(1) as number[])])
      const expected = net.predict(x) as tf.Tensor
      const { output } = await session.run({ input: new Tensor('float32', x.dataSync() as Float32Array, x.shape) })
      expect(output!.dims).toEqual(expected.shape)
      const [got, wanted] = [output!.data as Float32Array, expected.dataSync()]
      for (const [i, value] of wanted.entries())
        expect(Math.abs(got[i]! - value)).toBeLessThan(1e-5 * Math.max(1, Math.abs(value)))
    }
  })
})

test('the graph has the weights under their names and nothing that is not needed', () => {
  const net = sequential({
    layers: [
      layers.conv2d({ name: 'conv', inputShape: [6, 6, 1], filters: 2, kernelSize: 3, activation: 'relu' }),
      layers.conv2d({ name: 'head', filters: 3, kernelSize: 2 }),
      layers.globalAveragePooling2d({ name: 'mean' }),
    ],
  })
  randomize(net)
  const proto = exportInference(net, {
    name: 'student',
    inputName: 'x',
    outputName: 'logits',
    metadata: { classes: '3' },
  })
  // tfjs counts names in the whole process
  const text = printGraph(proto).replace(/(kernel|bias)_\d+/g, '$1')
  expect(text.replace(/ = \[[^=]*\]$/gm, '')).toBe(`student(x: float32[batch,6,6,1]) {
  c: int64[4]
  conv/kernel: float32[2,1,3,3]
  conv/bias: float32[2]
  head/kernel: float32[3,2,2,2]
  head/bias: float32[3]
  c_1: int64[2]
  reshape = Reshape(x, c)
  conv = Conv(reshape, conv/kernel, conv/bias) kernel_shape=[3,3] strides=[1,1] dilations=[1,1] pads=[0,0,0,0]
  relu = Relu(conv)
  conv_1 = Conv(relu, head/kernel, head/bias) kernel_shape=[2,2] strides=[1,1] dilations=[1,1] pads=[0,0,0,0]
  logits = ReduceMean(conv_1, c_1) keepdims=0
  -> logits: float32[batch,3]
}`)
  expect(proto.metadataProps.map(({ key, value }) => [key, value])).toEqual([['classes', '3']])
})

test('a model with two outputs, or with an input of unknown size, is refused', () => {
  const x = input({ shape: [4] })
  const dense = (units: number) => layers.dense({ units }).apply(x) as SymbolicTensor
  expect(() => exportInference(model({ name: 'twins', inputs: x, outputs: [dense(1), dense(2)] }))).toThrow(
    'model twins: 1 inputs and 2 outputs, expected one of each',
  )
  const any = sequential({
    name: 'any',
    layers: [layers.conv2d({ inputShape: [null, null, 3], filters: 1, kernelSize: 1 })],
  })
  expect(() => exportInference(any)).toThrow('model any: its input is [,,,3], expected fixed sizes after the batch')
})

test('the model and the backend are left as they were', () => {
  const net = randomize(students.mlp!())
  const x = noise('x', [2, 8, 8, 3])
  const [tensors, before] = [tf.memory().numTensors, (net.predict(x) as tf.Tensor).dataSync()]
  exportInference(net)
  expect(tf.getBackend()).toBe('cpu')
  expect((net.predict(x) as tf.Tensor).dataSync()).toEqual(before)
  expect(tf.memory().numTensors).toBe(tensors + 2)
})
