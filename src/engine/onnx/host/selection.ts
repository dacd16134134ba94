import { shared } from '@tensorflow/tfjs-backend-cpu'
import * as tf from '@tensorflow/tfjs-core'
import { random } from '../../../random.js'
import { kernels } from '../kernels/index.js'
import { type HostCall, type HostKernels, hostKernel } from './kernel.js'

/** What a non-maximum suppression chooses from: boxes [n, 4] and their scores [n]. */
interface Candidates {
  boxes: tf.TensorInfo
  scores: tf.TensorInfo
}

function candidates({ inputs: { boxes, scores }, backend }: HostCall<Candidates, unknown>) {
  return [boxes, scores].map(({ dataId }) => backend.readSync(dataId)) as [Float32Array, Float32Array]
}

const { nonMaxSuppressionV3Impl, nonMaxSuppressionV4Impl, nonMaxSuppressionV5Impl } = tf.kernel_impls

export const selections: HostKernels = {
  NonMaxSuppressionV3: hostKernel<Candidates, tf.NonMaxSuppressionV3Attrs>((call) => {
    const { maxOutputSize, iouThreshold, scoreThreshold } = call.attributes
    const { selectedIndices } = nonMaxSuppressionV3Impl(
      ...candidates(call),
      maxOutputSize,
      iouThreshold,
      scoreThreshold,
    )
    return call.backend.make(Int32Array.from(selectedIndices), [selectedIndices.length], 'int32')
  }),
  NonMaxSuppressionV4: hostKernel<Candidates, tf.NonMaxSuppressionV4Attrs>((call) => {
    const { maxOutputSize, iouThreshold, scoreThreshold, padToMaxOutputSize } = call.attributes
    const { selectedIndices, validOutputs } = nonMaxSuppressionV4Impl(
      ...candidates(call),
      maxOutputSize,
      iouThreshold,
      scoreThreshold,
      padToMaxOutputSize,
    )
    return [
      call.backend.make(Int32Array.from(selectedIndices), [selectedIndices.length], 'int32'),
      call.backend.make(Int32Array.of(validOutputs!), [], 'int32'),
    ]
  }),
  NonMaxSuppressionV5: hostKernel<Candidates, tf.NonMaxSuppressionV5Attrs>((call) => {
    const { maxOutputSize, iouThreshold, scoreThreshold, softNmsSigma } = call.attributes
    const { selectedIndices, selectedScores } = nonMaxSuppressionV5Impl(
      ...candidates(call),
      maxOutputSize,
      iouThreshold,
      scoreThreshold,
      softNmsSigma,
    )
    return [
      call.backend.make(Int32Array.from(selectedIndices), [selectedIndices.length], 'int32'),
      call.backend.make(Float32Array.from(selectedScores!), [selectedIndices.length], 'float32'),
    ]
  }),
  Unique: hostKernel<tf.UniqueInputs, tf.UniqueAttrs>(({ inputs: { x }, attributes: { axis }, backend }) => {
    const values = backend.readSync(x.dataId) as tf.TypedArray
    const { outputValues, outputShape, indices } = shared.uniqueImpl(values, axis, x.shape, x.dtype)
    return [backend.make(outputValues, outputShape, x.dtype), backend.make(indices, [indices.length], 'int32')]
  }),
  BroadcastArgs: hostKernel<tf.BroadcastArgsInputs>(({ inputs: { s0, s1 }, backend }) => {
    const [a, b] = [s0, s1].map(({ dataId }) => Array.from(backend.readSync(dataId) as Int32Array))
    const shape = tf.backend_util.assertAndGetBroadcastShape(a!, b!)
    return backend.make(Int32Array.from(shape), [shape.length], 'int32')
  }),
  /** Draws from each row's distribution: the first event at which the sum of probabilities passes a random number. */
  Multinomial: hostKernel<tf.MultinomialInputs, tf.MultinomialAttrs>(({ inputs: { logits }, attributes, backend }) => {
    const { numSamples, seed, normalized } = attributes
    const softmax = { name: 'Softmax', kernel: kernels.Softmax!, inputs: { logits }, attributes: { dim: -1 } }
    const probabilities = normalized ? logits : (backend.compute(softmax) as tf.TensorInfo)
    const [rows, events] = logits.shape as [number, number]
    const weights = backend.readSync(probabilities.dataId) as Float32Array
    if (!normalized) backend.disposeData(probabilities.dataId)
    const { uniform } = random(seed, 'multinomial')
    const samples = Int32Array.from({ length: rows * numSamples }, (_, i) => {
      const row = Math.floor(i / numSamples) * events
      let rest = uniform()
      for (let event = 0; event < events - 1; event++) {
        rest -= weights[row + event]!
        if (rest < 0) return event
      }
      return events - 1
    })
    return backend.make(samples, [rows, numSamples], 'int32')
  }),
}
