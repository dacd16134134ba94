import { type Emit, emitCast, emitRowReduce } from './emit-ops.js'
import { emitGaps, emitScalar } from './emit-rows.js'
import type { Rows } from './emit-targets.js'

/** Keeps the division of a row of equal logits from being 0/0. */
const TINY = 2 ** -126

/** Codec q8: 'q' uint8 [M, C], round(255·√(gap / scale)), 'shift' and 'scale' float32 [M]. */
export function emitQ8(emit: Emit, { z, batch, classes }: Rows): void {
  const { builder } = emit
  const { gaps, top } = emitGaps(emit, z)
  const scale = emitRowReduce(emit, 'ReduceMax', gaps, { keepdims: true })
  const share = builder.node('Div', [gaps, builder.node('Max', [scale, builder.f32(TINY)])])
  const level = builder.node('Mul', [builder.node('Sqrt', [share]), builder.f32(255)])
  builder.output('q', 'uint8', [batch, classes], emitCast(emit, builder.node('Round', [level]), 'uint8'))
  emitScalar(emit, 'shift', top, batch)
  emitScalar(emit, 'scale', scale, batch)
}
