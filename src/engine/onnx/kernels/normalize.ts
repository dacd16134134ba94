import type * as tf from '@tensorflow/tfjs-core'
import { binary } from './arithmetic.js'
import { type Kernels, kernel } from './kernel.js'
import { unary } from './unary.js'

export const normalizations: Kernels = {
  /** offset + scale · (x - mean) / √(variance + ε), as a scale and a shift of the channels. */
  FusedBatchNorm: kernel<tf.FusedBatchNormInputs, tf.FusedBatchNormAttrs>((inputs, { varianceEpsilon }, graph) => {
    const { x, mean, variance, offset, scale } = inputs
    const deviation = unary(graph, 'Sqrt', binary(graph, 'Add', variance, graph.scalar(varianceEpsilon)))
    const inverse = unary(graph, 'Reciprocal', deviation)
    const factor = scale ? binary(graph, 'Mul', scale, inverse) : inverse
    const scaled = binary(graph, 'Mul', binary(graph, 'Sub', x, mean), factor)
    return offset ? binary(graph, 'Add', scaled, offset) : scaled
  }),
}
