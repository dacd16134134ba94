import { input, type LayersModel, layers, model, type SymbolicTensor } from '@tensorflow/tfjs-layers'
import { type StudentOptions, zooStudent } from '../../../src/student/zoo.js'

const inputShape = [28, 28, 1]
const options: StudentOptions = {
  input: { kind: 'image', shape: inputShape },
  inputShape,
  positions: 1,
  classes: 10,
  seed: 1,
}
type Tensor = SymbolicTensor

const conv = (filters: number, { kernelSize = 3, strides = 1 } = {}) =>
  layers.conv2d({ filters, kernelSize, strides, padding: 'same', useBias: false })
const normalised = (x: Tensor) => layers.batchNormalization().apply(x) as Tensor
const relu = (x: Tensor) => layers.reLU().apply(x) as Tensor
const apply = (layer: layers.Layer, x: Tensor) => layer.apply(x) as Tensor

/** 3 × 3 × 32, pool, 3 × 3 × 64, pool, dense, each convolution with batch normalisation. */
function cnnWithBatchNorm(): LayersModel {
  const x = input({ shape: options.inputShape })
  const pooled = [32, 64].reduce(
    (y, filters) => apply(layers.maxPooling2d({ poolSize: 2 }), relu(normalised(apply(conv(filters), y)))),
    x,
  )
  return model({ inputs: x, outputs: apply(layers.dense({ units: 10 }), apply(layers.flatten(), pooled)) })
}

/** 16, 32, 64 channels, two blocks each; the first block of a stage halves the image and convolves its shortcut. */
function resNet(): LayersModel {
  const x = input({ shape: options.inputShape })
  const block = (y: Tensor, filters: number, strides: number) => {
    const inner = normalised(apply(conv(filters), relu(normalised(apply(conv(filters, { strides }), y)))))
    const shortcut = strides === 1 ? y : normalised(apply(conv(filters, { kernelSize: 1, strides }), y))
    return relu(layers.add().apply([inner, shortcut]) as Tensor)
  }
  let y = relu(normalised(apply(conv(16), x)))
  for (const [i, filters] of [16, 32, 64].entries()) y = block(block(y, filters, i === 0 ? 1 : 2), filters, 1)
  return model({ inputs: x, outputs: apply(layers.dense({ units: 10 }), apply(layers.globalAveragePooling2d({}), y)) })
}

/** The students that are measured, by the names that pytorch.py has for them, too. */
export const students: Record<string, () => LayersModel | Promise<LayersModel>> = {
  'mlp:128': () => zooStudent('mlp:128')(options),
  'mlp:800,800': () => zooStudent('mlp:800,800')(options),
  'cnn:32,64': () => zooStudent('cnn:32,64')(options),
  'cnn with batch-norm': cnnWithBatchNorm,
  ResNet: resNet,
}
