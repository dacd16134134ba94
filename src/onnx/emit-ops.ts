import type { ModelProto } from 'onnx-buf'
import { DecantError } from '../errors.js'
import { opsetOf } from './describe-model.js'
import { elementTypes } from './dtypes.js'
import type { GraphBuilder } from './graph-builder.js'

/** Operators whose form depends on the operator set of the model that they are put into. */

/** The oldest operator set that ONNX Runtime runs, the first with numpy-style broadcasting. */
export const oldestOpset = 7

export interface Emit {
  builder: GraphBuilder
  opset: number
}

/** Reduction of [N, C] over C. `axes` became an input of ReduceSum in opset 13, of ReduceMax in 18. */
export function emitRowReduce(
  { builder, opset }: Emit,
  op: 'ReduceSum' | 'ReduceMax',
  value: string,
  options: { keepdims: boolean; outputs?: string[] },
): string {
  const keepdims = options.keepdims ? 1 : 0
  const named = options.outputs && { outputs: options.outputs }
  return opset >= (op === 'ReduceSum' ? 13 : 18)
    ? builder.node(op, [value, builder.i64([1])], { keepdims }, named)
    : builder.node(op, [value], { axes: [1], keepdims }, named)
}

/** max(value, least) of float32 values. Clip's bounds became inputs in opset 11. */
export function emitAtLeast({ builder, opset }: Emit, value: string, least: number): string {
  return opset >= 11
    ? builder.node('Clip', [value, builder.f32(least)])
    : builder.node('Clip', [value], { min: { float: least } })
}

export function emitCast({ builder }: Emit, value: string, to: keyof typeof elementTypes): string {
  return builder.node('Cast', [value], { to: elementTypes[to] })
}

/** The model's default operator set, where its edits can be written in it. */
export function requireOpset(proto: ModelProto, path: string): number {
  const opset = opsetOf(proto)
  if (opset >= oldestOpset) return opset
  throw new DecantError(
    `${path}: expected operator set ${oldestOpset} or later, found ${opset}: convert it with onnx.version_converter`,
  )
}
