import type { Compressors, FileMetaData, readOffsetIndex, SchemaTree } from 'hyparquet'
import { FormatError } from '../errors.js'
import { checkUnpacked, VALUE_BYTES } from './bounds.js'
import type { Bytes } from './bytes.js'
import { checkRuns, sumDeltas } from './parquet-runs.js'
import { readStruct, type Struct } from './thrift.js'

/**
 * The library that decodes Parquet believes what pages say of themselves: how many values, how long a run, how many bytes. In a file of somebody else's a page of
 * twenty bytes may claim to be gigabytes, so pages are looked through first: their headers as they are read, their levels and indices as they are decompressed.
 */

/** A page is a megabyte by default; writers of large binary values make some of tens. One that claims more than this is not worth the memory. */
const MAX_PAGE_BYTES = 2 ** 29

/** PageHeader and what is in it, by field number (parquet.thrift). */
const [DATA, DICTIONARY, DATA_V2] = [0, 2, 3]
const Encodings = { PLAIN_DICTIONARY: 2, RLE: 3, DELTA_BYTE_ARRAY: 7, RLE_DICTIONARY: 8 } as const

/** In place of an encoding, of a dictionary's own page. */
const OF_DICTIONARY = -1

/** As an offset index has it. */
export type PageLocation = ReturnType<typeof readOffsetIndex>['page_locations'][number]

/** A column chunk: where its pages lie. */
export interface ChunkPlace {
  /** File and column, for errors. */
  where: string
  from: number
  to: number
  values: number
  boolean: boolean
  /** Most repetition and definition levels of its values. */
  repetition: number
  definition: number
}

interface Page {
  chunk: ChunkPlace
  values: number
  encoding: number
  /** The levels are before the values (version 1). */
  levels: boolean
}

/** The codec of pages that are not compressed, by a name of ours: so that they, too, pass through a function that checks them. */
const NONE = 'NONE'

export interface PageCheck {
  /** To be called with all bytes that are read, and where they are from. @throws FormatError, Error */
  look(bytes: Uint8Array, start: number): void
  compressors: Compressors
}

/** The column chunks, in the order of their places; those that are not compressed get a codec that `compressors` of a check has. */
export function placeChunks(path: string, { row_groups }: FileMetaData, schema: SchemaTree): ChunkPlace[] {
  const levels = levelsOf(schema)
  const places: ChunkPlace[] = []
  for (const { columns } of row_groups)
    for (const { meta_data } of columns) {
      const { path_in_schema, dictionary_page_offset, data_page_offset, total_compressed_size, num_values, type } =
        meta_data!
      const name = path_in_schema.join('.')
      const level = levels.get(path_in_schema.join('\0'))
      if (!level) throw new Error(`column '${name}' is not in the schema`)
      const from = Number(dictionary_page_offset || data_page_offset)
      if (meta_data!.codec === 'UNCOMPRESSED') (meta_data as { codec: string }).codec = NONE
      const to = from + Number(total_compressed_size)
      const where = `${path}: column '${name}'`
      places.push({ where, from, to, values: Number(num_values), boolean: type === 'BOOLEAN', ...level })
    }
  return places.sort((a, b) => a.from - b.from)
}

/** Checks the pages of one reading. `onDictionary` is given dictionaries as they are decompressed. */
export function checkPages(
  chunks: ChunkPlace[],
  compressors: Compressors,
  onDictionary?: (page: Uint8Array) => void,
): PageCheck {
  /** Pages by their bytes: the library hands on copies. Two that are alike are checked as both. */
  const pages = new Map<string, Page[]>()
  const know = (bytes: Uint8Array, page: Page) => {
    const key = keyOf(bytes)
    const known = pages.get(key)
    if (known) known.push(page)
    else pages.set(key, [page])
  }
  const unpack =
    (decompress: NonNullable<Compressors['ZSTD']>) =>
    (input: Uint8Array, length: number): Uint8Array => {
      const known = pages.get(keyOf(input))
      if (!known) throw new Error('a page that is not where the column says')
      const page = decompress(input, length)
      for (const one of known) checkValues(page, one)
      if (known[0]!.encoding === OF_DICTIONARY) onDictionary?.(page)
      return page
    }
  return {
    look(bytes, start) {
      const end = start + bytes.length
      // chunks follow one another; a page of one that lies within another is not looked at, and not read
      for (let i = firstBehind(chunks, start); i < chunks.length && chunks[i]!.from < end; i++) {
        const chunk = chunks[i]!
        const from = Math.max(start, chunk.from) - start
        walk(bytes.subarray(from, Math.min(end, chunk.to) - start), chunk, know)
      }
    },
    compressors: {
      ...Object.fromEntries(Object.entries(compressors).map(([name, decompress]) => [name, unpack(decompress)])),
      [NONE]: unpack((input) => input),
    } as Compressors,
  }
}

/** The first chunk that ends behind `start`. */
function firstBehind(chunks: ChunkPlace[], start: number): number {
  let [low, high] = [0, chunks.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if (chunks[middle]!.to <= start) low = middle + 1
    else high = middle
  }
  return low
}

const EDGE = 32
const keyOf = (bytes: Uint8Array): string => {
  const { buffer, byteOffset, length } = bytes
  const view = Buffer.from(buffer, byteOffset, length)
  return `${length}:${view.toString('latin1', 0, EDGE)}${view.toString('latin1', Math.max(EDGE, length - EDGE))}`
}

/** What a page's header at `at` says; `own` is undefined of a page of another type. @throws Error: not whole */
function headerOf(bytes: Uint8Array, at: number) {
  const { value: header, end } = readStruct(bytes, at)
  const [type, size, packed] = [number(header, 1), number(header, 2), number(header, 3)]
  const found = header.get({ [DATA]: 5, [DICTIONARY]: 7, [DATA_V2]: 8 }[type] ?? 0)
  const own = found instanceof Map ? found : undefined
  const [values, encoding] = own ? [number(own, 1), number(own, type === DATA_V2 ? 4 : 2)] : [Number.NaN, Number.NaN]
  return { type, size, packed, own, values, encoding, end }
}

/** Pages of a chunk that are walked: 32 GiB as they are usual. A file made of headers would take hours. */
const MAX_WALKED = 2 ** 15
/** A page's header may have statistics of two values of some kilobytes. */
const HEADER_BYTES = 2 ** 14

/**
 * Where the pages of a column chunk lie, by walking their headers: what an offset index says, of files that have none. pandas writes all rows as
 * one group, so that without it a file would be read whole. Undefined where pages of lists do not say how many rows they have, a header is
 * not understood, or there are too many: the chunk is then read whole, and refused there where it is wrong.
 */
export async function locatePages(bytes: Bytes, chunk: ChunkPlace): Promise<PageLocation[] | undefined> {
  const file = await bytes.open()
  const pages: PageLocation[] = []
  try {
    let [row, seen, walked] = [0, 0, 0]
    for (let at = chunk.from; at < chunk.to && seen < chunk.values; ) {
      if (walked++ === MAX_WALKED) return undefined
      const head = await file.read(at, Math.min(HEADER_BYTES, chunk.to - at))
      const { type, packed, own, values, end } = headerOf(head, 0)
      if (!own || !(end + packed <= chunk.to - at)) return undefined
      if (type !== DICTIONARY) {
        const rows = type === DATA_V2 ? number(own, 3) : chunk.repetition === 0 ? values : Number.NaN
        if (!(rows > 0 && values > 0)) return undefined
        pages.push({ offset: BigInt(at), compressed_page_size: end + packed, first_row_index: BigInt(row) })
        row += rows
        seen += values
      }
      at += end + packed
    }
    return seen === chunk.values && pages.length > 0 ? pages : undefined
  } catch {
    return undefined
  } finally {
    await file.done()
  }
}

/** The pages of a chunk, or of a part that begins with a page. */
function walk(bytes: Uint8Array, chunk: ChunkPlace, know: (bytes: Uint8Array, page: Page) => void): void {
  const refuse = (why: string) => new FormatError(`${chunk.where}: ${why}`)
  let [unpacked, seen] = [0, 0]
  for (let at = 0; at < bytes.length - 1 && seen < chunk.values; ) {
    const { type, size, packed, own, values, encoding, end } = headerOf(bytes, at)
    if (!(size <= MAX_PAGE_BYTES)) throw refuse(`a page of ${size} bytes, at most ${MAX_PAGE_BYTES} are allowed`)
    if (!(packed <= bytes.length - end)) throw refuse(`a page of ${packed} bytes where ${bytes.length - end} are left`)
    const page = bytes.subarray(end, end + packed)
    if (!own) throw refuse(`a page of type ${type}`)
    unpacked += Math.max(size, VALUE_BYTES * values)
    checkUnpacked(chunk.where, { unpacked, packed: chunk.to - chunk.from })
    if (type === DICTIONARY) {
      if (values > 8 * size) throw refuse(`a dictionary of ${values} values in ${size} bytes`)
      know(page, { chunk, values, encoding: OF_DICTIONARY, levels: false })
    } else {
      if (!(values <= chunk.values)) throw refuse(`a page of ${values} values in a column of ${chunk.values}`)
      seen += values
      const known = { chunk, values, encoding, levels: type === DATA }
      if (type === DATA) know(page, known)
      else lookAtV2(page, { own, known, know, refuse })
    }
    at = end + packed
  }
}

/** Version 2: levels, never compressed, then the values. */
function lookAtV2(
  page: Uint8Array,
  options: { own: Struct; known: Page; know: (bytes: Uint8Array, page: Page) => void; refuse: (why: string) => Error },
): void {
  const { own, known, know, refuse } = options
  const { chunk, values } = known
  const [nulls, rows, definition, repetition] = [number(own, 2), number(own, 3), number(own, 5), number(own, 6)]
  if (!(nulls <= values && rows <= values)) throw refuse(`${nulls} nulls and ${rows} rows in ${values} values`)
  if (!(definition + repetition <= page.length))
    throw refuse(`levels of ${definition + repetition} bytes in ${page.length}`)
  checkRuns(page, { from: 0, to: repetition, width: bitsFor(chunk.repetition), values })
  checkRuns(page, { from: repetition, to: repetition + definition, width: bitsFor(chunk.definition), values })
  const rest = page.subarray(repetition + definition)
  if (own.get(7) === false) checkValues(rest, known)
  else know(rest, known)
}

/** What is in a page after decompression. */
function checkValues(page: Uint8Array, { chunk, values, encoding, levels }: Page): void {
  let at = 0
  const lengthAt = (place: number) => new DataView(page.buffer, page.byteOffset, page.byteLength).getUint32(place, true)
  if (levels)
    for (const most of [chunk.repetition, chunk.definition]) {
      if (most === 0) continue
      const end = at + 4 + lengthAt(at)
      checkRuns(page, { from: at + 4, to: end, width: bitsFor(most), values })
      at = end
    }
  if (encoding === Encodings.PLAIN_DICTIONARY || encoding === Encodings.RLE_DICTIONARY || encoding === Encodings.RLE) {
    const runs = chunk.boolean ? at + 4 : at + 1
    const width = chunk.boolean ? 1 : (page[at] ?? 0)
    checkRuns(page, { from: runs, to: page.length, width, values })
  }
  if (encoding === Encodings.DELTA_BYTE_ARRAY && page.length > at) {
    // each value repeats the beginning of the one before
    const prefixes = sumDeltas(page, at, values)
    const suffixes = sumDeltas(page, prefixes.end, values)
    checkUnpacked(`${chunk.where}: a page`, { unpacked: prefixes.sum + suffixes.sum, packed: page.length })
  }
}

const bitsFor = (most: number) => 32 - Math.clz32(most)

/** A field that is a number and not negative, NaN where it is not. */
function number(struct: Struct, field: number): number {
  const value = struct.get(field)
  return typeof value === 'number' && value >= 0 ? value : Number.NaN
}

/** Most levels by path, as the library counts them. */
function levelsOf(schema: SchemaTree): Map<string, { repetition: number; definition: number }> {
  const levels = new Map<string, { repetition: number; definition: number }>()
  const visit = ({ element, children, path }: SchemaTree, repetition: number, definition: number) => {
    const own = repetition + (element.repetition_type === 'REPEATED' ? 1 : 0)
    const defined = path.length > 0 && element.repetition_type !== 'REQUIRED' ? definition + 1 : definition
    if (children.length === 0) levels.set(path.join('\0'), { repetition: own, definition: defined })
    for (const child of children) visit(child, own, defined)
  }
  visit(schema, 0, 0)
  return levels
}
