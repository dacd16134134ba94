import { DecantError } from '../errors.js'
import type { IdsInGraph } from '../onnx/index.js'
import type { Source } from '../source/index.js'

/** What a teacher of tokens is fed where a row has none. */
export interface Padding {
  id: number
  side: 'left' | 'right'
  why: 'as exported' | 'text.pad' | "the tokenizer's" | 'the teacher compares ids with it' | 'default'
}

interface Wishes {
  source: Pick<Source, 'pad' | 'preprocess'>
  /** The id of the export that is run again. */
  exported?: number | undefined
  /** How many ids the teacher knows. */
  vocabulary?: number | undefined
}

/**
 * The id: declared, else the tokenizer's own, else the one that the teacher compares its ids with, else 0.
 * @throws DecantError: the teacher takes another id for padding, or does not know it
 */
export function choosePadding({ padding: compared }: IdsInGraph, wishes: Wishes): Padding {
  const { vocabulary } = wishes
  const wished = wishedBy(wishes)
  if (!wished && compared.length > 1)
    throw new DecantError(
      `the teacher compares its ids with ${compared.join(' and ')}: say with text.pad in the preprocessing which of them is padding`,
    )
  const [own] = compared
  const { id, why } =
    wished ??
    (own === undefined
      ? { id: 0, why: 'default' as const }
      : { id: own, why: 'the teacher compares ids with it' as const })
  if (compared.length > 0 && !compared.includes(id))
    throw new DecantError(
      `the teacher takes id ${compared.join(' or ')} for padding, but it would be fed ${id} (${why}): text.pad in the preprocessing of an export says which`,
    )
  if (vocabulary !== undefined && id >= vocabulary)
    throw new DecantError(
      `the teacher knows the ids 0 to ${vocabulary - 1}, but padding would be ${id} (${why}): text.pad in the preprocessing of an export says which it is`,
    )
  return { id, why, side: wishes.source.preprocess?.text?.padSide ?? 'right' }
}

function wishedBy({ source, exported }: Wishes): Omit<Padding, 'side'> | undefined {
  const { text } = source.preprocess ?? {}
  if (exported !== undefined) return { id: exported, why: 'as exported' }
  const id = typeof text?.pad === 'number' ? text.pad : source.pad
  return id === undefined ? undefined : { id, why: text?.pad === undefined ? "the tokenizer's" : 'text.pad' }
}
