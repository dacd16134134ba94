import { input, type LayersModel, model } from '@tensorflow/tfjs-layers'
import type { StudentOptions } from '../zoo.js'
import { layersOf } from './layers.js'

/**
 * Howard et al. 2017 for small images: a convolution, then depthwise separable ones in three stages of two, with 2·, 4· and 8·`width`
 * filters, the second and third at half the size of the one before.
 */
export function mobilenet([width]: [number], { inputShape, classes, seed }: StudentOptions): LayersModel {
  const { block, separable, pool, dense, stage } = layersOf(seed)
  const x = input({ shape: inputShape, name: 'input' })
  let y = block(x, { name: 'conv', filters: width })
  for (const [i, filters] of [2 * width, 4 * width, 8 * width].entries()) {
    y = separable(y, { name: `s${i + 1}b1`, filters, strides: i > 0 ? 2 : 1 })
    y = stage(separable(y, { name: `s${i + 1}b2`, filters }), i + 1)
  }
  return model({ name: 'student', inputs: x, outputs: dense(pool(y, 'pool'), { name: 'logits', units: classes }) })
}
