import { type BucketTarget, emitBuckets } from './emit-buckets.js'
import { type Emit, emitAtLeast, emitCast, emitRowReduce } from './emit-ops.js'
import { emitQ8 } from './emit-q8.js'
import { emitRaised } from './emit-rows.js'
import type { Dimension } from './graph-builder.js'

/** What is kept of the logits: a codec's columns, as src/cache/codecs defines them. Their names are the graph's outputs. */
export type Target = 'f32' | 'f16' | { codec: 'q8' } | BucketTarget

export interface Rows {
  /** float32 logits [M, C] */
  z: string
  /** Name of M. */
  batch: Dimension
  classes: Dimension
  /** Name of the labels, int32, one a row of z, -1 = none. */
  label?: string | undefined
}

/** The oldest operator set in which a target can be written; a model of an older one gives raw logits, to be encoded elsewhere. */
export function opsetOfTarget(target: Target): number {
  if (typeof target === 'string') return 7
  return target.codec === 'sampled' ? 16 : 11 // ScatterElements that adds; Round, and Clip with its bounds as inputs
}

/** Names of the outputs that `target` declares. */
export function columnsOf(target: Target): string[] {
  if (typeof target === 'string') return ['logits', 'shift']
  if (target.codec === 'q8') return ['q', 'shift', 'scale']
  return ['index', 'logits', 'count', 'shift', 'label_logit', 'mean', 'std', 'tail_top', 'tail']
}

export interface TargetInput {
  name: 'label' | 'uniforms'
  dtype: 'int32' | 'float32'
  rank: number
}

/** What the graph takes beside the teacher's inputs: 'label' int32 [N], -1 = none; 'uniforms' float32 [N, L, k] in [0, 1). */
export function inputsOf(target: Target): TargetInput[] {
  if (typeof target === 'string' || target.codec === 'q8') return []
  const label: TargetInput[] = target.labels === 'given' ? [{ name: 'label', dtype: 'int32', rank: 1 }] : []
  return target.codec === 'sampled' ? [...label, { name: 'uniforms', dtype: 'float32', rank: 3 }] : label
}

/** Behind the teacher: declares the outputs of `target`, and 'row_sum'. */
export function emitTargets(emit: Emit, given: Rows, target: Target): void {
  const { builder } = emit
  const rows = { ...given, z: emitRaised(emit, given.z) }
  const { z, batch, classes } = rows
  if (target === 'f32') builder.output('logits', 'float32', [batch, classes], z)
  else if (target === 'f16') emitF16(emit, rows)
  else if (target.codec === 'q8') emitQ8(emit, rows)
  else emitBuckets(emit, rows, target)
  const scaled = builder.node('Mul', [z, builder.f32(2 ** -32)])
  builder.output('row_sum', 'float32', [batch], emitRowReduce(emit, 'ReduceSum', scaled, { keepdims: false }))
}

function emitF16(emit: Emit, { z, batch, classes }: Rows): void {
  const { builder } = emit
  const top = emitRowReduce(emit, 'ReduceMax', z, { keepdims: true })
  builder.output('shift', 'float32', [batch], builder.node('Reshape', [top, builder.i64([-1])]))
  // 65504 is the largest float16: a class further below the top than that is kept as that far below.
  const gap = emitAtLeast(emit, builder.node('Sub', [z, top]), -65504)
  builder.output('logits', 'float16', [batch, classes], emitCast(emit, gap, 'float16'))
}
