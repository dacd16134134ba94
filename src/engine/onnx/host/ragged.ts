import { shared } from '@tensorflow/tfjs-backend-cpu'
import type * as tf from '@tensorflow/tfjs-core'
import { type Host, type HostKernels, hostKernel } from './kernel.js'

const reader =
  (backend: Host) =>
  ({ dataId }: tf.TensorInfo) =>
    backend.readSync(dataId) as tf.TypedArray

export const ragged: HostKernels = {
  RaggedGather: hostKernel<tf.RaggedGatherInputs, tf.RaggedGatherAttrs>(({ inputs, attributes, backend }) => {
    const { paramsNestedSplits, paramsDenseValues, indices } = inputs
    const read = reader(backend)
    const nested = paramsNestedSplits as tf.TensorInfo[]
    const [splits, values, shape] = shared.raggedGatherImpl(
      nested.map(read),
      nested.map((tensor) => tensor.shape),
      read(paramsDenseValues),
      paramsDenseValues.shape,
      paramsDenseValues.dtype,
      read(indices),
      indices.shape,
      attributes.outputRaggedRank,
    )
    return [
      ...splits.map((split) => backend.make(split, [split.length], 'int32')),
      backend.make(values, shape, paramsDenseValues.dtype),
    ]
  }),
  RaggedRange: hostKernel<tf.RaggedRangeInputs>(({ inputs: { starts, limits, deltas }, backend }) => {
    const read = reader(backend)
    const [splits, values] = shared.raggedRangeImpl(
      read(starts),
      starts.shape,
      starts.dtype,
      read(limits),
      limits.shape,
      read(deltas),
      deltas.shape,
    )
    return [backend.make(splits, [splits.length], 'int32'), backend.make(values, [values.length], starts.dtype)]
  }),
  RaggedTensorToTensor: hostKernel<tf.RaggedTensorToTensorInputs, tf.RaggedTensorToTensorAttrs>(
    ({ inputs, attributes, backend }) => {
      const { shape, values, defaultValue, rowPartitionTensors } = inputs
      const read = reader(backend)
      const partitions = rowPartitionTensors as tf.TensorInfo[]
      const [outputShape, output] = shared.raggedTensorToTensorImpl(
        read(shape),
        shape.shape,
        read(values),
        values.shape,
        values.dtype,
        read(defaultValue),
        defaultValue.shape,
        partitions.map(read),
        partitions.map((tensor) => tensor.shape),
        attributes.rowPartitionTypes,
      )
      return backend.make(output, outputShape, values.dtype)
    },
  ),
}
