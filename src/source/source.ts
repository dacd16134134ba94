import { stat } from 'node:fs/promises'
import { DecantError } from '../errors.js'
import type { IdColumn } from './ids.js'
import { openIdx } from './idx.js'
import { openImages } from './images.js'
import { type Preprocess, parsePreprocess } from './preprocess.js'

export type { IdColumn } from './ids.js'

/** Some rows of a source. */
export interface Batch {
  /** Index in the source of the first row asked for. */
  first: number
  /** n: rows present (unreadable ones are left out under `onError: 'skip'`). */
  rows: number
  /** n stable ids: the decimal row number for IDX, the path relative to the folder, with '/', for images. */
  ids: IdColumn
  /** int32 [n]; -1 = no label. */
  labels: Int32Array
  /** uint8 [n, height, width, channels], row-major, in an ArrayBuffer of its own (it gets transferred). */
  inputs: Uint8Array
  /** Rows asked for that are not present, in order. */
  skipped: { id: string; reason: string }[]
}

/** Options of {@link Source.batches}. */
export interface BatchOptions {
  /** First source row. Default 0. */
  from?: number
  /** Source row to stop before. Default: all rows. */
  to?: number
  /** Rows of a batch; the last may have fewer. */
  size: number
  /** Aborting makes the iteration throw `signal.reason`. */
  signal?: AbortSignal
  /** An unreadable row ends the iteration with an error that names it (default), or is left out and listed in `skipped`. */
  onError?: 'fail' | 'skip'
}

/** A dataset: rows of images, each with a stable id and perhaps a label. */
export interface Source {
  /** As the user gave it. */
  uri: string
  kind: 'idx' | 'images'
  rows: number
  /** Of one input, after the pixel part of preprocessing. */
  shape: [height: number, width: number, channels: number]
  /** Names by label, where the source has them (directory names, sorted by their bytes). */
  classes: string[] | undefined
  /** The largest label, known before a batch is read: what the teacher's classes are checked against. -1 = no row has a label. */
  topLabel: number
  /** What decodes or resamples the pixels, with its version; undefined where the file's bytes are taken as they are. */
  decoder: string | undefined
  /** SHA-256, hex. IDX: of the decompressed bytes of the image file, then the label file. Images: of one JSON line `[path, size, sha256]` a row. */
  fingerprint: string
  /** Batches of `size` consecutive rows over [from, to), in order, decoding a bounded number ahead. @throws DecantError naming file or row */
  batches(options: BatchOptions): AsyncIterable<Batch>
  /** Rows by source index, in the order given. @throws DecantError naming an unreadable row; RangeError for an index out of range */
  read(rows: ArrayLike<number>): Promise<Batch>
  close(): Promise<void>
}

/**
 * Opens a dataset: an IDX image file (gzip or not; its label file is `labels`, else found beside it as `…-labels-idx1-ubyte[.gz]`, else there are no labels),
 * or a folder of images (a directory per class, or flat). Reads all bytes once: the fingerprint and, for IDX, every check come from that.
 * @throws DecantError if it cannot be read or preprocessing does not fit; FormatError naming file, what was expected and what was found
 */
export async function openSource(
  uri: string,
  options: { preprocess?: Preprocess; labels?: string } = {},
): Promise<Source> {
  const preprocess = options.preprocess ? parsePreprocess(options.preprocess, 'preprocess') : { version: 1 as const }
  const found = await stat(uri).catch((error: NodeJS.ErrnoException) => {
    throw new DecantError(`${uri}: cannot be read: ${error.code ?? error.message}`)
  })
  if (!found.isDirectory()) return openIdx(uri, { preprocess, labels: options.labels })
  if (options.labels)
    throw new DecantError(
      `${uri}: a label file goes with an IDX file, but this is a folder: its directories are the labels`,
    )
  return openImages(uri, preprocess)
}
