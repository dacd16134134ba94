import { DecantError } from '../errors.js'
import type { Dataset } from './dataset.js'
import { describeInput } from './inputs.js'
import { countTokens } from './vocabulary.js'

/** @throws DecantError where the targets to evaluate on are of other inputs or classes than those to train on */
export function checkDatasets(dataset: Dataset, evaluation: Dataset | undefined): void {
  if (!evaluation) return
  // The layout is the teacher's: students take images as they lie. A row's length is in its shape, and of its ids those that are there are looked at.
  const form = ({ input, classes, preprocess: { layout, text, ...preprocess } }: Dataset) => {
    const { length, vocabulary, ...own } = text ?? {}
    return `${describeInput(input)}, ${classes} classes, preprocessing ${JSON.stringify({ ...preprocess, ...own })}`
  }
  if (form(evaluation) !== form(dataset)) {
    throw new DecantError(
      `the targets to evaluate on are of another kind: expected ${form(dataset)}, found ${form(evaluation)}`,
    )
  }
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
