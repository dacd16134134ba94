import type { Categories } from './categories.js'

/**
 * One file of rows with named columns, read block by block. A block is what the format reads at once: a row group, a record batch, a megabyte of lines;
 * it bounds the memory that reading takes.
 */
export interface Table {
  path: string
  columns: string[]
  /** Ascending; block b holds rows starts[b] .. starts[b + 1] - 1. The last entry is the number of rows. */
  starts: number[]
  /** SHA-256 of the file's bytes (after gzip), and how many. */
  sha256: string
  size: number
  /** About what those columns of a block take in memory. */
  blockBytes(index: number, columns: string[]): number
  /** What each row of a column of arrays is, where the format says it. Its cells are lists of all their numbers, row-major, Uint8Arrays where those are bytes; of rank 0 numbers. */
  arrayOf?(column: string): ArrayType | undefined
  /** No column holds objects: a dot in a name leads into none. */
  noKeys?: true
  /** The column that a name means, where the format lets it be written otherwise. */
  find?(name: string): string | undefined
  /** What is taken where nobody says it. */
  usual?: { input: string | undefined; label: string | undefined }
  /** Names of integer labels, where the format says them (the ClassLabel of Hugging Face's schema metadata). */
  classNames?(column: string): string[] | undefined
  /** The categories of a column of text, where the file says that they have an order. @throws FormatError where it does not say which */
  categories?(column: string): Promise<Categories | undefined>
  /** The columns asked for, in the order asked for, of one block. @throws FormatError */
  block(index: number, columns: string[]): Promise<Block>
  /** The same of single rows of a block, ascending, where the format reads them without the rest. */
  pick?(index: number, rows: number[], columns: string[]): Promise<Block>
  close(): Promise<void>
}

export interface ArrayType {
  kind: 'bool' | 'uint' | 'int' | 'float'
  /** Bytes of an element. */
  size: number
  /** Of one row. */
  shape: number[]
}

/** Cells by column: string, number, bigint, boolean, Uint8Array, typed array, list, object or null; one that cannot be read is a DecantError that says why, but not where. */
export interface Block {
  columns: ArrayLike<unknown>[]
  /** 1-based line of row i in the file, where it has lines. */
  line?(i: number): number
}

/** Whether a cell is a list, or an array, of values. */
export const isList = (cell: unknown): cell is ArrayLike<unknown> =>
  Array.isArray(cell) || (ArrayBuffer.isView(cell) && !(cell instanceof DataView))

/** Bytes of decoded cells that a block may hold, where the format leaves it to us. */
export const BLOCK_BYTES = 8 * 2 ** 20

/** What a cell takes beside its content: a string's head, a place in a list. */
export const CELL_BYTES = 32

/** Blocks of equal rows: `starts` for tables whose rows are of one size. */
export function evenStarts(rows: number, rowBytes: number): number[] {
  const step = Math.max(1, Math.min(4096, Math.floor(BLOCK_BYTES / Math.max(1, rowBytes))))
  const starts: number[] = []
  for (let row = 0; row < rows; row += step) starts.push(row)
  return [...starts, rows]
}
