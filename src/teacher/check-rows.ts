import { type IdColumn, idAt, MASKED_GAP } from '../cache/index.js'
import { DecantError } from '../errors.js'
import type { TeacherOutput } from './run-rows.js'

/** row_sum below which all of a row's classes are masked by a huge negative number: of any other its top logit is a number like others. */
const ALL_MASKED = -(2 ** 60)

/**
 * Refuses a batch that would poison the dataset, and names the row: its logits are not finite, or all masked, as row_sum, fused into the graph, says; or one is
 * masked, and codec q8, whose `scale` is the widest gap, has no room for that.
 */
export function checkRows({ ids }: { ids: IdColumn }, { rows, rowSum, columns }: TeacherOutput): void {
  const positions = rowSum.length / rows
  const fail = (at: number, what: string): never => {
    const place = positions === 1 ? '' : `, position ${at % positions},`
    throw new DecantError(`the teacher's logits for sample '${idAt(ids, Math.floor(at / positions))}'${place} ${what}`)
  }
  for (let at = 0; at < rowSum.length; at++) {
    const sum = rowSum[at]!
    if (sum > ALL_MASKED && Number.isFinite(sum)) continue
    if (sum <= ALL_MASKED) fail(at, 'are not finite (-Inf), or as good as that: expected a class that is not masked')
    fail(at, "are not finite (NaN or Inf); look at that input, or at the teacher's precision")
  }
  const widest = columns.scale
  for (let at = 0; widest && at < widest.length; at++)
    if (widest[at]! >= MASKED_GAP)
      fail(at, 'hold a class that is masked, for which codec q8 has no room: f32, f16, topk and sampled keep it')
}
