import { shared } from '@tensorflow/tfjs-backend-cpu'
import type * as tf from '@tensorflow/tfjs-core'
import { type HostKernels, hostKernel } from './kernel.js'

function reduceSegments(mean: boolean) {
  return hostKernel<tf.SparseSegmentMeanInputs>(({ inputs: { data, indices, segmentIds }, backend }) => {
    const [values, places, segments] = [data, indices, segmentIds].map(({ dataId }) => backend.readSync(dataId))
    const [reduced, shape] = shared.sparseSegmentReductionImpl(
      values as tf.TypedArray,
      data.shape,
      data.dtype,
      places as tf.TypedArray,
      segments as tf.TypedArray,
      mean,
    )
    return backend.make(reduced, shape, data.dtype)
  })
}

export const sparse: HostKernels = {
  SparseSegmentMean: reduceSegments(true),
  SparseSegmentSum: reduceSegments(false),
  SparseFillEmptyRows: hostKernel<tf.SparseFillEmptyRowsInputs>(({ inputs, backend }) => {
    const { indices, values, denseShape, defaultValue } = inputs
    const read = ({ dataId }: tf.TensorInfo) => backend.readSync(dataId) as tf.TypedArray
    const [filled, shape, filledValues, empty, reverse] = shared.sparseFillEmptyRowsImpl(
      read(indices),
      indices.shape,
      indices.dtype,
      read(values),
      values.dtype,
      read(denseShape),
      read(defaultValue)[0]!,
    )
    return [
      backend.make(filled, shape, indices.dtype),
      backend.make(filledValues, [shape[0]!], values.dtype),
      backend.make(Uint8Array.from(empty, Number), [empty.length], 'bool'),
      backend.make(Int32Array.from(reverse), [reverse.length], indices.dtype),
    ]
  }),
  SparseReshape: hostKernel<tf.SparseReshapeInputs>(({ inputs, backend }) => {
    const { inputIndices, inputShape, newShape } = inputs
    const read = ({ dataId }: tf.TensorInfo) => backend.readSync(dataId) as tf.TypedArray
    const [indices, shape, dense] = shared.sparseReshapeImpl(
      read(inputIndices),
      inputIndices.shape,
      inputIndices.dtype,
      Array.from(read(inputShape)),
      Array.from(read(newShape)),
    )
    return [
      backend.make(indices, shape, inputIndices.dtype),
      backend.make(Int32Array.from(dense), [dense.length], newShape.dtype),
    ]
  }),
}
