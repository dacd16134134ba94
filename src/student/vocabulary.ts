import { FormatError } from '../errors.js'
import type { Inputs } from '../source/index.js'

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
