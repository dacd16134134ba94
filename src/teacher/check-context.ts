import { compareLogits, type JudgeOptions } from './judge-rows.js'
import type { TeacherOutput } from './run-rows.js'

/**
 * Does a teacher that gives logits at each position of a sequence take positions for rows, [L, N] where [N, L] was meant? Then a row's positions know
 * nothing of each other, as rows should not: the row in reverse gives the same logits in reverse. Asked of a teacher whose rows depend on each other.
 */
export async function takesPositionsForRows(
  tokens: Int32Array,
  options: Pick<JudgeOptions, 'tolerance' | 'least'> & { run(tokens: Int32Array): Promise<TeacherOutput> },
): Promise<boolean> {
  const length = tokens.indexOf(-1) < 0 ? tokens.length : tokens.indexOf(-1)
  const reversed = Int32Array.from(tokens, (token, i) => (i < length ? tokens[length - 1 - i]! : token))
  if (reversed.every((token, i) => token === tokens[i])) return false
  const [there, back] = [await options.run(tokens.slice()), await options.run(reversed)]
  const logits = there.columns.logits as Float32Array
  const width = logits.length / tokens.length
  const turned = new Float32Array(logits.length)
  for (let i = 0; i < length; i++)
    turned.set(logits.subarray((length - 1 - i) * width, (length - i) * width), i * width)
  return compareLogits(back, { ...there, columns: { logits: turned } }, options) === 0
}
