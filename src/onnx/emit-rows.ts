import { type Emit, emitAtLeast, emitCast, emitRowReduce } from './emit-ops.js'
import type { Dimension } from './graph-builder.js'

/** What the codecs' columns are made of: operations on rows of float32 logits [M, C]. They take operator set 11 or later, where nothing else is said. */

/** The widest gap below a row's top logit that is kept, float16's largest number: that of a class that the teacher masks. */
const WIDEST = 65504
/** A class at least so far below the top is masked. */
const MASKED = 60_000

/**
 * Logits further below their row's top than the widest gap, of -Inf too, raised to it. NaN, +Inf and a row of -Inf alone stay what they are: no comparison holds
 * there. Operator set 9; of older ones the logits as they are.
 */
export function emitRaised(emit: Emit, z: string): string {
  const { builder, opset } = emit
  if (opset < 9) return z
  const top = emitRowReduce(emit, 'ReduceMax', z, { keepdims: true })
  const least = builder.node('Sub', [top, builder.f32(WIDEST)])
  // of logits so large that float32 has no such gap below them, none is raised
  const hasGap = builder.node('Less', [builder.f32(MASKED), builder.node('Sub', [top, least])])
  return builder.node('Where', [builder.node('And', [builder.node('Less', [z, least]), hasGap]), least, z])
}

/** The float32 columns [M, 1] as the output `name`, [M]. */
export function emitScalar(
  { builder }: Emit,
  name: string,
  value: string,
  batch: Dimension,
  type: 'float32' | 'float16' = 'float32',
): void {
  builder.output(name, type, [batch], builder.node('Reshape', [value, builder.i64([-1])]))
}

/** The row's largest value [M, 1], and the gaps below it, each 0 to 65504. */
export function emitGaps(emit: Emit, z: string): { gaps: string; top: string } {
  const { builder } = emit
  const top = emitRowReduce(emit, 'ReduceMax', z, { keepdims: true })
  return { top, gaps: builder.node('Clip', [builder.node('Sub', [top, z]), '', builder.f32(65504)]) }
}

/** The k largest of each row in falling order, [M, k], and their places, int64 [M, k]. Of equal ones the first. */
export function emitLargest({ builder }: Emit, z: string, k: number): { values: string; places: string } {
  const [values, places] = builder.nodeOf('TopK', [z, builder.i64([k])], { axis: 1 }, { outputs: 2 })
  return { values: values!, places: places! }
}

/** The k numbers of each row in rising order. */
export function emitSort({ builder }: Emit, places: string, k: number): string {
  return builder.nodeOf('TopK', [places, builder.i64([k])], { axis: 1, largest: 0 }, { outputs: 2 })[0]!
}

/** The rows with -Inf at `places`, int64 [M, k]. */
export function emitWithout({ builder }: Emit, gap: string, places: string): string {
  const nothing = builder.node('Expand', [builder.f32(Number.NEGATIVE_INFINITY), builder.node('Shape', [places])])
  return builder.node('ScatterElements', [gap, places, nothing], { axis: 1 })
}

/**
 * Of rows of which `classes` values count and the others are -Inf: the largest value, and T·log mean exp((gap - largest) / T) for each
 * temperature; [M, 1] each. They are not added here: float32 would lose the small one.
 */
export function emitTail(
  emit: Emit,
  gap: string,
  { temperatures, classes }: { temperatures: readonly number[]; classes: number },
): { most: string; nodes: string[] } {
  const { builder } = emit
  const most = emitRowReduce(emit, 'ReduceMax', gap, { keepdims: true })
  const below = builder.node('Sub', [gap, most])
  const nodes = temperatures.map((temperature) => {
    const exp = builder.node('Exp', [builder.node('Mul', [below, builder.f32(1 / temperature)])])
    const sum = emitRowReduce(emit, 'ReduceSum', exp, { keepdims: true })
    const log = builder.node('Log', [builder.node('Mul', [sum, builder.f32(1 / classes)])])
    return builder.node('Mul', [log, builder.f32(temperature)])
  })
  return { most, nodes }
}

/**
 * Mean of each row's gaps and their standard deviation, [M, 1] each, over the n of the classes that are not masked; from the deviations, not from the squares' sum.
 * Methods that divide by n - 1 take √(C/(C - 1)) of the deviation: where no class is masked it is that over all C.
 */
export function emitMoments(emit: Emit, gap: string, classes: number): { mean: string; deviation: string } {
  const { builder } = emit
  const sumOf = (value: string) => emitRowReduce(emit, 'ReduceSum', value, { keepdims: true })
  const [zero, one] = [builder.f32(0), builder.f32(1)]
  const isPresent = builder.node('Greater', [gap, builder.f32(-MASKED)])
  const presentOf = (value: string) => builder.node('Where', [isPresent, value, zero])
  const n = sumOf(emitCast(emit, isPresent, 'float32'))
  const mean = builder.node('Mul', [sumOf(presentOf(gap)), builder.node('Reciprocal', [n])])
  const off = presentOf(builder.node('Sub', [gap, mean]))
  const isWhole = builder.node('Not', [builder.node('Less', [n, builder.f32(classes)])])
  const others = builder.node('Clip', [builder.node('Sub', [n, one]), one])
  const part = builder.node('Div', [builder.f32((classes - 1) / classes), others])
  const share = builder.node('Where', [isWhole, builder.f32(1 / classes), part])
  const variance = builder.node('Mul', [sumOf(builder.node('Mul', [off, off])), share])
  return { mean, deviation: builder.node('Sqrt', [variance]) }
}

/** The value at the label, int32 [M], of each row; NaN where the label is -1. [M, 1]. */
export function emitLabelGap(emit: Emit, gap: string, label: string): string {
  const { builder } = emit
  const column = builder.node('Reshape', [label, builder.i64([-1, 1])])
  const known = builder.node('Not', [
    builder.node('Less', [column, builder.constant('int32', Int32Array.of(0), [], 'zero')]),
  ])
  const place = builder.node('Mul', [column, emitCast(emit, known, 'int32')])
  const value = builder.node('GatherElements', [gap, place], { axis: 1 })
  return builder.node('Where', [known, emitAtLeast(emit, value, -65504), builder.f32(Number.NaN)])
}
