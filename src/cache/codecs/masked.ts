import { DecantError } from '../../errors.js'
import { HALF_MAX } from './half.js'
import { topOf } from './rows.js'

/**
 * A class that a teacher masks, with -Inf or a number like float32's least, is kept as the format's widest gap below the row's top logit: float16's largest number.
 * At T = 20, the highest temperature that a tail is known for, exp(-65504/20) is 0.
 */
export const WIDEST_GAP = HALF_MAX
/** A class at least so far below the top is masked. Sums of the widest gap and a row's top, in float32, and a tail of many masked classes are a little less than that. */
export const MASKED_GAP = 60_000

/** The logits [n, classes], a class further below its row's top than the widest gap raised to it. The same array where there is none. */
export function raiseMasked(logits: Float32Array, classes: number): Float32Array {
  let raised = logits
  for (let from = 0; from < logits.length; from += classes) {
    const top = topOf(logits, from, from + classes)
    const least = Math.fround(top - WIDEST_GAP)
    if (top - least < MASKED_GAP) continue // logits so large that float32 has no such gap below them
    for (let i = from; i < from + classes; i++) {
      if (logits[i]! >= least) continue
      if (raised === logits) raised = logits.slice()
      raised[i] = least
    }
  }
  return raised
}

/** Of a codec whose steps are shares of a row's gaps: a masked class would leave the others no steps. */
export function refuseMasked(widest: number, codec: string): void {
  if (widest >= MASKED_GAP)
    throw new DecantError(
      `codec ${codec} cannot keep a class that is masked (${Math.floor(widest)} below the row's top logit): expected gaps below ${MASKED_GAP}; f32, f16, topk and sampled keep it`,
    )
}

/** Is a class of some row masked? */
export function hasMasked(logits: Float32Array, classes: number): boolean {
  for (let from = 0; from < logits.length; from += classes) {
    const top = topOf(logits, from, from + classes)
    for (let i = from; i < from + classes; i++) if (top - logits[i]! >= MASKED_GAP) return true
  }
  return false
}

/** Of a codec by its name. */
export const keepsMasked = (codec: string): boolean => codec !== 'q8' && !codec.startsWith('hybrid')
