import type { ModelProto } from 'onnx-buf'
import type { ValueInfo } from './describe-model.js'

export interface ImageInput {
  height: number
  width: number
  channels: number
  /** What the teacher takes. */
  layout: 'NCHW' | 'NHWC'
  /** The teacher sees x * multiply[c] + add[c] of the uint8 pixel x. */
  multiply: Float32Array
  add: Float32Array
}

export interface FuseOptions {
  /** The teacher's input that gets the data. */
  input: string
  /** Value of its raw logits, [N, C], as `findLogits` returns it. */
  output: string
  image?: ImageInput
  target: 'f32' | 'f16'
}

export interface FusedTeacher {
  proto: ModelProto
  /** With `image`: 'pixels', uint8 [N, height, width, channels]; else the teacher's own input. */
  inputs: ValueInfo[]
  /** f32: 'logits' float32 [N, C], 'row_sum' float32 [N]. f16: 'logits' float16 [N, C] = z - shift, 'shift' [N], 'row_sum'. */
  outputs: ValueInfo[]
}

export function fuseTeacher(_proto: ModelProto, _options: FuseOptions): FusedTeacher {
  throw new Error('not yet')
}
