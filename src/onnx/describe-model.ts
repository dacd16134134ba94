import type { ModelProto } from 'onnx-buf'
import type { Dimension } from './graph-builder.js'

export interface ValueInfo {
  name: string
  /** ONNX Runtime's name of the element type ('float32', 'uint8', …); 'sequence', 'map', … for what is no tensor. */
  dtype: string
  /** undefined: not even the rank is known. */
  shape: Dimension[] | undefined
}

export interface ModelDescription {
  /** What a run has to feed: initializers are not inputs. */
  inputs: ValueInfo[]
  outputs: ValueInfo[]
  /** Version of the default operator set. */
  opset: number
  producer: string
  metadata: Record<string, string>
}

export function describeModel(_model: { proto: ModelProto }): ModelDescription {
  throw new Error('not yet')
}
