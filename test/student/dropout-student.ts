import { initializers, type LayersModel, layers, sequential } from '@tensorflow/tfjs-layers'
import type { StudentOptions } from '../../src/student/zoo.js'

/** A user's student with noise and dropout between its layers. */
export default function dropoutStudent({ inputShape, classes, seed }: StudentOptions): LayersModel {
  const dense = (units: number, layer: number, activation?: 'relu') =>
    layers.dense({ units, activation, kernelInitializer: initializers.glorotUniform({ seed: seed + layer }) })
  return sequential({
    layers: [
      layers.flatten({ inputShape }),
      layers.gaussianNoise({ stddev: 0.1 }),
      dense(16, 1, 'relu'),
      layers.dropout({ rate: 0.5 }),
      dense(classes, 2),
    ],
  })
}
