import { parseSourceOptions } from './options.js'
import { parsePreprocess } from './preprocess.js'
import { openSource, type Source } from './source.js'

/** What a manifest says of the source that it was exported from. */
interface Recorded {
  source: { uri: string; options?: unknown }
  preprocess: unknown
  names: readonly string[] | null
}

/**
 * Opens the source that a dataset was exported from, or another one (`uri`), with the preprocessing, columns and classes of the export. Rows that cannot be read
 * are no error: they are not among the targets.
 * @param dir the dataset's place, for errors
 * @throws see openSource
 */
export async function reopenSource(
  { source, preprocess, names }: Recorded,
  { dir, uri }: { dir: string; uri?: string | undefined },
): Promise<Source> {
  const declared = parsePreprocess(preprocess ?? { version: 1 }, `${dir}/manifest.json: preprocess`)
  const { files, classes, ...options } = parseSourceOptions(source.options, `${dir}/manifest.json: source.options`)
  const numbers = classes?.numbers
  return openSource(uri ?? files ?? source.uri, {
    ...options,
    ...(classes && { classes: { ...(numbers && { numbers }), ...(classes.names && { names: names ?? [] }) } }),
    preprocess: declared,
    onError: 'skip',
  })
}
