import { compareLogits, type JudgeOptions } from './judge-rows.js'
import type { TeacherOutput } from './run-rows.js'

/**
 * Does a teacher that gives logits at each position of a sequence take positions for rows, [L, N] where [N, L] was meant? Then the positions of a row know
 * nothing of each other, as rows should not: neither its first token nor its last changes what is said elsewhere. Asked of a teacher whose rows do depend on each other.
 */
export async function takesPositionsForRows(
  tokens: Int32Array,
  options: Pick<JudgeOptions, 'tolerance' | 'least'> & { run(tokens: Int32Array): Promise<TeacherOutput> },
): Promise<boolean> {
  const length = tokens.indexOf(-1) < 0 ? tokens.length : tokens.indexOf(-1)
  if (length < 2) return false
  const before = await options.run(tokens.slice())
  const changes = async (place: number, elsewhere: { from: number; to: number }) => {
    const changed = tokens.with(place, tokens[place] === 0 ? 1 : 0)
    const after = await options.run(changed)
    return compareLogits(placesOf(before, elsewhere), placesOf(after, elsewhere), options) > 0
  }
  return !(await changes(0, { from: 1, to: length })) && !(await changes(length - 1, { from: 0, to: length - 1 }))
}

/** Of a single row. */
function placesOf({ columns, rowSum }: TeacherOutput, { from, to }: { from: number; to: number }): TeacherOutput {
  const logits = columns.logits as Float32Array
  const width = logits.length / rowSum.length
  return { rows: 1, columns: { logits: logits.subarray(from * width, to * width) }, rowSum: rowSum.subarray(from, to) }
}
