import { createHash } from 'node:crypto'
import { DecantError, FormatError } from '../errors.js'
import { readInput } from '../input-file.js'
import { parseJson } from '../json.js'
import { show } from './labels.js'

/** A tokenizer.json, as far as it is understood here; what makes ids of text reads its `json`. */
export interface TokenizerFile {
  path: string
  /** SHA-256 of its bytes, hex. */
  sha256: string
  json: string
  /** The id that the file itself pads with, where it has a padding entry. */
  padding: number | undefined
  /** Its largest id and 1. */
  vocabulary: number
  /** The id of a token; undefined where the vocabulary does not have it. */
  idOf(token: string): number | undefined
}

/** Bytes of a file. The largest in use, of 256,000 tokens, have 35 MB; it is read whole into memory, twice. */
const MAX_BYTES = 256 * 2 ** 20
/** Ids are kept as int32. */
const MAX_ID = 2 ** 31 - 1

/** What is looked at of a tokenizer.json (Hugging Face tokenizers, version 1.0). Of Unigram the vocabulary is a list of [token, score], else ids by token. */
interface Content {
  padding?: { pad_id?: unknown; pad_token?: unknown } | null
  added_tokens?: { id?: unknown; content?: unknown }[] | null
  model?: { vocab?: unknown; dropout?: unknown } | null
}

/**
 * Reads a tokenizer.json. Whether its parts make a tokenizer is for the library to say ({@link startTokenizer}).
 * @throws DecantError: cannot be read, or gives other ids each time; FormatError: too large, not JSON, or contradicts itself
 */
export async function readTokenizerFile(path: string): Promise<TokenizerFile> {
  const bytes = await readBounded(path)
  const { json, content } = parse(bytes, path)
  const dropout = content.model?.dropout
  if (typeof dropout === 'number' && dropout !== 0)
    throw new DecantError(
      `${path}: model.dropout is ${dropout}: a text has other ids each time; set it to null, as for inference`,
    )
  const idOf = (token: string) => lookUp(content, token)
  return {
    path,
    sha256: createHash('sha256').update(bytes).digest('hex'),
    json,
    padding: paddingOf(content, idOf, path),
    vocabulary: countIds(content),
    idOf,
  }
}

async function readBounded(path: string): Promise<Buffer> {
  try {
    return await readInput(path, MAX_BYTES)
  } catch (error) {
    if (error instanceof DecantError) throw error
    const { code, message } = error as NodeJS.ErrnoException
    throw new DecantError(`${path}: cannot read the tokenizer: ${code ?? message}`)
  }
}

function parse(bytes: Buffer, path: string): { json: string; content: Content } {
  let json: string
  try {
    json = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (error) {
    throw notTokenizer(path, (error as Error).message)
  }
  const content = parseJson(json, `${path}: not a tokenizer.json`, { anyKey: true }) // any text may be a token
  if (typeof content !== 'object' || content === null)
    throw notTokenizer(path, `expected an object, found ${show(content)}`)
  return { json, content }
}

function countIds({ added_tokens: added, model }: Content): number {
  const vocab = model?.vocab
  let most = -1
  const count = (id: unknown) => {
    if (isId(id) && id > most) most = id
  }
  if (Array.isArray(vocab)) count(vocab.length - 1)
  else if (typeof vocab === 'object' && vocab !== null) Object.values(vocab).forEach(count)
  if (Array.isArray(added)) for (const one of added) count(one?.id)
  return most + 1
}

function lookUp({ added_tokens: added, model }: Content, token: string): number | undefined {
  const own = Array.isArray(added) ? added.find((one) => one?.content === token)?.id : undefined
  const vocab = model?.vocab
  const id =
    own ??
    (Array.isArray(vocab)
      ? vocab.findIndex((piece) => Array.isArray(piece) && piece[0] === token)
      : typeof vocab === 'object' && vocab !== null && Object.hasOwn(vocab, token)
        ? (vocab as Record<string, unknown>)[token]
        : undefined)
  return isId(id) ? id : undefined
}

function paddingOf({ padding }: Content, idOf: TokenizerFile['idOf'], path: string): number | undefined {
  if (padding === null || padding === undefined) return undefined
  const { pad_id: id, pad_token: token } = padding
  if (!isId(id)) throw notTokenizer(path, `padding.pad_id: expected an id, found ${show(id)}`)
  const named = typeof token === 'string' ? idOf(token) : undefined
  if (named !== undefined && named !== id)
    throw new FormatError(
      `${path}: padding says id ${id} and token ${show(token)}, which has id ${named}: correct the file`,
    )
  return id
}

const isId = (id: unknown): id is number => Number.isInteger(id) && (id as number) >= 0 && (id as number) <= MAX_ID

/** `why` may have several lines, of which the first says it. */
export const notTokenizer = (path: string, why: string): FormatError =>
  new FormatError(`${path}: not a tokenizer.json: ${why.split('\n')[0]}`)
