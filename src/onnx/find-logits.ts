import type { ModelProto } from 'onnx-buf'

export type LogitsKind = 'logits' | 'softmax removed' | 'log-softmax removed' | 'log of probabilities'

export interface Logits {
  /** An edited copy whose only output is the logits, float32 [N, C]. Weights are shared with the model, not copied. */
  proto: ModelProto
  /** That output's name in the copy. */
  output: string
  /** The model's own name of the value that was chosen, before the edit. */
  from: string
  /** C, where the model declares it. */
  classes: number | undefined
  kind: LogitsKind
}

export function findLogits(_model: { proto: ModelProto; path?: string }, _options: { output?: string } = {}): Logits {
  throw new Error('not yet')
}
