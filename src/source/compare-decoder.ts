import { MismatchError } from '../errors.js'
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

/** What a manifest says of pixels. */
interface Exported {
  preprocess: unknown
  runtime: { decoder?: string | undefined }
}

/**
 * Refuses a source whose images are resized in another way than when a dataset was exported from it: a student would see other pixels than its teacher.
 * @param options.dir the dataset's place, for the error
 * @throws MismatchError
 */
export function checkResampling(
  { preprocess, runtime }: Exported,
  { decoder, uri }: Pick<Source, 'decoder' | 'uri'>,
  options: { dir: string },
): void {
  if (runtime.decoder === undefined || !(preprocess as { resize?: unknown } | null)?.resize) return
  const [before, now] = [runtime.decoder, decoder ?? ''].map((text) => /decant resampling \d+/.exec(text)?.[0])
  if (before === now) return
  throw new MismatchError(
    `${uri}: its images were resized otherwise when ${options.dir} was exported, so these are not the pixels that the teacher saw; export it again, or use a dataset that stores its inputs (--store-inputs):`,
    [`resized by: ${before ?? runtime.decoder}, found ${now ?? 'nothing'}`],
  )
}
