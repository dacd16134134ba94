import { DecantError } from '../errors.js'

/**
 * Soft targets: softmax(z/T), in float64 (Hinton et al. 2015, 1503.02531, equation 1).
 * @param logits z of one row, [C]
 * @param temperature T > 0
 * @returns probabilities [C] that sum to 1
 * @throws DecantError for a temperature that is not a positive number
 */
export function softTargets(logits: ArrayLike<number>, temperature: number): Float64Array {
  if (!(temperature > 0) || !Number.isFinite(temperature)) {
    throw new DecantError(`a temperature is a number above 0, found ${temperature}`)
  }
  let top = Number.NEGATIVE_INFINITY
  for (let c = 0; c < logits.length; c++) top = Math.max(top, logits[c]!)
  const targets = new Float64Array(logits.length)
  let sum = 0
  for (let c = 0; c < logits.length; c++) {
    const weight = Math.exp((logits[c]! - top) / temperature)
    targets[c] = weight
    sum += weight
  }
  for (let c = 0; c < targets.length; c++) targets[c]! /= sum
  return targets
}
