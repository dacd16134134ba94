import { type IdColumn, idAt } from '../cache/index.js'
import { DecantError } from '../errors.js'
import type { TeacherOutput } from './run-rows.js'

/** Refuses a batch that would poison the dataset, and names the row: its logits are not finite, as row_sum, fused into the graph, says. */
export function checkRows({ ids }: { ids: IdColumn }, output: TeacherOutput): void {
  for (let row = 0; row < output.rows; row++) {
    if (!Number.isFinite(output.rowSum[row])) {
      throw new DecantError(
        `the teacher's logits for sample '${idAt(ids, row)}' are not finite (NaN or Inf); look at that input, or at the teacher's precision`,
      )
    }
  }
}
