import { DecantError, FormatError } from '../errors.js'
import type { Inputs } from '../source/index.js'
import type { Dataset } from './dataset.js'

/** The largest id and 1; 0 where there is none. @throws FormatError where a token is neither an id nor -1 */
export function countTokens(tokens: Inputs, dir: string): number {
  let [most, least] = [-1, -1]
  for (const token of tokens) {
    if (token > most) most = token
    if (token < least) least = token
  }
  if (least < -1) throw new FormatError(`${dir}: the inputs hold the token ${least}, expected an id, or -1 for padding`)
  return most + 1
}

/** @throws DecantError where the student would be measured on ids that it does not know */
export function checkVocabulary(dataset: Pick<Dataset, 'input' | 'counted'>, evaluation: Dataset | undefined): void {
  if (evaluation?.input.kind !== 'tokens') return
  const [known, found] = [
    dataset.input.vocabulary!,
    countTokens(evaluation.inputs.values, 'the targets to evaluate on'),
  ]
  if (found <= known) return
  const why = dataset.counted
    ? ': neither tokenizer nor teacher say how many there are; text.vocabulary in the preprocessing of an export does'
    : ''
  throw new DecantError(
    `the targets to evaluate on have the token ${found - 1}, the student knows 0 to ${known - 1}${why}`,
  )
}
