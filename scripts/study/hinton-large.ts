import { initializers, type LayersModel, layers, sequential } from '@tensorflow/tfjs-layers'
import type { StudentOptions } from '../../src/student/index.js'

/** The large net of Hinton et al. 2015, section 3: two hidden layers of 1200 rectified units, with dropout of inputs and of units. */
export default function large({ inputShape, classes, seed }: StudentOptions): LayersModel {
  const dense = (units: number, layer: number) =>
    layers.dense({
      units,
      ...(layer < 3 && { activation: 'relu' as const }),
      kernelInitializer: initializers.glorotUniform({ seed: 10 * seed + layer }),
    })
  return sequential({
    layers: [
      layers.flatten({ inputShape }),
      layers.dropout({ rate: 0.2 }),
      dense(1200, 1),
      layers.dropout({ rate: 0.5 }),
      dense(1200, 2),
      layers.dropout({ rate: 0.5 }),
      dense(classes, 3),
    ],
  })
}
