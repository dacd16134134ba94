import { createHash } from 'node:crypto'
import type { Tokenizer } from '@huggingface/tokenizers'
import { DecantError, FormatError } from '../errors.js'
import { readTokenizer, type TextPreprocess } from './preprocess.js'

/** Writes the tokens of one text into `into`, -1 behind them. */
export type Tokenize = (text: string, into: Int32Array) => void

/** Others the library would take for something else. */
const MODELS = ['BPE', 'Unigram', 'WordLevel', 'WordPiece']
/** The probe that tells which special tokens come before and behind a text. */
const PROBE = 'a'

/**
 * Loads the tokenizer that preprocessing declares. Longer texts are truncated before special tokens are added, as Hugging Face's tokenizers do, so that those stay.
 * The padding and truncation that the file itself may declare are not used: preprocessing declares them.
 * @throws DecantError: cannot be read, or is not the file whose hash was declared; FormatError: not a tokenizer
 */
export async function openTokenizer(text: TextPreprocess & { tokenizer: string }): Promise<Tokenize> {
  const { tokenizer: path, length, truncate = 'right', special = true } = text
  const tokenizer = await loadTokenizer(text)
  const { before, behind } = understand(path, () => surroundings(tokenizer))
  const [front, back] = special ? [before, behind] : [[], []]
  const room = length - front.length - back.length
  if (room < 1)
    throw new DecantError(
      `preprocess: text.length is ${length}, the tokenizer adds ${front.length + back.length} special tokens`,
    )
  return (text, into) => {
    const ids = tokenizer.encode(text, { add_special_tokens: false }).ids
    const odd = ids.findIndex((id: number) => !(Number.isInteger(id) && id >= 0 && id < 2 ** 31))
    if (odd >= 0)
      throw new FormatError(
        `token ${odd} of the text has the id ${ids[odd]}: expected 0 to 2^31 - 1; a word that is not in the vocabulary has none where there is no unknown token`,
      )
    const kept = ids.length <= room ? ids : truncate === 'right' ? ids.slice(0, room) : ids.slice(-room)
    into.fill(-1)
    into.set([...front, ...kept, ...back])
  }
}

/** Makes the function that turns token ids back into text, special tokens left out. @throws as {@link openTokenizer} does */
export async function openDetokenizer(
  text: Pick<TextPreprocess, 'sha256'> & { tokenizer: string },
): Promise<(ids: number[]) => string> {
  const tokenizer = await loadTokenizer(text)
  return (ids) => (ids.length > 0 ? tokenizer.decode(ids, { skip_special_tokens: true }) : '')
}

async function loadTokenizer({
  tokenizer: path,
  sha256,
}: Pick<TextPreprocess, 'sha256'> & { tokenizer: string }): Promise<Tokenizer> {
  const bytes = await readTokenizer(path)
  const found = createHash('sha256').update(bytes).digest('hex')
  if (sha256 === undefined)
    throw new DecantError(`preprocess: text.sha256 is missing; readPreprocess fills it in (${path} has ${found})`)
  if (found !== sha256) throw new DecantError(`${path}: its SHA-256 is ${found}, the preprocessing declares ${sha256}`)
  const { Tokenizer } = await import('@huggingface/tokenizers')
  return understand(path, () => {
    const { model, ...rest } = JSON.parse(bytes.toString('utf8')) as { model?: { type?: string; unk_token?: string } }
    if (!MODELS.includes(model?.type ?? ''))
      throw new Error(`a model of type ${model?.type}, expected ${MODELS.join(', ')}`)
    // the library takes the unknown token of whole words from a second file
    return new Tokenizer({ model, ...rest }, { unk_token: model?.unk_token })
  })
}

/** Does what throws where the file is no tokenizer. */
function understand<T>(path: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw new FormatError(`${path}: not a tokenizer.json: ${String((error as Error).message ?? error).split('\n')[0]}`)
  }
}

function surroundings(tokenizer: {
  encode(text: string, options: { add_special_tokens: boolean }): { ids: number[] }
}) {
  const bare = tokenizer.encode(PROBE, { add_special_tokens: false }).ids
  const full = tokenizer.encode(PROBE, { add_special_tokens: true }).ids
  if (bare.length === 0 && full.length > 0)
    throw new Error(`where its special tokens go cannot be told: its vocabulary has no '${PROBE}'`)
  for (let at = 0; at + bare.length <= full.length; at++)
    if (bare.every((id, i) => full[at + i] === id))
      return { before: full.slice(0, at), behind: full.slice(at + bare.length) }
  throw new Error('its special tokens are not around the text')
}
