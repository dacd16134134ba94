import { type Emit, emitCast, emitRowReduce } from './emit-ops.js'

/** What the codecs' columns are made of: operations on rows of float32 logits [M, C]. They take operator set 11 or later. */

/** The k largest of each row in falling order: values float32 [M, k], index int32 [M, k]. Of equal ones the first classes. */
export function emitTopK(emit: Emit, z: string, k: number): { values: string; index: string; places: string } {
  const [values, places] = emit.builder.nodeOf('TopK', [z, emit.builder.i64([k])], { axis: 1 }, { outputs: 2 })
  return { values: values!, index: emitCast(emit, places!, 'int32'), places: places! }
}

/** The rows with -Inf at `places`, int64 [M, k]. */
export function emitWithout({ builder }: Emit, z: string, places: string): string {
  const nothing = builder.node('Expand', [builder.f32(Number.NEGATIVE_INFINITY), builder.node('Shape', [places])])
  return builder.node('ScatterElements', [z, places, nothing], { axis: 1 })
}

/** The rows less their largest value, and that value, [M, 1]. */
export function emitGap(emit: Emit, z: string): { gap: string; top: string } {
  const top = emitRowReduce(emit, 'ReduceMax', z, { keepdims: true })
  return { gap: emit.builder.node('Sub', [z, top]), top }
}

/** log Σ exp(β·gap) of each row, [M, 1]; gap is at most 0 and 0 somewhere, so that the sum is at least 1. */
export function emitLogSumExp(emit: Emit, gap: string, beta: number): string {
  const { builder } = emit
  const scaled = beta === 1 ? gap : builder.node('Mul', [gap, builder.f32(beta)])
  return builder.node('Log', [emitRowReduce(emit, 'ReduceSum', builder.node('Exp', [scaled]), { keepdims: true })])
}

/** Mean and population standard deviation of each row, [M, 1] each; from the deviations, not from the squares' sum. */
export function emitMoments(emit: Emit, z: string, classes: string): { mean: string; deviation: string } {
  const { builder } = emit
  const meanOf = (value: string) =>
    builder.node('Div', [emitRowReduce(emit, 'ReduceSum', value, { keepdims: true }), classes])
  const mean = meanOf(z)
  const off = builder.node('Sub', [z, mean])
  return { mean, deviation: builder.node('Sqrt', [meanOf(builder.node('Mul', [off, off]))]) }
}

/** z at the label, int32 [M], of each row; NaN where the label is -1. float32 [M, 1]. */
export function emitLabelLogit(emit: Emit, z: string, label: string): string {
  const { builder } = emit
  const column = builder.node('Reshape', [label, builder.i64([-1, 1])])
  const known = builder.node('Not', [
    builder.node('Less', [column, builder.constant('int32', Int32Array.of(0), [], 'zero')]),
  ])
  const place = builder.node('Mul', [column, emitCast(emit, known, 'int32')])
  const value = builder.node('GatherElements', [z, place], { axis: 1 })
  return builder.node('Where', [known, value, builder.f32(Number.NaN)])
}
