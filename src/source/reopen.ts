import { checkResampling } from './check-exported.js'
import { compareDecoder } from './compare-decoder.js'
import { parseSourceOptions } from './options.js'
import { parsePreprocess } from './preprocess.js'
import { openSource, type Source } from './source.js'

/** What a manifest says of the source that it was exported from. */
interface Recorded {
  source: { uri: string; options?: unknown }
  preprocess: unknown
  names: readonly string[] | null
  runtime: { decoder?: string | undefined }
}

/**
 * Opens the source that a dataset was exported from, or another one (`uri`), with the preprocessing, columns and classes of the export. Rows that cannot be read
 * are no error: they are not among the targets.
 * @param options.dir the dataset's place, for errors
 * @param options.onNote hears of another library, or version, than decoded for the export
 * @throws see openSource; MismatchError where images are resized otherwise than they were
 */
export async function reopenSource(
  { source, preprocess, names, runtime }: Recorded,
  options: { dir: string; uri?: string | undefined; onNote?: (text: string) => void },
): Promise<Source> {
  const { dir, uri, onNote = () => {} } = options
  const declared = parsePreprocess(preprocess ?? { version: 1 }, `${dir}/manifest.json: preprocess`)
  const { files, classes, ...columns } = parseSourceOptions(source.options, `${dir}/manifest.json: source.options`)
  const numbers = classes?.numbers
  const opened = await openSource(uri ?? files ?? source.uri, {
    attentionMask: false, // where the export took one, the manifest says so
    ...columns,
    ...(classes && { classes: { ...(numbers && { numbers }), ...(classes.names && { names: names ?? [] }) } }),
    preprocess: declared,
    onError: 'skip',
  })
  try {
    checkResampling({ preprocess, runtime }, opened, { dir })
  } catch (error) {
    await opened.close()
    throw error
  }
  const other = compareDecoder(runtime.decoder, opened)
  if (other !== undefined) onNote(other)
  return opened
}
