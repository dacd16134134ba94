import { DecantError, FormatError } from '../errors.js'
import type { CellReader } from './cells.js'
import { show } from './labels.js'
import type { TextPreprocess } from './preprocess.js'
import { isList } from './table.js'
import { openTokenizer } from './tokenize.js'

/** Texts read at once: what one message to the tokenizer's process carries. */
const TEXTS_AT_ONCE = 256
const MAX_ID = 2 ** 31 - 1

/** Rows of tokens, int32 [length], the valid ones first and -1 behind them: made of texts, or of lists of ids, beside which may be their mask. */
export async function readTokens(text: TextPreprocess, { masked }: { masked: boolean }): Promise<CellReader> {
  const { tokenizer, length, truncate = 'right' } = text
  const input = { kind: 'tokens', dtype: 'int32', shape: [length] } satisfies CellReader['input']
  if (tokenizer !== undefined) {
    if (masked)
      throw new DecantError(
        'preprocess: text.tokenizer makes ids of texts: an attention mask goes with ids that come ready',
      )
    const { library, pad, vocabulary, tokenize, close } = await openTokenizer({ ...text, tokenizer })
    return {
      input,
      decoder: library,
      pad,
      vocabulary: text.vocabulary ?? vocabulary,
      atOnce: TEXTS_AT_ONCE,
      async read([cell], into) {
        if (typeof cell !== 'string') throw new FormatError(`expected text, found ${show(cell)}`)
        await tokenize(cell, into as Int32Array)
      },
      close,
    }
  }
  const { pad } = text
  if (typeof pad === 'string')
    throw new DecantError(`preprocess: text.pad is ${show(pad)}: without a tokenizer expected the id of it`)
  return {
    input,
    decoder: undefined,
    pad,
    vocabulary: text.vocabulary,
    atOnce: 1,
    read([cell, mask], into) {
      const ids = numbersOf(cell, 'token ids')
      const { from, to } = masked ? spanByMask(ids, numbersOf(mask, 'an attention mask of 0 and 1')) : spanBySign(ids)
      const kept =
        truncate === 'left' ? ids.slice(Math.max(from, to - length), to) : ids.slice(from, Math.min(to, from + length))
      into.fill(-1)
      into.set(kept)
    },
  }
}

interface Span {
  /** The tokens are those of [from, to). */
  from: number
  to: number
}

/** Of ids without a mask: negative ones behind the tokens are padding. */
function spanBySign(ids: number[]): Span {
  const end = ids.findIndex((id) => id < 0)
  if (end < 0) return { from: 0, to: ids.length }
  const token = ids.findIndex((id, i) => i > end && id >= 0)
  if (token >= 0)
    throw new FormatError(
      `id ${ids[end]} at place ${end}, before the token ${ids[token]} at place ${token}: without a mask padding is expected behind all tokens; --attention-mask names the column of the mask`,
    )
  return { from: 0, to: end }
}

/** Of ids with a mask: the tokens are where it is 1, one after another, whichever side the padding is on. */
function spanByMask(ids: number[], mask: number[]): Span {
  if (mask.length !== ids.length)
    throw new FormatError(`${ids.length} token ids with an attention mask of ${mask.length}`)
  const odd = mask.findIndex((value) => value !== 0 && value !== 1)
  if (odd >= 0) throw new FormatError(`attention mask ${mask[odd]} at place ${odd}, expected 0 or 1`)
  const from = Math.max(0, mask.indexOf(1))
  const to = mask.lastIndexOf(1) + 1
  const gap = mask.indexOf(0, from)
  if (gap >= 0 && gap < to)
    throw new FormatError(
      `attention mask 0 at place ${gap}, between the tokens at ${from} and ${to - 1}: expected padding before the tokens or behind them`,
    )
  const negative = ids.findIndex((id, i) => id < 0 && i >= from && i < to)
  if (negative >= 0) throw new FormatError(`id ${ids[negative]} at place ${negative}, where the attention mask is 1`)
  return { from, to }
}

function numbersOf(cell: unknown, what: string): number[] {
  if (!isList(cell)) throw new FormatError(`expected a list of ${what}, found ${show(cell)}`)
  return Array.from(cell, (one) => {
    const value =
      typeof one === 'number' || typeof one === 'bigint' || typeof one === 'boolean' ? Number(one) : Number.NaN
    if (!(Number.isInteger(value) && value <= MAX_ID))
      throw new FormatError(`expected ${what}, found ${show(one)} among them`)
    return value
  })
}
