import { random } from '../../../src/random.js'

/** Kinds of rows that a codec is tried on: what a teacher's logits may look like. Float32 [rows, C]. */
export type RowsKind = 'gaussian' | 'heavy-tailed' | 'clustered' | 'near one-hot'
export const rowsKinds: RowsKind[] = ['gaussian', 'heavy-tailed', 'clustered', 'near one-hot']

export function makeLogits(kind: RowsKind, { rows, classes }: { rows: number; classes: number }): Float32Array {
  const { normal, uniform, below } = random('codec rows', kind, classes)
  const logits = new Float32Array(rows * classes)
  for (let row = 0; row < rows; row++) {
    const scale = 0.5 + 5 * uniform()
    const centres = Array.from({ length: 8 }, () => 6 * normal())
    const draw = {
      gaussian: () => scale * normal(),
      // Student's t with 3 degrees of freedom
      'heavy-tailed': () => ((scale / 2) * normal()) / Math.sqrt((normal() ** 2 + normal() ** 2 + normal() ** 2) / 3),
      clustered: () => centres[below(8)]! + 0.5 * normal(),
      'near one-hot': () => 2 * normal(),
    }[kind]
    for (let c = 0; c < classes; c++) logits[row * classes + c] = Math.max(-200, Math.min(200, draw()))
    if (kind === 'near one-hot') logits[row * classes + below(classes)]! += 8 + 17 * uniform()
  }
  return logits
}

/** log Σ exp(x), in float64. */
export function logSumExp(values: ArrayLike<number>): number {
  let top = Number.NEGATIVE_INFINITY
  for (let i = 0; i < values.length; i++) top = Math.max(top, values[i]!)
  let sum = 0
  for (let i = 0; i < values.length; i++) sum += Math.exp(values[i]! - top)
  return top + Math.log(sum)
}
