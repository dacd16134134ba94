import { type LayersModel, layers, sequential } from '@tensorflow/tfjs-layers'
import { DecantError } from '../../errors.js'
import type { StudentOptions } from '../zoo.js'
import { glorot } from './layers.js'

/** 3×3 convolution, ReLU and 2×2 max-pool for each entry of `filters`, then one dense layer. A pooling ends a stage. */
export function cnn(filters: number[], { inputShape, classes, seed }: StudentOptions): LayersModel {
  const [height, width] = inputShape as [number, number, number]
  if (Math.min(height, width) >> filters.length < 1) {
    throw new DecantError(
      `student 'cnn:${filters}': ${filters.length} poolings leave nothing of ${height}x${width} images`,
    )
  }
  const blocks = filters.flatMap((n, i) => [
    layers.conv2d({
      ...(i === 0 && { inputShape }),
      filters: n,
      kernelSize: 3,
      padding: 'same',
      activation: 'relu',
      name: `conv${i + 1}`,
      ...glorot(seed, `conv${i + 1}`),
    }),
    layers.maxPooling2d({ poolSize: 2, name: `stage${i + 1}` }),
  ])
  const head = [
    layers.flatten({ name: 'flatten' }),
    layers.dense({ units: classes, name: 'logits', ...glorot(seed, 'logits') }),
  ]
  return sequential({ name: 'student', layers: [...blocks, ...head] })
}
