import type { Plan } from '../cache/index.js'
import type { Preprocess, Source } from '../source/index.js'
import type { LoadedTeacher } from './load-teacher.js'

/**
 * What a manifest says of the preprocessing of tokens: as declared, with the id that the teacher was fed at padding, unless that is 0 and nobody
 * declared it, and with how many ids there are, by the tokenizer or else by the teacher, where either tells and they are not the classes of a language
 * model. An unfinished export that does not say so goes on as it is.
 */
export function recordTokens(
  source: Pick<Source, 'input' | 'preprocess' | 'vocabulary'>,
  options: {
    teacher: Pick<LoadedTeacher, 'padding' | 'vocabulary' | 'positions'>
    classes: number
    /** The plan that an unfinished export in the folder has. */
    before: Plan | undefined
  },
): Preprocess | undefined {
  const { teacher, classes, before } = options
  const { input, preprocess } = source
  if (input.kind !== 'tokens') return preprocess
  const vocabulary = source.vocabulary ?? teacher.vocabulary
  const isImplied = teacher.positions !== undefined && vocabulary === classes
  const isOlder = before && (before.preprocess as Preprocess | null)?.text?.vocabulary === undefined
  const found = {
    ...(teacher.padding &&
      (teacher.padding.id !== 0 || preprocess?.text?.pad !== undefined) && { pad: teacher.padding.id }),
    ...(vocabulary !== undefined && !isImplied && !isOlder && { vocabulary }),
  }
  if (Object.keys(found).length === 0) return preprocess
  return { version: 1, ...preprocess, text: { length: input.shape[0], ...preprocess?.text, ...found } }
}
