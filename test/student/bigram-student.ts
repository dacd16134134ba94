import { initializers, type LayersModel, layers, sequential } from '@tensorflow/tfjs-layers'
import type { StudentOptions } from '../../src/student/zoo.js'

/** A module of a user's own: at each position logits of the token there alone. */
export default function bigramStudent({ input, inputShape, classes, seed }: StudentOptions): LayersModel {
  const kernel = (i: number) => initializers.glorotUniform({ seed: seed + i })
  return sequential({
    layers: [
      layers.embedding({
        inputDim: input.vocabulary! + 1, // 0 is padding
        outputDim: 16,
        inputLength: inputShape[0]!,
        embeddingsInitializer: kernel(0),
      }),
      layers.dense({ units: classes, kernelInitializer: kernel(1) }),
    ],
  })
}
