import { DataType, Message, type RecordBatch, RecordBatchReader } from 'apache-arrow'
import { FormatError } from '../errors.js'
import { arrayIn, columnFacts } from './arrow-facts.js'
import { decodeMessage, encapsulate, readContents, readMetadata, readWhole, registerCodecs } from './arrow-messages.js'
import { readTensors } from './arrow-tensors.js'
import { checkUnpacked, mostUnpacked, VALUE_BYTES } from './bounds.js'
import { type Bytes, understand } from './bytes.js'
import type { Categories } from './categories.js'
import { listed } from './class-finder.js'
import { classNamesOf } from './class-names.js'
import type { Block, Table } from './table.js'

/** More classes than this are ids, not labels. */
const MAX_CATEGORIES = 2 ** 20
/**
 * An Arrow IPC file (Feather V2) or stream, as they are or compressed with LZ4 or ZSTD. A block is a record batch, read with the dictionaries before it,
 * by its place, so the size of a file doesn't matter.
 */
export async function openArrow(bytes: Bytes): Promise<Table> {
  const { path } = bytes
  const unreadable = `${path}: not a readable Arrow file`
  return understand(unreadable, async () => {
    await registerCodecs()
    const { isFile, said, schema, batches, dictionaries } = await readContents(bytes)
    const starts = [0]
    for (const place of batches) {
      const message = decodeMessage((await readMetadata(bytes, place)).metadata)
      if (!message.isRecordBatch())
        throw new FormatError(`${path}: the message at byte ${place.offset} is no record batch`)
      const rows = message.header().length
      if (!(Number.isSafeInteger(rows) && rows >= 0)) throw new FormatError(`${path}: a record batch of ${rows} rows`)
      checkUnpacked(`${path}: a record batch of ${rows} rows`, {
        unpacked: VALUE_BYTES * rows,
        packed: place.bodyBytes,
      })
      starts.push(starts.at(-1)! + rows)
    }
    checkUnpacked(`${path}: ${starts.at(-1)} rows`, { unpacked: VALUE_BYTES * starts.at(-1)!, packed: bytes.size })
    const names = classNamesOf(said.metadata.get('huggingface'))
    const facts = columnFacts(said, said.metadata.get('pandas'))
    const columns = schema.fields.map(({ name }) => name)
    const head = encapsulate(Message.encode(Message.from(schema)))
    const known = await Promise.all(
      dictionaries.map(async ({ offset, ...rest }) => ({
        offset,
        bytes: (await readWhole(bytes, { offset, ...rest }, said.fields)).data,
      })),
    )
    const batchAt = async (index: number): Promise<{ batch: RecordBatch; unpacked: number }> => {
      const place = batches[index]!
      // In a stream a later dictionary may replace an earlier one; in a file their order does not matter.
      const before = known.filter(({ offset }) => isFile || offset < place.offset).map(({ bytes }) => bytes)
      const { data, unpacked } = await readWhole(bytes, place, said.fields)
      const [batch] = [...RecordBatchReader.from([head, ...before, data])]
      const rows = starts[index + 1]! - starts[index]!
      if (batch?.numRows !== rows)
        throw new FormatError(`${path}: a record batch of ${batch?.numRows} rows, expected ${rows}`)
      return { batch, unpacked }
    }
    const block = async (index: number, wanted: string[]): Promise<Block> => {
      const { batch, unpacked } = await batchAt(index)
      const rows = batch.numRows
      const room = { cells: FREE_CELLS + 8 * unpacked, letters: mostUnpacked(unpacked) }
      return {
        columns: wanted.map((name) => {
          const vector = batch.getChild(name)!
          const array = facts.get(name)?.array
          if (array) return readTensors(vector.data[0]!, array)
          const read = readerOf(vector.type, room)
          return Array.from({ length: rows }, (_, i) => read(vector.get(i)))
        }),
      }
    }
    /** Of streams each batch's dictionary is looked at: it may have become longer, or another one. */
    const categories = async (column: string): Promise<Categories | undefined> => {
      const said = facts.get(column)?.categories
      if (!said) return undefined
      let names: string[] = []
      for (const index of batches.keys()) {
        const own = dictionaryOf((await batchAt(index)).batch, column)
        if (!own) return undefined
        if (own.slice(0, names.length).some((name, i) => name !== names[i]))
          throw new FormatError(
            `${path}: column '${column}': its categories are ${listed(own)}, before ${listed(names)}: say with --classes the name of each class, in the order of the logits`,
          )
        if (own.length > names.length) names = own
        if (isFile) break
      }
      return { names, ordered: said.ordered }
    }
    return {
      path,
      columns,
      starts,
      sha256: bytes.sha256,
      size: bytes.size,
      blockBytes: (index) => GROWTH * batches[index]!.bodyBytes,
      classNames: (column) => names.get(column),
      arrayOf: (column) => arrayIn(facts, column, path),
      categories: (column) => understand(unreadable, () => categories(column)),
      block: (index, wanted) => understand(unreadable, () => block(index, wanted)),
      close: () => bytes.close(),
    }
  })
}

/** The entries of a dictionary of text, in their order. */
function dictionaryOf(batch: RecordBatch, column: string): string[] | undefined {
  const dictionary = batch.getChild(column)?.data[0]?.dictionary
  if (!dictionary || !isText(dictionary.type)) return undefined
  return Array.from({ length: Math.min(dictionary.length, MAX_CATEGORIES) }, (_, i) => String(dictionary.get(i)))
}

const isText = (type: DataType) => DataType.isUtf8(type) || DataType.isLargeUtf8(type) || DataType.isUtf8View(type)

interface Vectorlike {
  length: number
  get(i: number): unknown
}

/** Cells of lists beyond one for each bit of a batch. */
const FREE_CELLS = 2 ** 24
/** What a batch takes in memory for each of its bytes: it may be compressed, and cells take more than they do in Arrow. */
const GROWTH = 4

/** What is left of a batch for the cells of lists and the letters of texts. Both may be there once, and be named by every row. */
interface Room {
  cells: number
  letters: number
}

/** How values of a type become cells. @throws Error: a type that is none, or no room left */
function readerOf(type: DataType, room: Room): (value: unknown) => unknown {
  const some = (read: (value: never) => unknown) => (value: unknown) =>
    value === null || value === undefined ? null : read(value as never)
  if (DataType.isDecimal(type)) return some((words: Uint32Array) => decimal(words, type.scale))
  if (DataType.isInterval(type)) throw new Error('a column of intervals is neither numbers nor text')
  if (DataType.isDictionary(type)) return readerOf(type.dictionary, room)
  if (DataType.isList(type) || DataType.isFixedSizeList(type)) {
    const read = readerOf(type.children[0]!.type, room)
    return some((list: Vectorlike) => {
      room.cells -= list.length
      if (!(room.cells >= 0)) throw new Error('lists of more values than the record batch can hold')
      return Array.from({ length: list.length }, (_, i) => read(list.get(i)))
    })
  }
  if (DataType.isStruct(type)) {
    const readers = type.children.map((field) => [field.name, readerOf(field.type, room)] as const)
    return some((row: { toJSON(): Record<string, unknown> }) => {
      const values = row.toJSON()
      return Object.fromEntries(readers.map(([name, read]) => [name, read(values[name])]))
    })
  }
  if (isText(type))
    return some((text: string) => {
      room.letters -= text.length
      if (!(room.letters >= 0)) throw new Error('texts of more letters than the record batch can hold')
      return text
    })
  return some(plain)
}

/** Of other types what they say of themselves as JSON: maps objects, dates texts. */
const plain = (cell: unknown): unknown =>
  typeof cell === 'object' && cell !== null && !ArrayBuffer.isView(cell) && 'toJSON' in cell
    ? (cell as { toJSON(): unknown }).toJSON()
    : cell

/** A decimal, two's complement in words of 32 bits, as the nearest number. */
function decimal(words: Uint32Array, scale: number): number {
  const value = words.reduceRight((all, word) => (all << 32n) | BigInt(word), 0n)
  return Number(`${BigInt.asIntN(32 * words.length, value)}e${-scale}`)
}
