import { type IdColumn, idAt } from '../cache/index.js'
import { DecantError } from '../errors.js'
import type { TeacherOutput } from './run-rows.js'

export interface CheckedRows {
  ids: IdColumn
  labels: Int32Array
}

/**
 * Refuses a batch that would poison the dataset, and names the row: logits that are not finite (their sum is not, fused into the
 * graph as row_sum), and labels outside 0..classes-1.
 */
export function checkRows({ ids, labels }: CheckedRows, output: TeacherOutput, classes: number): void {
  for (let row = 0; row < output.rows; row++) {
    if (!Number.isFinite(output.rowSum[row])) {
      throw new DecantError(
        `the teacher's logits for sample '${idAt(ids, row)}' are not finite (NaN or Inf); look at that input, or at the teacher's precision`,
      )
    }
    if (labels[row]! >= classes) {
      throw new DecantError(
        `sample '${idAt(ids, row)}' has label ${labels[row]}, the teacher has classes 0..${classes - 1}: this teacher and these labels do not belong together`,
      )
    }
  }
}
