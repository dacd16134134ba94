import { MismatchError } from '../errors.js'
import { type Preprocess, parsePreprocess } from './preprocess.js'
import type { Source } from './source.js'

/** What a manifest says of the source that was exported. */
interface Exported {
  source: { uri: string; fingerprint: string; rows: number }
  preprocess: unknown
  runtime: { decoder?: string | undefined }
}

/**
 * Refuses a source whose rows are not those that a dataset was exported from: other files, or other pixels or tokens of them.
 * @param options.dir the dataset's place, for errors
 * @throws MismatchError
 */
export function checkExported(manifest: Exported, source: Source, { dir }: { dir: string }): void {
  const { fingerprint, uri, rows } = manifest.source
  if (source.fingerprint !== fingerprint)
    throw new MismatchError(`${source.uri} is not the source that ${dir} was exported from:`, [
      `fingerprint: ${fingerprint} (${uri}), found ${source.fingerprint}`,
      `rows: ${rows}, found ${source.rows}`,
    ])
  const exported = parsePreprocess(manifest.preprocess ?? { version: 1 }, `${dir}/manifest.json: preprocess`)
  const [before, now] = [rowPart(exported, source), rowPart(source.preprocess, source)]
  const differences = Object.keys(before).filter((key) => before[key] !== now[key])
  if (differences.length > 0)
    throw new MismatchError(
      `${source.uri} was opened with another preprocessing than ${dir} was exported with, so its rows are not those that the teacher saw; open it with the one in manifest.json:`,
      differences.map((key) => `preprocess.${key}: ${before[key] ?? 'absent'}, found ${now[key] ?? 'absent'}`),
    )
  checkResampling(manifest, source, { dir })
}

/** The part of a preprocessing that makes a source's rows, as JSON by key. What becomes of them after that is between an export and its teacher. */
function rowPart(
  { color, resize, crop, text }: Omit<Preprocess, 'version'> = {},
  { input }: Pick<Source, 'input'>,
): Record<string, string | undefined> {
  // the ids of a table of arrays need no declaration, and the path of a tokenizer may be another
  const tokens = input.kind === 'tokens' ? { length: input.shape[0], ...text } : undefined
  const { length, truncate, special, sha256 } = tokens ?? {}
  const parts = { color, resize, crop, text: tokens && { length, truncate, special, sha256 } }
  return Object.fromEntries(Object.entries(parts).map(([key, part]) => [key, JSON.stringify(part)]))
}

/**
 * Refuses a source whose images are resized in another way than when a dataset was exported from it: a student would see other pixels than its teacher.
 * @param options.dir the dataset's place, for the error
 * @throws MismatchError
 */
export function checkResampling(
  { preprocess, runtime }: Pick<Exported, 'preprocess' | 'runtime'>,
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
