import { FormatError } from '../errors.js'
import type { Bytes } from './bytes.js'

/** Where some consecutive records lie in a file of text. */
export interface LineBlock {
  offset: number
  bytes: number
  /** Records. */
  rows: number
  /** 1-based line that the first begins at. */
  line: number
}

const BLOCK = 2 ** 20
/** A record is held in memory. */
const MAX_RECORD_BYTES = 2 ** 26
const [NEWLINE, RETURN, QUOTE] = [10, 13, 34]

/**
 * Finds the records of a text file: lines, or with `quotes` lines whose ends are not inside a pair of " (RFC 4180, 2.6; a doubled quote inside one opens
 * and closes it once more). Empty lines are no records. Records are grouped into blocks of about a megabyte.
 * @throws FormatError: a record of more than 64 MiB (a quote that is never closed)
 */
export async function findRecords(
  bytes: Bytes,
  { quotes, from = 0 }: { quotes: boolean; from?: number },
): Promise<LineBlock[]> {
  const blocks: LineBlock[] = []
  let block: LineBlock = { offset: from, bytes: 0, rows: 0, line: 1 }
  let [line, quoted, start, blank] = [1, false, from, true]
  const end = (at: number) => {
    if (!blank) block.rows++
    block.bytes = at - block.offset
    if (block.bytes >= BLOCK) {
      if (block.rows > 0) blocks.push(block)
      block = { offset: at, bytes: 0, rows: 0, line: line }
    }
    start = at
    blank = true
  }
  for (let position = from; position < bytes.size; position += BLOCK) {
    const chunk = await bytes.read(position, Math.min(BLOCK, bytes.size - position))
    for (let i = 0; i < chunk.length; i++) {
      const byte = chunk[i]!
      if (byte === NEWLINE) {
        line++
        if (!quoted) end(position + i + 1)
      } else {
        if (byte === QUOTE && quotes) quoted = !quoted
        if (byte !== RETURN) blank = false
      }
    }
    if (position + chunk.length - start > MAX_RECORD_BYTES) {
      const why = quoted ? '; is a quote not closed?' : ''
      throw new FormatError(`${bytes.path}: line ${line}: a record of more than ${MAX_RECORD_BYTES} bytes${why}`)
    }
  }
  if (!blank) end(bytes.size)
  if (block.rows > 0) blocks.push(block)
  return blocks
}

/** First rows of the blocks, and after them the number of rows. */
export function startsOf(blocks: LineBlock[]): number[] {
  const starts = [0]
  for (const { rows } of blocks) starts.push(starts.at(-1)! + rows)
  return starts
}
