import type * as tf from '@tensorflow/tfjs-core'
import type { LayersModel } from '@tensorflow/tfjs-layers'
import type { ModelProto } from 'onnx-buf'
import { DecantError } from '../../errors.js'
import { type Dimension, GraphBuilder } from '../../onnx/graph-builder.js'
import { encode } from './encode.js'
import { isDynamic, type Shape, type Value } from './ir.js'
import { mergeBatch } from './passes/merge-batch.js'
import { optimize } from './passes/optimize.js'
import { trace } from './trace.js'

export interface InferenceOptions {
  /** Name of the input; default `input`. Its shape is [batch, ...the model's input]. */
  inputName?: string
  /** Its type; default float32. */
  inputType?: 'float32' | 'int32'
  /** What the model takes, from that input, of the same shape; default: the input itself. */
  prepare?: (x: tf.Tensor) => tf.Tensor
  /** Name of the output; default `output`. [batch, ...the model's output], float32. */
  outputName?: string
  /** The graph's name; default the model's. */
  name?: string
  /** `metadata_props`: classes, preprocessing, hashes. */
  metadata?: Record<string, string>
}

/**
 * A tfjs model with one input and one output as an ONNX model (opset 18) for any batch size, with the weights that it
 * has now. It is traced with two batch sizes: what differs between them is the batch axis.
 */
export function exportInference(model: LayersModel, options: InferenceOptions = {}): ModelProto {
  const {
    inputName = 'input',
    inputType = 'float32',
    prepare = (x) => x,
    outputName = 'output',
    name = model.name,
    metadata,
  } = options
  if (model.inputs.length !== 1 || model.outputs.length !== 1) {
    throw new DecantError(
      `model ${model.name}: ${model.inputs.length} inputs and ${model.outputs.length} outputs, expected one of each`,
    )
  }
  const inner = model.inputs[0]!.shape.slice(1).map((d) => d ?? 0)
  if (inner.includes(0)) {
    throw new DecantError(
      `model ${model.name}: its input is [${model.inputs[0]!.shape}], expected fixed sizes after the batch`,
    )
  }
  const traceAt = (batch: number): Value => {
    const step = ({ x }: Record<string, tf.Tensor>) => ({
      y: model.apply(prepare(x!), { training: false }) as tf.Tensor,
    })
    const { outputs } = trace(step, { inputs: { x: { shape: [batch, ...inner], dtype: inputType } }, inline: true })
    return optimize({ y: outputs[0]!.value }).y!
  }
  const output = mergeBatch(traceAt, `model ${model.name}`)

  const builder = new GraphBuilder()
  builder.input(inputName, inputType, ['batch', ...inner])
  const names = encode(
    builder,
    [output],
    (node) => (node.op === 'Input' ? inputName : undefined),
    new Map([[output, outputName]]),
  )
  builder.output(outputName, 'float32', dimensions(output.shape), names.get(output)!)
  return builder.model({ name, metadata })
}

function dimensions(shape: Shape): Dimension[] {
  return shape.map((d) => (d === -1 ? 'batch' : isDynamic(d) ? null : d))
}
