import { type Emit, emitAtLeast, emitCast, emitRowReduce } from './emit-ops.js'
import { emitLabelGap, emitLargest, emitMoments, emitScalar, emitSort, emitTail, emitWithout } from './emit-rows.js'
import type { Rows } from './emit-targets.js'

/** k classes and the statistics of the others. */
export interface BucketTarget {
  codec: 'topk' | 'sampled'
  /** Classes in the head, fewer than there are. */
  k: number
  classes: number
  /** Whose logit is kept: `given`, the graph takes 'label', int32 [M], -1 = none; `next token`, of targets by position. */
  labels: 'given' | 'next token' | undefined
  /** T of the tail's nodes, the lowest first. */
  temperatures: readonly number[]
}

const UINT16 = 2 ** 16

/**
 * Codecs topk:k and sampled:k: 'index', 'logits' [M, k], for sampled 'count', 'shift', 'label_logit', 'mean', 'std', 'tail_top' [M],
 * 'tail' [M, nodes - 1]. sampled takes 'uniforms', float32 [N, L, k] in [0, 1).
 */
export function emitBuckets(emit: Emit, { z, batch, label }: Rows, target: BucketTarget): void {
  const { builder } = emit
  const { codec, k, classes, temperatures } = target
  const half = (value: string) => emitCast(emit, emitAtLeast(emit, value, -65504), 'float16')
  const top = emitRowReduce(emit, 'ReduceMax', z, { keepdims: true })
  const gap = builder.node('Sub', [z, top])
  const { places, count }: Head = codec === 'topk' ? emitLargest(emit, z, k) : emitSample(emit, { z, gap }, target)
  const head = builder.node('GatherElements', [gap, places], { axis: 1 })

  const type = classes <= UINT16 ? 'uint16' : 'int32'
  builder.output('index', type, [batch, k], emitCast(emit, places, type))
  builder.output('logits', 'float16', [batch, k], half(head))
  if (count) builder.output('count', 'uint8', [batch, k], count)
  emitScalar(emit, 'shift', top, batch)
  if (label) emitScalar(emit, 'label_logit', half(emitLabelGap(emit, gap, label)), batch, 'float16')
  const { mean, deviation } = emitMoments(emit, gap, classes)
  emitScalar(emit, 'mean', half(mean), batch, 'float16')
  // A class that a teacher masks with a huge negative number must not make it infinite.
  const wide = builder.node('Neg', [emitAtLeast(emit, builder.node('Neg', [deviation]), -65504)])
  emitScalar(emit, 'std', emitCast(emit, wide, 'float16'), batch, 'float16')

  const tail = emitWithout(emit, gap, places)
  const { most, nodes } = emitTail(emit, tail, { temperatures, classes: classes - k })
  const [first, ...others] = nodes as [string, ...string[]]
  const tailTop = builder.node('Add', [most, first])
  emitScalar(emit, 'tail_top', tailTop, batch)
  // against the sum as it was rounded, which is what a reader adds to
  const rounded = builder.node('Sub', [tailTop, most])
  const below = builder.node('Sub', [builder.node('Concat', others, { axis: 1 }), rounded])
  builder.output('tail', 'float16', [batch, others.length], half(below))
}

interface Head {
  /** int64 [M, k], distinct classes, nearest to the top first */
  places: string
  /** uint8 [M, k] */
  count?: string
}

/**
 * Draws k classes with replacement by softmax(z): class c where the cumulative sum up to c is the first above u·total. In float64, as
 * 50,257 terms in float32 lose the last classes. Free slots hold the likeliest classes that were not drawn.
 */
function emitSample(emit: Emit, { z, gap }: { z: string; gap: string }, { k, classes }: BucketTarget): Head {
  const { builder } = emit
  const mass = builder.node('Exp', [emitCast(emit, gap, 'float64')])
  const sums = builder.node('CumSum', [mass, builder.i64(1)])
  const last = builder.node('Slice', [sums, builder.i64([classes - 1]), builder.i64([classes]), builder.i64([1])])
  const uniforms = builder.node('Reshape', ['uniforms', builder.i64([-1, k])])
  const aim = builder.node('Mul', [emitCast(emit, uniforms, 'float64'), last])
  const drawn = emitSearch(emit, { sums, aim, classes })

  const zeros = builder.node('ConstantOfShape', [builder.node('Shape', [z])])
  const ones = builder.node('Expand', [builder.f32(1), builder.node('Shape', [drawn])])
  const counts = builder.node('ScatterElements', [zeros, drawn, ones], { axis: 1, reduction: 'add' })
  const isDrawn = builder.node('Greater', [counts, builder.f32(0)])
  const drawnFirst = builder.node('Where', [isDrawn, builder.f32(Number.POSITIVE_INFINITY), z])
  // Then the likeliest first, and of equal ones the lower class: taken from classes in order, as TopK keeps that of equal ones.
  const chosen = emitSort(emit, emitLargest(emit, drawnFirst, k).places, k)
  const { places: slots } = emitLargest(emit, builder.node('GatherElements', [z, chosen], { axis: 1 }), k)
  const places = builder.node('GatherElements', [chosen, slots], { axis: 1 })
  const count = builder.node('GatherElements', [counts, places], { axis: 1 })
  return { places, count: emitCast(emit, count, 'uint8') }
}

/** The first place in each row of rising `sums` [M, C] that is above `aim` [M, k], the last one at most: bisection, int64 [M, k]. */
function emitSearch(emit: Emit, { sums, aim, classes }: { sums: string; aim: string; classes: number }): string {
  const { builder } = emit
  let below = builder.node('ConstantOfShape', [builder.node('Shape', [aim])]) // float32: exact up to 2²⁴ classes
  for (let step = 2 ** Math.floor(Math.log2(Math.max(1, classes - 1))); step >= 1; step /= 2) {
    // `below` places are known not to be above; are the next `step` of them either?
    const further = builder.node('Add', [below, builder.f32(step)])
    const inside = builder.node('Min', [builder.node('Sub', [further, builder.f32(1)]), builder.f32(classes - 2)])
    const sum = builder.node('GatherElements', [sums, emitCast(emit, inside, 'int64')], { axis: 1 })
    const notAbove = builder.node('Not', [builder.node('Greater', [sum, aim])])
    const moved = builder.node('Min', [further, builder.f32(classes - 1)])
    below = builder.node('Where', [notAbove, moved, below])
  }
  return emitCast(emit, below, 'int64')
}
