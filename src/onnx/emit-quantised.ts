import { type Emit, emitCast, emitRowReduce } from './emit-ops.js'
import { emitGaps, emitLargest, emitScalar, emitSort } from './emit-rows.js'
import type { Rows } from './emit-targets.js'

/** Keeps the division of a row of equal logits from being 0/0. */
const TINY = 2 ** -126

/** Codec q8: 'q' uint8 [M, C], 'shift' and 'scale' float32 [M]. */
export function emitQ8(emit: Emit, { z, batch, classes }: Rows): void {
  const { gaps, top } = emitGaps(emit, z)
  const scale = emitRowReduce(emit, 'ReduceMax', gaps, { keepdims: true })
  emit.builder.output('q', 'uint8', [batch, classes], emitCompand(emit, gaps, scale))
  emitScalar(emit, 'shift', top, batch)
  emitScalar(emit, 'scale', scale, batch)
}

/** round(255·√(gap / widest)) as uint8. */
function emitCompand(emit: Emit, gaps: string, widest: string): string {
  const { builder } = emit
  const share = builder.node('Div', [gaps, builder.node('Max', [widest, builder.f32(TINY)])])
  const level = builder.node('Mul', [builder.node('Sqrt', [share]), builder.f32(255)])
  return emitCast(emit, builder.node('Round', [level]), 'uint8')
}

/** Marks a class of the head among the 4-bit codes; the ones below are levels of the rest. */
const HEAD = 15
const POWER = 1.5

/** Codec hybrid:k: 'codes' uint8 [M, ⌈C/2⌉], 'head' uint8 [M, k], 'shift' float32 [M], 'scales' float32 [M, 3]. */
export function emitHybrid(emit: Emit, { z, batch }: Rows, { k, classes }: { k: number; classes: number }): void {
  const { builder } = emit
  const heads = Math.min(k, classes)
  const { gaps, top } = emitGaps(emit, z)
  const { places } = emitLargest(emit, z, heads)
  // in the order of their classes
  const inOrder = emitSort(emit, places, heads)
  const head = builder.node('GatherElements', [gaps, inOrder], { axis: 1 })
  const widest = emitRowReduce(emit, 'ReduceMax', head, { keepdims: true })

  const outside = (value: number) => {
    const filled = builder.node('Expand', [builder.f32(value), builder.node('Shape', [places])])
    return builder.node('ScatterElements', [gaps, places, filled], { axis: 1 })
  }
  const none = builder.node('Sub', [widest, widest])
  const infinite = outside(Number.POSITIVE_INFINITY)
  const low = heads === classes ? none : emitLeast(emit, infinite)
  const high = heads === classes ? none : emitRowReduce(emit, 'ReduceMax', outside(0), { keepdims: true })
  const span = builder.node('Max', [builder.node('Sub', [high, low]), builder.f32(TINY)])
  const share = builder.node('Div', [builder.node('Max', [builder.node('Sub', [gaps, low]), builder.f32(0)]), span])
  const level = builder.node('Mul', [builder.node('Pow', [share, builder.f32(1 / POWER)]), builder.f32(HEAD - 1)])
  // the gaps of the head are below the rest's lowest, so their levels are nothing; what they are is said by their code
  const isRest = builder.node('Less', [infinite, builder.f32(Number.POSITIVE_INFINITY)])
  const code = builder.node('Where', [isRest, builder.node('Round', [level]), builder.f32(HEAD)])

  builder.output('codes', 'uint8', [batch, Math.ceil(classes / 2)], emitPairs(emit, code, classes))
  builder.output('head', 'uint8', [batch, heads], emitCompand(emit, head, widest))
  emitScalar(emit, 'shift', top, batch)
  builder.output('scales', 'float32', [batch, 3], builder.node('Concat', [widest, low, high], { axis: 1 }))
}

function emitLeast(emit: Emit, value: string): string {
  const { builder } = emit
  return builder.node('Neg', [emitRowReduce(emit, 'ReduceMax', builder.node('Neg', [value]), { keepdims: true })])
}

/** Codes of 4 bits, two a byte, the even class in the low half. */
function emitPairs(emit: Emit, code: string, classes: number): string {
  const { builder } = emit
  const even = classes % 2 === 0 ? code : builder.node('Pad', [code, builder.i64([0, 0, 0, 1]), builder.f32(0)])
  const half = (start: number) =>
    builder.node('Slice', [even, builder.i64([start]), builder.i64([classes + 1]), builder.i64([1]), builder.i64([2])])
  const both = builder.node('Add', [half(0), builder.node('Mul', [half(1), builder.f32(16)])])
  return emitCast(emit, both, 'uint8')
}
