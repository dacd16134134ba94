import { input, type LayersModel, model, type SymbolicTensor } from '@tensorflow/tfjs-layers'
import { DecantError } from '../../errors.js'
import type { StudentOptions } from '../zoo.js'
import { layersOf } from './layers.js'

/**
 * The residual network of He et al. 2016 for small images (section 4.2): 6n + 2 layers, three stages of n basic blocks with `width`, 2·
 * and 4·`width` filters, the second and third at half the size of the one before. Where a stage changes size or width, the shortcut is
 * a 1×1 convolution (their option B).
 */
export function resnet([depth, width]: [number, number], { inputShape, classes, seed }: StudentOptions): LayersModel {
  const blocks = (depth - 2) / 6
  if (!Number.isInteger(blocks) || blocks < 1) {
    throw new DecantError(`student 'resnet:${depth},${width}': expected a depth of 6n + 2: 8, 14, 20, …`)
  }
  const { block, conv, norm, relu, add, pool, dense, stage } = layersOf(seed)
  const x = input({ shape: inputShape, name: 'input' })
  const basic = (y: SymbolicTensor, options: { name: string; filters: number; strides: number }): SymbolicTensor => {
    const { name, filters, strides } = options
    const first = block(y, { name: `${name}_conv1`, filters, strides })
    const second = norm(conv(first, { name: `${name}_conv2`, filters }), `${name}_conv2_norm`)
    const same = strides === 1 && y.shape[3] === filters
    const shortcut = same
      ? y
      : norm(conv(y, { name: `${name}_shortcut`, filters, strides, kernelSize: 1 }), `${name}_shortcut_norm`)
    return relu(add(second, shortcut, `${name}_add`), `${name}_relu`)
  }
  let y = block(x, { name: 'conv', filters: width })
  for (const [i, filters] of [width, 2 * width, 4 * width].entries()) {
    for (let j = 0; j < blocks; j++) {
      y = basic(y, { name: `s${i + 1}b${j + 1}`, filters, strides: i > 0 && j === 0 ? 2 : 1 })
    }
    y = stage(y, i + 1)
  }
  return model({ name: 'student', inputs: x, outputs: dense(pool(y, 'pool'), { name: 'logits', units: classes }) })
}
