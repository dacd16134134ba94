import { type IdColumn, idAt } from '../cache/index.js'
import { DecantError } from '../errors.js'
import type { TeacherOutput } from './run-rows.js'

/** Refuses a batch that would poison the dataset, and names the row: its logits are not finite, as row_sum, fused into the graph, says. */
export function checkRows({ ids }: { ids: IdColumn }, { rows, rowSum }: TeacherOutput): void {
  let bad = 0 // a loop: findIndex makes an object of every number
  while (bad < rowSum.length && Number.isFinite(rowSum[bad])) bad++
  if (bad === rowSum.length) return
  const positions = rowSum.length / rows
  const place = positions === 1 ? '' : `, position ${bad % positions},`
  throw new DecantError(
    `the teacher's logits for sample '${idAt(ids, Math.floor(bad / positions))}'${place} are not finite (NaN or Inf); look at that input, or at the teacher's precision`,
  )
}
