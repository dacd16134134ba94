import { input, type LayersModel, model, type SymbolicTensor } from '@tensorflow/tfjs-layers'
import type { AttachOptions } from './method.js'
import { layersOf } from './zoo/layers.js'

/**
 * A classifier after each stage but the last: separable convolutions down to the last stage's size and width, pooling, and a dense layer
 * for the logits; where `adapted`, a second one, which gives as many features as the student has.
 */
export function shallowClassifiers(
  { shapes, dataset: { classes }, seed }: AttachOptions,
  { adapted = false } = {},
): LayersModel[] {
  const { separable, pool, dense } = layersOf(seed)
  return shapes.stages.slice(0, -1).map((shape, i) => {
    const name = (part: string) => `branch${i + 1}_${part}`
    const x = input({ shape })
    let y: SymbolicTensor = x
    for (const [j, [height, , filters]] of shapes.stages.entries()) {
      if (j <= i) continue
      y = separable(y, { name: name(`conv${j + 1}`), filters, strides: Math.ceil(shapes.stages[j - 1]![0] / height) })
    }
    const features = pool(y, name('pool'))
    const outputs = [dense(features, { name: name('logits'), units: classes })]
    if (adapted) outputs.push(dense(features, { name: name('adapted'), units: shapes.features }))
    return model({ inputs: x, outputs })
  })
}
