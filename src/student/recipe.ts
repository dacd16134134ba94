import { MismatchError } from '../errors.js'
import type { Dataset } from './dataset.js'
import { checkProvenance, type Provenance } from './folder.js'
import { isPath } from './module.js'
import { countTokens } from './vocabulary.js'

/**
 * What decant makes of a config: the number grows where the same config gives another student. Of recipe 1, which student.json does not
 * name, the mean of the cross-entropy was over all rows, those without a label being 0, and a student of tokens knew the ids up to the largest that it
 * was trained on; since recipe 2 the mean is over the rows that have a label, and the vocabulary is the tokenizer's or the teacher's.
 */
export const RECIPE = 2

/**
 * What a student that is gone on with is made from: what is asked for; where an older decant began it, by its recipe, where that can be followed.
 * @param found the provenance that `path` has of the student in it
 * @throws MismatchError where it is another one, or of a recipe that is not followed any more
 */
export function continueStudent(path: string, found: unknown, asked: Ingredients): Ingredients {
  const { recipe = 1 } = (found ?? {}) as Partial<Provenance>
  const made = recipe === 1 ? byRecipe1(path, asked) : asked
  checkProvenance(path, found, made.provenance)
  return made
}

function byRecipe1(path: string, { provenance, dataset }: Ingredients): Ingredients {
  if (!isPath(provenance.config.method) && isPartlyLabelled(dataset))
    throw new MismatchError(`${path} is of a student that an older decant began:`, [
      `recipe: 1, whose cross-entropy is a mean over all rows, expected ${RECIPE}, over those that have a label: train it anew in another folder`,
    ])
  const { recipe: _, vocabulary: __, ...rest } = provenance
  const { input, inputs } = dataset
  if (input.kind !== 'tokens') return { provenance: rest, dataset }
  const vocabulary = countTokens(inputs.values, path)
  return { provenance: rest, dataset: { ...dataset, input: { ...input, vocabulary } } }
}

interface Ingredients {
  provenance: Provenance
  dataset: Dataset
}

/** Whether some rows have a label and others none, padding of sequences aside. */
function isPartlyLabelled({ labels, lengths, positions }: Dataset): boolean {
  const counted = labels.filter((_, i) => !lengths || i % positions < lengths[Math.floor(i / positions)]!)
  return counted.some((label) => label < 0) && counted.some((label) => label >= 0)
}
