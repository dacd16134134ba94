import { stat } from 'node:fs/promises'
import pLimit from 'p-limit'
import { DecantError } from '../errors.js'
import type { BufferPool } from './buffers.js'
import { checkClasses, type LabelClasses } from './class-finder.js'
import type { FileRows } from './file-rows.js'
import { dataFiles, expandFiles, kindOf, type TableKind } from './files.js'
import type { IdColumn } from './ids.js'
import { openIdx } from './idx.js'
import { openImages } from './images.js'
import type { SourceOptions } from './options.js'
import { type Preprocess, parsePreprocess } from './preprocess.js'
import { openTables } from './tables.js'
import type { ViewsPlan } from './views/views-plan.js'

export type { IdColumn } from './ids.js'
export type { SourceOptions } from './options.js'

/**
 * What one row is, after the source's part of preprocessing. Tokens: -1 = padding, whatever id the tokenizer pads with.
 */
export type SourceInput =
  | { kind: 'image'; dtype: 'uint8'; shape: [height: number, width: number, channels: number] }
  | { kind: 'features'; dtype: 'float32'; shape: number[] }
  | { kind: 'tokens'; dtype: 'int32'; shape: [length: number] }

/** Inputs of n rows, [n, ...shape] row-major: uint8, float32 or int32 as `SourceInput.dtype` says. */
export type Inputs = Uint8Array | Float32Array | Int32Array

/** Some rows of a source. */
export interface Batch {
  /** Index in the source of the first row asked for. */
  first: number
  /** n: rows present (unreadable ones are left out under `onError: 'skip'`). */
  rows: number
  /** n stable ids: the decimal row number for IDX, the path relative to the folder, with '/', for images, of other files the column `id` or file and row. */
  ids: IdColumn
  /** int32 [n]; -1 = no label. */
  labels: Int32Array
  /** [n, ...shape], of the source's dtype, in an ArrayBuffer of its own (it gets transferred). */
  inputs: Inputs
  /** int32 [n]: which view of its sample each row is; only of a source of views. */
  view?: Int32Array
  /** int32 [n, P]: the parameters of each view; only of a source of views. */
  viewParams?: Int32Array
  /** Rows (of a source of views: samples) asked for that are not present, in order. */
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
  /** Where the batches' `inputs` may be made; a consumer that gives their buffers back spares fresh memory for each. */
  buffers?: BufferPool
  /** false: `inputs` come empty, for a consumer that reads them from `inFile`. */
  inputs?: false
}

/** A dataset: rows of images, numbers or tokens, each with a stable id and perhaps a label. */
export interface Source {
  /** As the user gave it; of several files the first, and how many more. */
  uri: string
  options: SourceOptions
  kind: 'idx' | 'images' | TableKind
  rows: number
  /** Of one row, after the source's part of preprocessing. */
  input: SourceInput
  /** As it was declared: the source applies what makes its rows, and an export what makes the teacher's input of them. Absent: none was. */
  preprocess?: Preprocess | undefined
  /** What makes the views, where a sample is several rows: see `withViews`. */
  views?: ViewsPlan
  /** Names by label, where they are known: as given, else what the files or the directories say. */
  classes: string[] | undefined
  /** The largest label, known before a batch is read: what the teacher's classes are checked against. -1 = no row has a label. */
  topLabel: number
  /** What decodes or resamples the pixels, or makes tokens of texts, with its version; undefined where what the files hold is taken as it is. */
  decoder: string | undefined
  /** Of tokens: the id that `text.pad` says, or else the tokenizer's file, if either does. */
  pad?: number | undefined
  /** Of tokens: how many ids there are, as `text.vocabulary` says, or else the tokenizer's file, if either does; they are 0 to vocabulary - 1. */
  vocabulary?: number | undefined
  /** SHA-256, hex. Files with columns: of one JSON line `[name, size, sha256]` a file, and one of the columns. IDX: of the decompressed bytes of the image file, then the label file. Images: of one JSON line `[path, size, sha256]` a row. */
  fingerprint: string
  /** Where the inputs lie as they are, if they do. */
  inFile?: FileRows | undefined
  /** Batches of `size` consecutive rows over [from, to), in order, decoding a bounded number ahead. @throws DecantError naming file or row */
  batches(options: BatchOptions): AsyncIterable<Batch>
  /** Rows by source index, in the order given. @throws DecantError naming an unreadable row; RangeError for an index out of range */
  read(rows: ArrayLike<number>): Promise<Batch>
  close(): Promise<void>
}

export interface OpenOptions extends Omit<SourceOptions, 'files' | 'classes' | 'attentionMask'> {
  preprocess?: Preprocess
  /** Column of the mask of ids that come ready; false: none, even where `attention_mask` lies beside `input_ids` and would be taken. */
  attentionMask?: string | false
  /** What stands in the labels for each class. */
  classes?: LabelClasses
  /** A label that cannot be read is an error (default), or its row counts as unreadable: see BatchOptions. */
  onError?: 'fail' | 'skip'
}

/** Files whose first bytes are read at once. */
const SNIFFING = 16

/**
 * Opens a dataset. One path or several; a `*` in the last part of a path stands for the files that match, in the order of their names.
 * - a folder of images (a directory per class, or flat), or of data files as below;
 * - an IDX image file, gzip or not; its label file is `labels`, else found beside it as `…-labels-idx1-ubyte[.gz]`, else there are no labels;
 * - files of rows, all of one kind: Parquet, Arrow (Feather, IPC stream), CSV, JSON Lines, NPY, NPZ, WebDataset tar. `input`, `label` and `id` name columns;
 *   the labels of an NPY file are a second one, `labels`.
 * Reads all bytes once: the fingerprint comes from that.
 * @throws DecantError if it cannot be read or preprocessing does not fit; FormatError naming file, row, what was expected and what was found
 */
export async function openSource(uri: string | string[], options: OpenOptions = {}): Promise<Source> {
  const preprocess = options.preprocess && parsePreprocess(options.preprocess, 'preprocess')
  const source = await openRows(uri, { ...options, preprocess: preprocess ?? { version: 1 } })
  return { ...source, ...(preprocess && { preprocess }) }
}

async function openRows(uri: string | string[], options: OpenOptions & { preprocess: Preprocess }): Promise<Source> {
  const uris = typeof uri === 'string' ? [uri] : uri
  const [first] = uris
  if (first === undefined) throw new DecantError('no source is given: expected the path of a file or a folder')
  const { preprocess, onError, classes: given, ...columns } = options
  const classes = checkClasses(given)
  const folder = uris.length === 1 && (await stat(first).catch(() => undefined))?.isDirectory()
  if (folder && (await dataFiles(first)).length === 0) {
    if (options.labels)
      throw new DecantError(
        `${first}: a label file goes with an IDX file, but this is a folder: its directories are the labels`,
      )
    refuseColumns(first, columns)
    return openImages(first, { preprocess, classes })
  }
  const files = await expandFiles(uris)
  const limit = pLimit(SNIFFING) // a source may have more files than a process may open
  const kinds = await Promise.all(files.map((file) => limit(() => kindOf(file))))
  const [kind] = kinds
  const other = kinds.findIndex((one) => one !== kind)
  if (other >= 0)
    throw new DecantError(
      `${files[0]} is ${kind ?? 'IDX'}, ${files[other]} is ${kinds[other] ?? 'not'}: a source is of files of one kind`,
    )
  if (kind === undefined) {
    if (files.length > 1)
      throw new DecantError(`${files[0]}: an IDX file is one source by itself, found ${files.length} files`)
    refuseColumns(first, columns)
    return openIdx(files[0]!, { preprocess, labels: options.labels, classes })
  }
  const name = uris.length > 1 ? `${first} and ${uris.length - 1} more` : first
  return openTables(name, files, { preprocess, kind, skip: onError === 'skip', classes, ...columns })
}

const COLUMN_FLAGS = { input: 'input', label: 'label', id: 'id', attentionMask: 'attention-mask' } as const

function refuseColumns(uri: string, columns: Pick<OpenOptions, keyof typeof COLUMN_FLAGS>): void {
  const flag = (['input', 'label', 'id', 'attentionMask'] as const).find(
    (key) => columns[key] !== undefined && columns[key] !== false,
  )
  if (flag) throw new DecantError(`${uri}: has no columns, so --${COLUMN_FLAGS[flag]} cannot name one`)
}
