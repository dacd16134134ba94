import type { AsyncBuffer, FileMetaData, RowGroup } from 'hyparquet'
import { FormatError } from '../errors.js'
import { arrayIn, columnFacts } from './arrow-facts.js'
import { checkUnpacked, VALUE_BYTES } from './bounds.js'
import { type Bytes, understand } from './bytes.js'
import { classNamesOf } from './class-names.js'
import { decodeLz4Block } from './lz4-frame.js'
import { arrowSchemaIn, packArray, readCategories } from './parquet-arrow.js'
import { type ChunkPlace, checkPages, locatePages, type PageLocation, placeChunks } from './parquet-pages.js'
import { BLOCK_BYTES, type Block, type Table } from './table.js'

/** A page, or a dictionary, that is worth reading for one row. */
const SMALL_BYTES = 2 ** 21
/** Where pages are large, or have no index, only larger groups than this are cut. Their pages are then found by walking them. */
const MAX_GROUP_BYTES = 2 ** 28
/** The footer is read whole. That of a file of 100,000 row groups of ten columns has some 100 MB. */
const MAX_FOOTER_BYTES = 2 ** 28

/**
 * A Parquet file. A block is a row group. Where an offset index leads to small pages, groups that decode to more than 8 MiB are cut into parts, and scattered rows
 * are read by their pages alone; else only those of more than 256 MiB are cut.
 */
export async function openParquet(bytes: Bytes): Promise<Table> {
  const { path } = bytes
  const { parquetMetadataAsync, parquetScan, parquetSchema } = await import('hyparquet')
  const { compressors } = await import('hyparquet-compressors')
  const fileOf = (look: (bytes: Uint8Array, start: number) => void): AsyncBuffer => ({
    byteLength: bytes.size,
    async slice(start, end = bytes.size) {
      const data = await bytes.read(start, end - start)
      look(data, start)
      return data.buffer as ArrayBuffer
    },
  })
  const file = fileOf(() => {})
  const unreadable = `${path}: not a readable Parquet file`
  const metadata = await understand(unreadable, async () => {
    await checkFooter(bytes)
    return parquetMetadataAsync(file, { geoparquet: false })
  })
  const { columns, chunks, starts, sizes, small, pages } = await understand(unreadable, async () => {
    checkGroups(bytes, metadata)
    const schema = parquetSchema(metadata)
    const small = await hasSmallPages(file, metadata)
    const { starts, bytes: sizes } = cutGroups(metadata, small ? BLOCK_BYTES : MAX_GROUP_BYTES)
    const columns = schema.children.map(({ element }) => element.name)
    const chunks = placeChunks(path, metadata, schema)
    return { columns, chunks, starts, sizes, small, pages: await pagesWithoutIndex(bytes, metadata, chunks) }
  })
  const metadataOf = (key: string) => metadata.key_value_metadata?.find((entry) => entry.key === key)?.value
  const names = classNamesOf(metadataOf('huggingface'))
  const arrow = arrowSchemaIn(metadataOf('ARROW:schema'))
  const facts = columnFacts(arrow, metadataOf('pandas'))
  const readRange = async ({ from, to, wanted }: Range, onDictionary?: (page: Uint8Array) => void): Promise<Block> => {
    const check = checkPages(chunks, { ...compressors, LZ4_RAW: decodeLz4Block }, onDictionary)
    const scan = await parquetScan({
      file: fileOf(check.look),
      metadata,
      ...pages,
      columns: wanted,
      rowStart: from,
      rowEnd: to,
      compressors: check.compressors,
      utf8: false,
    })
    const cells = await Promise.all(wanted.map((column) => scan.readColumn({ column, rowStart: from, rowEnd: to })))
    for (const [i, { length }] of cells.entries())
      if (length !== to - from)
        throw new FormatError(
          `${path}: column '${wanted[i]}': ${length} values for rows ${from} to ${to - 1}, expected ${to - from}`,
        )
    const arrays = wanted.map((column) => facts.get(column)?.array)
    return {
      columns: cells.map((column, i) => {
        const array = arrays[i]
        return array ? Array.from(column, (cell) => packArray(cell, array)) : column
      }),
    }
  }
  return {
    path,
    columns,
    starts,
    sha256: bytes.sha256,
    size: bytes.size,
    blockBytes: (index) => sizes[index]!,
    classNames: (column) => names.get(column),
    arrayOf: (column) => arrayIn(facts, column, path),
    categories: (column) =>
      understand(unreadable, async () => {
        const said = facts.get(column)?.categories
        const isText = metadata.schema.some(({ name, type }) => name === column && type === 'BYTE_ARRAY')
        if (!isText || (!said && (arrow || !metadataOf('ARROW:schema')))) return undefined
        const where = `${path}: column '${column}'`
        const names = said && (await readCategories(metadata, { column, where, read: readRange }))
        if (said && names && (said.count ?? names.length) === names.length) return { names, ordered: said.ordered }
        throw new FormatError(
          `${where}: the order of its categories is not in the file: say with --classes the name of each class, in the order of the logits`,
        )
      }),
    block: (index, wanted) =>
      understand(unreadable, () => readRange({ from: starts[index]!, to: starts[index + 1]!, wanted })),
    ...(small && {
      pick: (_, rows, wanted) =>
        understand(unreadable, async () => {
          const blocks = await Promise.all(rows.map((row) => readRange({ from: row, to: row + 1, wanted })))
          return { columns: wanted.map((_, column) => blocks.map((block) => block.columns[column]![0])) }
        }),
    }),
    close: () => bytes.close(),
  }
}

interface Range {
  from: number
  to: number
  wanted: string[]
}

/** The pages of the large column chunks that have no offset index, by row group and column, as the library takes them. */
async function pagesWithoutIndex(bytes: Bytes, { row_groups }: FileMetaData, chunks: ChunkPlace[]) {
  const places = new Map(chunks.map((chunk) => [chunk.from, chunk]))
  const pageLocationsByGroup: Record<string, PageLocation[]>[] = []
  for (const group of row_groups) {
    const located: Record<string, PageLocation[]> = Object.create(null)
    pageLocationsByGroup.push(located)
    if (groupBytes(group) <= MAX_GROUP_BYTES) continue
    for (const { meta_data, offset_index_offset } of group.columns) {
      const { path_in_schema, dictionary_page_offset, data_page_offset, total_compressed_size } = meta_data!
      if (offset_index_offset || Number(total_compressed_size) <= SMALL_BYTES) continue
      const place = places.get(Number(dictionary_page_offset || data_page_offset))
      const pages = place && (await locatePages(bytes, place))
      if (pages) located[path_in_schema.join('.')] = pages
    }
  }
  return { pageLocationsByGroup } // not among the documented options, and ignored where the library has it no more
}

async function checkFooter(bytes: Bytes): Promise<void> {
  if (bytes.size < 12) throw new FormatError(`${bytes.path}: not a Parquet file: ${bytes.size} bytes`)
  const tail = Buffer.from(await bytes.read(bytes.size - 8, 8))
  const magic = tail.toString('latin1', 4)
  if (magic !== 'PAR1')
    throw new FormatError(
      `${bytes.path}: not a Parquet file, or truncated: it ends with ${JSON.stringify(magic)}, expected "PAR1"`,
    )
  const length = tail.readUInt32LE(0)
  if (length > Math.min(bytes.size - 12, MAX_FOOTER_BYTES))
    throw new FormatError(
      `${bytes.path}: a footer of ${length} bytes, expected at most ${Math.min(bytes.size - 12, MAX_FOOTER_BYTES)}`,
    )
}

/** Counts and places that the footer claims, against the file and against each other. */
function checkGroups({ path, size }: Bytes, { row_groups, num_rows }: FileMetaData): void {
  let rows = 0n
  for (const [i, group] of row_groups.entries()) {
    if (!(group.num_rows >= 0n && group.num_rows <= 2n ** 31n))
      throw new FormatError(`${path}: row group ${i} has ${group.num_rows} rows`)
    rows += group.num_rows
    for (const { meta_data, offset_index_offset = 0n, offset_index_length = 0 } of group.columns) {
      if (!meta_data) throw new FormatError(`${path}: row group ${i}: a column without metadata`)
      const name = meta_data.path_in_schema.join('.')
      const from = meta_data.dictionary_page_offset || meta_data.data_page_offset
      const inside = (start: bigint, length: bigint) => start >= 0n && length >= 0n && start + length <= BigInt(size)
      if (!inside(from, meta_data.total_compressed_size) || !inside(offset_index_offset, BigInt(offset_index_length)))
        throw new FormatError(
          `${path}: row group ${i}, column '${name}': ${meta_data.total_compressed_size} bytes at ${from}, the file has ${size}`,
        )
      const [values, unpacked] = [Number(meta_data.num_values), Number(meta_data.total_uncompressed_size)]
      if (!(values >= Number(group.num_rows)))
        throw new FormatError(
          `${path}: row group ${i}, column '${name}': ${values} values, expected at least one for each of ${group.num_rows} rows`,
        )
      checkUnpacked(`${path}: row group ${i}, column '${name}'`, {
        unpacked: Math.max(0, unpacked, VALUE_BYTES * values),
        packed: Number(meta_data.total_compressed_size),
      })
    }
  }
  if (rows !== num_rows) throw new FormatError(`${path}: ${num_rows} rows by the footer, the row groups have ${rows}`)
  checkUnpacked(`${path}: ${rows} rows`, { unpacked: VALUE_BYTES * Number(rows), packed: size })
}

/** Bytes of the row group's columns, decompressed. */
const groupBytes = ({ columns }: RowGroup) =>
  columns.reduce((sum, { meta_data }) => sum + Math.max(0, Number(meta_data!.total_uncompressed_size)), 0)

/**
 * Whether rows can be read without the rest of their group: the file has an offset index, and its pages and dictionaries are small, as the first row group has them.
 * pyarrow looks at a page's size every 1024 values only, so that a page, or a dictionary, of images may be the whole group.
 */
async function hasSmallPages(file: AsyncBuffer, { row_groups }: FileMetaData): Promise<boolean> {
  if (!row_groups.every(({ columns }) => columns.every((chunk) => chunk.offset_index_offset))) return false
  const { readOffsetIndex } = await import('hyparquet')
  for (const { meta_data, offset_index_offset, offset_index_length } of row_groups[0]?.columns ?? []) {
    const { dictionary_page_offset, data_page_offset } = meta_data!
    if (dictionary_page_offset && data_page_offset - dictionary_page_offset > SMALL_BYTES) return false
    const start = Number(offset_index_offset)
    const view = new DataView(await file.slice(start, start + offset_index_length!))
    const { page_locations } = readOffsetIndex({ view, offset: 0 })
    if (page_locations.some(({ compressed_page_size }) => compressed_page_size > SMALL_BYTES)) return false
  }
  return true
}

/** Row groups, those that decode to more than `most` bytes cut into equal parts: where each starts, and what it decodes to. */
function cutGroups({ row_groups }: FileMetaData, most: number): { starts: number[]; bytes: number[] } {
  const [starts, bytes]: [number[], number[]] = [[], []]
  let first = 0
  for (const group of row_groups) {
    const rows = Number(group.num_rows)
    const total = groupBytes(group)
    const step = Math.max(1, Math.ceil(rows / Math.max(1, Math.ceil(total / most))))
    for (let row = 0; row < rows; row += step) {
      starts.push(first + row)
      bytes.push((total / rows) * Math.min(step, rows - row))
    }
    first += rows
  }
  return { starts: [...starts, first], bytes }
}
