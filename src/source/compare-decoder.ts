import type { Source } from './source.js'

/** What made tokens of texts before manifests said so. */
const FIRST_TOKENIZERS = '@huggingface/tokenizers 0.2.0'

/**
 * What to tell of a source that is read by another library, or version, than when a dataset was exported from it; undefined where it is the same.
 * @param recorded the manifest's `runtime.decoder`
 */
export function compareDecoder(
  recorded: string | undefined,
  { decoder, input, uri }: Pick<Source, 'decoder' | 'input' | 'uri'>,
): string | undefined {
  if (decoder === recorded) return undefined
  const tokens = input.kind === 'tokens'
  const [before, now] = [recorded ?? (tokens ? FIRST_TOKENIZERS : 'nothing'), decoder ?? 'nothing']
  const what = tokens ? 'texts may have other token ids' : 'pixels may differ'
  return `${uri}: decoded by ${before} when it was exported, by ${now} now: ${what}; decant verify --teacher tells whether the teacher still says the same`
}
