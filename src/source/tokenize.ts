import { DecantError, FormatError } from '../errors.js'
import { show } from './labels.js'
import type { TextPreprocess } from './preprocess.js'
import { startTokenizer, tokenizerLibrary } from './start-tokenizer.js'
import { readTokenizerFile, type TokenizerFile } from './tokenizer-file.js'

/** What makes tokens of texts. */
export interface Tokenizer {
  /** Library and version: another may give other ids. */
  library: string
  /** The id that was declared for padding, else the file's own, if there is one. */
  pad: number | undefined
  /** How many ids the file has: 0 to vocabulary - 1. */
  vocabulary: number
  /** Writes the tokens of one text into `into`, int32 [length], -1 behind them. @throws FormatError that says why it has none, and not where it is */
  tokenize(text: string, into: Int32Array): Promise<void>
  close(): void
}

/** What makes texts of tokens. */
export interface Detokenizer {
  /** Special tokens are left out. */
  toText(ids: number[]): Promise<string>
  close(): void
}

type Declared = TextPreprocess & { tokenizer: string }

/**
 * Loads the tokenizer that preprocessing declares. Longer texts are truncated before special tokens are added, so that those stay.
 * The padding and truncation that the file itself may declare are not used: preprocessing declares them.
 * @throws DecantError: cannot be read, or is not the file whose hash was declared; FormatError: not a tokenizer; UnavailableError: not on this machine
 */
export async function openTokenizer(text: Declared): Promise<Tokenizer> {
  const { length, truncate = 'right', special = true } = text
  const file = await readDeclared(text)
  const pad = typeof text.pad === 'string' ? file.idOf(text.pad) : (text.pad ?? file.padding)
  if (text.pad !== undefined && pad === undefined)
    throw new DecantError(`preprocess: text.pad is ${show(text.pad)}, a token that ${file.path} does not have`)
  const task = { json: file.json, work: 'encode', length, truncate, special } as const
  const running = await startTokenizer<string, Uint32Array>(file.path, task)
  if (running.added >= length) {
    running.close()
    throw new DecantError(`preprocess: text.length is ${length}, the tokenizer adds ${running.added} special tokens`)
  }
  return {
    library: tokenizerLibrary,
    pad,
    vocabulary: file.vocabulary,
    async tokenize(text, into) {
      if (LONE_SURROGATE.test(text)) throw new FormatError('the text has half of a surrogate pair: it is not Unicode')
      const ids = await running.ask(text)
      if (ids.length > length)
        throw new FormatError(`${ids.length} tokens where ${length} have room: ${file.path} repeats the text`)
      const odd = ids.findIndex((id) => id >= 2 ** 31)
      if (odd >= 0) throw new FormatError(`token ${odd} of the text has the id ${ids[odd]}: expected 0 to 2^31 - 1`)
      into.fill(-1)
      into.set(ids)
    },
    close: running.close,
  }
}

/** What UTF-8 cannot hold. Rust would see a replacement character, Python refuses it. */
const LONE_SURROGATE = /\p{Surrogate}/u

/** @throws as {@link openTokenizer} does */
export async function openDetokenizer(text: Pick<Declared, 'tokenizer' | 'sha256'>): Promise<Detokenizer> {
  const file = await readDeclared(text)
  const running = await startTokenizer<number[], string>(file.path, { json: file.json, work: 'decode' })
  return { toText: async (ids) => (ids.length > 0 ? running.ask(ids) : ''), close: running.close }
}

async function readDeclared({
  tokenizer: path,
  sha256,
}: Pick<Declared, 'tokenizer' | 'sha256'>): Promise<TokenizerFile> {
  const file = await readTokenizerFile(path)
  if (sha256 === undefined)
    throw new DecantError(`preprocess: text.sha256 is missing; readPreprocess fills it in (${path} has ${file.sha256})`)
  if (file.sha256 !== sha256)
    throw new DecantError(`${path}: its SHA-256 is ${file.sha256}, the preprocessing declares ${sha256}`)
  return file
}
