import { type LayersModel, layers, sequential } from '@tensorflow/tfjs-layers'
import type { StudentOptions } from '../zoo.js'
import { glorot } from './layers.js'

/** A dense layer with ReLU for each entry of `units`, then the logits; without any, a linear classifier. */
export function mlp(units: number[], { inputShape, classes, seed }: StudentOptions): LayersModel {
  return sequential({
    name: 'student',
    layers: [
      inputShape.length > 1 ? layers.flatten({ inputShape, name: 'flatten' }) : layers.inputLayer({ inputShape }),
      ...units.map((n, i) =>
        layers.dense({ units: n, activation: 'relu', name: `dense${i + 1}`, ...glorot(seed, `dense${i + 1}`) }),
      ),
      layers.dense({ units: classes, name: 'logits', ...glorot(seed, 'logits') }),
    ],
  })
}
