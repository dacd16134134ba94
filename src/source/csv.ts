import { FormatError } from '../errors.js'
import type { Bytes } from './bytes.js'
import { findRecords, startsOf } from './lines.js'
import { CELL_BYTES, type Table } from './table.js'

const HEAD = 2 ** 20

/**
 * A CSV file (RFC 4180) with a header, UTF-8; `.tsv` is separated by tabs. Cells are strings; an empty one is null.
 * A block is about a megabyte of lines.
 */
export async function openCsv(bytes: Bytes): Promise<Table> {
  const { path } = bytes
  const { parse, CsvError } = await import('csv-parse/sync')
  const delimiter = /\.tsv(\.gz)?$/i.test(path) ? '\t' : ','
  const options = { delimiter, skip_empty_lines: true, record_delimiter: ['\n', '\r\n'], relax_column_count: true }
  /** Field counts are checked here, with the line of the file. */
  const read = (data: Uint8Array, { line, to }: { line: number; to?: number }): string[][] => {
    try {
      return parse(Buffer.from(data.buffer), { ...options, bom: line === 1, ...(to !== undefined && { to }) })
    } catch (error) {
      if (!(error instanceof CsvError)) throw error
      const { lines } = error as unknown as { lines?: number }
      throw new FormatError(`${path}: line ${line - 1 + (lines ?? 1)}: ${error.message}`)
    }
  }
  /** The line that each record ends on; asked for only to say where something is wrong. */
  const linesOf = (data: Uint8Array, line: number): number[] => {
    const records = parse(Buffer.from(data.buffer), { ...options, bom: line === 1, info: true })
    return (records as unknown as { info: { lines: number } }[]).map(({ info }) => line - 1 + info.lines)
  }
  const [header] = read(await bytes.read(0, Math.min(HEAD, bytes.size)), { line: 1, to: 1 })
  if (!header) throw new FormatError(`${path}: empty: expected a header line with the names of the columns`)
  const columns = header.map((name, i) => name || `column ${i + 1}`)
  const twice = columns.find((name, i) => columns.indexOf(name) < i)
  if (twice !== undefined) throw new FormatError(`${path}: the header names '${twice}' twice`)

  const blocks = await findRecords(bytes, { quotes: true })
  blocks[0]!.rows-- // the header
  return {
    path,
    columns,
    starts: startsOf(blocks),
    sha256: bytes.sha256,
    size: bytes.size,
    blockBytes: (index, wanted) => blocks[index]!.bytes + CELL_BYTES * wanted.length * blocks[index]!.rows,
    async block(index, wanted) {
      const { offset, bytes: length, line, rows } = blocks[index]!
      const data = await bytes.read(offset, length)
      const records = read(data, { line })
      const header = index === 0 ? 1 : 0
      const lineOf = (i: number) => linesOf(data, line)[i + header]!
      if (header) records.shift()
      const wrong = records.findIndex((record) => record.length !== columns.length)
      if (wrong >= 0)
        throw new FormatError(
          `${path}: line ${lineOf(wrong)}: ${records[wrong]!.length} fields, the header has ${columns.length}`,
        )
      if (records.length !== rows)
        throw new FormatError(
          `${path}: lines from ${line} on: ${records.length} records, expected ${rows}; are its quotes right?`,
        )
      const places = wanted.map((name) => columns.indexOf(name))
      return { columns: places.map((place) => records.map((record) => record[place] || null)), line: lineOf }
    },
    close: () => bytes.close(),
  }
}
