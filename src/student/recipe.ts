import { MismatchError } from '../errors.js'
import type { Dataset } from './dataset.js'
import { checkProvenance, type Provenance } from './folder.js'
import { isPath } from './module.js'

/**
 * What decant makes of a config: the number grows where the same config gives another student. Of recipe 1, which student.json does not
 * name, the mean of the cross-entropy was over all rows, those without a label being 0; since recipe 2 it is over the rows that have one.
 */
export const RECIPE = 2

/**
 * The provenance of a student that is gone on with: the one that is asked for; where an older decant began it, by its recipe, where that comes to the
 * same.
 * @param found what `path` says of the student in it
 * @throws MismatchError where it is another one, or of a recipe that decant does not follow any more
 */
export function continueStudent(path: string, found: unknown, { asked, dataset }: Continued): Provenance {
  const { recipe = 1 } = (found ?? {}) as Partial<Provenance>
  const provenance = recipe === 1 ? byRecipe1(path, { asked, dataset }) : asked
  checkProvenance(path, found, provenance)
  return provenance
}

function byRecipe1(path: string, { asked, dataset }: Continued): Provenance {
  if (!isPath(asked.config.method) && isPartlyLabelled(dataset))
    throw new MismatchError(`${path} is of a student that an older decant began:`, [
      `recipe: 1, whose cross-entropy is a mean over all rows, expected ${RECIPE}, over those that have a label: train it anew in another folder`,
    ])
  const { recipe: _, ...rest } = asked
  return rest
}

interface Continued {
  /** What a student of today's recipe would be. */
  asked: Provenance
  dataset: Pick<Dataset, 'labels' | 'lengths' | 'positions'>
}

/** Whether some rows have a label and others none, padding of sequences aside. */
function isPartlyLabelled({ labels, lengths, positions }: Continued['dataset']): boolean {
  const counted = labels.filter((_, i) => !lengths || i % positions < lengths[Math.floor(i / positions)]!)
  return counted.some((label) => label < 0) && counted.some((label) => label >= 0)
}
