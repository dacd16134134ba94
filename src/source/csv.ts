import { FormatError } from '../errors.js'
import type { Bytes } from './bytes.js'
import { findRecords, startsOf } from './lines.js'
import type { Table } from './table.js'

const HEAD = 2 ** 20

/**
 * A CSV file (RFC 4180) with a header, UTF-8; `.tsv` is separated by tabs. Cells are strings; an empty one that is not quoted is null.
 * A block is about a megabyte of lines.
 */
export async function openCsv(bytes: Bytes): Promise<Table> {
  const { path } = bytes
  const { parse, CsvError } = await import('csv-parse/sync')
  const delimiter = /\.tsv(\.gz)?$/i.test(path) ? '\t' : ','
  const read = (data: Uint8Array, options: { line: number; to?: number; columns?: number }) => {
    try {
      return parse(Buffer.from(data), {
        delimiter,
        info: true,
        bom: options.line === 1,
        skip_empty_lines: true,
        record_delimiter: ['\n', '\r\n'],
        relax_column_count: true, // counted here, with the line of the file
        cast: (value, { quoting }) => (value === '' && !quoting ? null : value),
        ...(options.to !== undefined && { to: options.to }),
      }) as unknown as { record: (string | null)[]; info: { lines: number } }[]
    } catch (error) {
      if (!(error instanceof CsvError)) throw error
      const { lines } = error as unknown as { lines?: number }
      throw new FormatError(`${path}: line ${options.line - 1 + (lines ?? 1)}: ${error.message}`)
    }
  }
  const [header] = read(await bytes.read(0, Math.min(HEAD, bytes.size)), { line: 1, to: 1 })
  if (!header) throw new FormatError(`${path}: empty: expected a header line with the names of the columns`)
  const columns = header.record.map((name, i) => name ?? `column ${i + 1}`)
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
    async block(index, wanted) {
      const { offset, bytes: length, line, rows } = blocks[index]!
      const found = read(await bytes.read(offset, length), { line })
      const records = index === 0 ? found.slice(1) : found
      const lineOf = (i: number) => line - 1 + records[i]!.info.lines
      for (const [i, { record }] of records.entries())
        if (record.length !== columns.length)
          throw new FormatError(`${path}: line ${lineOf(i)}: ${record.length} fields, the header has ${columns.length}`)
      if (records.length !== rows)
        throw new FormatError(
          `${path}: lines from ${line} on: ${records.length} records, expected ${rows}; are its quotes right?`,
        )
      const places = wanted.map((name) => columns.indexOf(name))
      return { columns: places.map((place) => records.map(({ record }) => record[place])), line: lineOf }
    },
    close: () => bytes.close(),
  }
}
