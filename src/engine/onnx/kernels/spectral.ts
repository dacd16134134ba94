import type * as tf from '@tensorflow/tfjs-core'
import { sizeOf } from '../ir.js'
import { float, kernel, reshape } from './kernel.js'

/** The discrete Fourier transform of the rows (the last axis) of complex numbers, given and returned as two parts. */
export const dft = kernel<{ real: tf.TensorInfo; imag: tf.TensorInfo }, { inverse: boolean }>(
  ({ real, imag }, { inverse }, graph) => {
    const n = real.shape.at(-1)!
    const batch = sizeOf(real.shape) / n
    const pairs = float([batch, n, 2])
    const part = float([batch, n, 1])
    const joined = graph.emit('Concat', [reshape(graph, real, part.shape), reshape(graph, imag, part.shape)], pairs, {
      axis: 2,
    })
    const transformed = graph.emit('DFT', [joined], pairs, { axis: 1, inverse: inverse ? 1 : 0, onesided: 0 })
    const halves = graph.emitAll('Split', [transformed], [part, part], { axis: 2, split: [1, 1] })
    return halves.map((half) => reshape(graph, half, real.shape))
  },
)
