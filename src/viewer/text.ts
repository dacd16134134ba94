import type { Inputs } from '../source/index.js'

/** Makes text of token ids. */
export type ToText = (ids: number[]) => string

/** What a row of tokens says; the ids themselves where no tokenizer is known. -1 is padding. */
export function textOf(tokens: Inputs, toText: ToText | null): string {
  const ids = Array.from(tokens as Int32Array).filter((id) => id >= 0)
  return toText ? toText(ids) : ids.join(' ')
}
