import type { Tokenizer } from 'tokenizers'

/** The first message to the process: the tokenizer, and what it is for. */
export type TokenizerTask = { json: string } & (
  | { work: 'encode'; length: number; truncate: 'left' | 'right'; special: boolean }
  | { work: 'decode' }
)

/** The answer to it. `added`: special tokens of each text. */
export type TokenizerReady =
  | { kind: 'ready'; added: number }
  /** The library does not run on this machine. */
  | { kind: 'missing'; reason: string }
  | { kind: 'refused'; reason: string }

/** The answer to each later message, a list of texts (or of lists of ids): the ids of each (or its text), or why it has none. */
export type Answer<T> = { value: T } | { reason: string }

let answer: (questions: never[]) => Promise<Answer<unknown>[]>

process.on('message', async (message: TokenizerTask | never[]) => {
  process.send!(Array.isArray(message) ? await answer(message) : await load(message))
})
process.on('disconnect', () => process.exit())
// Of Ctrl-C the whole group of a terminal hears; when this process ends is for its parent to say.
process.on('SIGINT', () => {})

async function load(task: TokenizerTask): Promise<TokenizerReady> {
  const library = await import('tokenizers').catch((error: Error) => error)
  if (library instanceof Error) return { kind: 'missing', reason: library.message }
  try {
    const tokenizer = library.Tokenizer.fromString(task.json)
    tokenizer.disablePadding()
    tokenizer.disableTruncation()
    if (task.work === 'decode') {
      answer = (lists: number[][]) => decode(tokenizer, lists)
      return { kind: 'ready', added: 0 }
    }
    const { length, truncate: direction, special: addSpecialTokens } = task
    const countEmpty = async (options: object) => (await tokenizer.encode('', null, options)).getLength()
    const added = (await countEmpty({ addSpecialTokens })) - (await countEmpty({ addSpecialTokens: false }))
    // The library subtracts the special tokens from the length without looking whether there is room for them.
    if (added < length) tokenizer.setTruncation(length, { direction })
    answer = (texts: string[]) => encode(tokenizer, texts, { addSpecialTokens })
    return { kind: 'ready', added }
  } catch (error) {
    return { kind: 'refused', reason: (error as Error).message }
  }
}

async function encode(
  tokenizer: Tokenizer,
  texts: string[],
  options: { addSpecialTokens: boolean },
): Promise<Answer<Uint32Array>[]> {
  try {
    const encodings = await tokenizer.encodeBatch(texts, options)
    return encodings.map((encoding) => ({ value: Uint32Array.from(encoding.getIds()) }))
  } catch (error) {
    if (texts.length === 1) return [{ reason: (error as Error).message }]
    return (await Promise.all(texts.map((text) => encode(tokenizer, [text], options)))).flat()
  }
}

const decode = (tokenizer: Tokenizer, lists: number[][]): Promise<Answer<string>[]> =>
  Promise.all(
    lists.map((ids) =>
      tokenizer.decode(ids, true).then(
        (value) => ({ value }),
        (error: Error) => ({ reason: error.message }),
      ),
    ),
  )
