import type { Inputs } from '../source/index.js'

/** Makes text of token ids. */
export type ToText = (ids: number[]) => Promise<string>

/** What a row of tokens says; the ids themselves where no tokenizer is known. -1 is padding. */
export async function textOf(tokens: Inputs, toText: ToText | null): Promise<string> {
  const ids = Array.from(tokens as Int32Array).filter((id) => id >= 0)
  return toText ? toText(ids) : ids.join(' ')
}

/** The place from 0 below `n` that is nearest to what was typed: a number field takes 1.5, -1 and nothing, too. */
export const placeIn = (text: string, n: number): number => Math.min(n - 1, Math.max(0, Math.round(Number(text)))) || 0
