import { DataType, Message, MessageHeader, RecordBatchReader, type Schema } from 'apache-arrow'
import { Footer } from 'apache-arrow/ipc/metadata/file'
import { FormatError } from '../errors.js'
import { checkUnpacked, VALUE_BYTES } from './bounds.js'
import { type Bytes, understand } from './bytes.js'
import { classNamesOf } from './class-names.js'
import type { Block, Table } from './table.js'

/** Metadata of a message: a few bytes a column. */
const MAX_METADATA_BYTES = 2 ** 26
/** A record batch is read whole. */
const MAX_BATCH_BYTES = 2 ** 30
const MAGIC = 'ARROW1'
const CONTINUATION = 0xffffffff

/** A message of the file: its metadata, 4 or 8 bytes of prefix included, and its body behind it. */
interface Place {
  offset: number
  metadataBytes: number
  bodyBytes: number
}

/**
 * An Arrow IPC file (Feather V2) or stream, as they are or compressed with LZ4 or ZSTD. A block is a record batch, read with the dictionaries before it.
 * Of files the footer is taken, of streams the messages are walked; batches are read by their place, so the size of a file doesn't matter.
 */
export async function openArrow(bytes: Bytes): Promise<Table> {
  const { path } = bytes
  const unreadable = `${path}: not a readable Arrow file`
  return understand(unreadable, async () => {
    await registerCodecs()
    const isFile = bytes.size >= 8 && Buffer.from(await bytes.read(0, 6)).toString('latin1') === MAGIC
    const { schema, batches, dictionaries } = isFile ? await readFooter(bytes) : await walkStream(bytes)
    const starts = [0]
    for (const place of batches) {
      const message = Message.decode((await readMetadata(bytes, place)).metadata)
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
    const names = classNamesOf(schema.metadata.get('huggingface'))
    const columns = schema.fields.map(({ name }) => name)
    const head = encapsulate(Message.encode(Message.from(schema)))
    const known = await Promise.all(
      dictionaries.map(async ({ offset, ...rest }) => ({
        offset,
        bytes: (await readWhole(bytes, { offset, ...rest })).data,
      })),
    )
    const block = async (index: number, wanted: string[]): Promise<Block> => {
      const place = batches[index]!
      // In a stream a later dictionary may replace an earlier one; in a file their order does not matter.
      const before = known.filter(({ offset }) => isFile || offset < place.offset).map(({ bytes }) => bytes)
      const { data, unpacked } = await readWhole(bytes, place)
      const parts = [head, ...before, data]
      const [batch] = [...RecordBatchReader.from(parts)]
      const rows = starts[index + 1]! - starts[index]!
      if (batch?.numRows !== rows)
        throw new FormatError(`${path}: a record batch of ${batch?.numRows} rows, expected ${rows}`)
      const room = { cells: FREE_CELLS + 8 * unpacked }
      return {
        columns: wanted.map((name) => {
          const vector = batch.getChild(name)!
          if (vector.length !== rows)
            throw new FormatError(
              `${path}: column '${name}': ${vector.length} values in a record batch of ${rows} rows`,
            )
          const read = readerOf(vector.type, room)
          return Array.from({ length: rows }, (_, i) => read(vector.get(i)))
        }),
      }
    }
    return {
      path,
      columns,
      starts,
      sha256: bytes.sha256,
      size: bytes.size,
      blockBytes: (index) => GROWTH * batches[index]!.bodyBytes,
      classNames: (column) => names.get(column),
      block: (index, wanted) => understand(unreadable, () => block(index, wanted)),
      close: () => bytes.close(),
    }
  })
}

interface Vectorlike {
  length: number
  get(i: number): unknown
}

/** Cells of lists beyond one for each bit of a batch: lists of a dictionary are there once, and read as often as they are named. */
const FREE_CELLS = 2 ** 24
/** What a batch takes in memory for each of its bytes: it may be compressed, and cells take more than they do in Arrow. */
const GROWTH = 4

/** How values of a type become cells. `room` is what is left for those of lists. */
function readerOf(type: DataType, room: { cells: number }): (value: unknown) => unknown {
  const some = (read: (value: never) => unknown) => (value: unknown) =>
    value === null || value === undefined ? null : read(value as never)
  if (DataType.isDecimal(type)) return some((words: Uint32Array) => decimal(words, type.scale))
  if (DataType.isInterval(type)) throw new FormatError('a column of intervals is neither numbers nor text')
  if (DataType.isDictionary(type)) return readerOf(type.dictionary, room)
  if (DataType.isList(type) || DataType.isFixedSizeList(type)) {
    const read = readerOf(type.children[0]!.type, room)
    return some((list: Vectorlike) => {
      room.cells -= list.length
      if (!(room.cells >= 0)) throw new FormatError('lists of more values than the record batch can hold')
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

async function readFooter(bytes: Bytes): Promise<{ schema: Schema; batches: Place[]; dictionaries: Place[] }> {
  const { path, size } = bytes
  const tail = Buffer.from(await bytes.read(Math.max(0, size - 10), Math.min(10, size)))
  if (tail.toString('latin1', 4) !== MAGIC)
    throw new FormatError(`${path}: truncated Arrow file: it does not end with ${MAGIC}`)
  const length = tail.readInt32LE(0)
  if (length <= 0 || length > size - 18 || length > MAX_METADATA_BYTES)
    throw new FormatError(`${path}: an Arrow footer of ${length} bytes, the file has ${size}`)
  const footer = Footer.decode(await bytes.read(size - 10 - length, length))
  const place = ({
    offset,
    metaDataLength,
    bodyLength,
  }: {
    offset: number
    metaDataLength: number
    bodyLength: number
  }) => checkPlace(bytes, { offset, metadataBytes: metaDataLength, bodyBytes: bodyLength })
  const [batches, dictionaries] = [[...footer.recordBatches()].map(place), [...footer.dictionaryBatches()].map(place)]
  // each once: dictionaries are held, and one that is listed a thousand times would be, too
  const listed = [...batches, ...dictionaries].reduce((sum, one) => sum + one.metadataBytes + one.bodyBytes, 0)
  if (listed > size)
    throw new FormatError(`${path}: its footer lists messages of ${listed} bytes in all, the file has ${size}`)
  return { schema: footer.schema, batches, dictionaries }
}

async function walkStream(bytes: Bytes): Promise<{ schema: Schema; batches: Place[]; dictionaries: Place[] }> {
  let schema: Schema | undefined
  const [batches, dictionaries]: [Place[], Place[]] = [[], []]
  for (let offset = 0; offset + 8 <= bytes.size; ) {
    const { metadata, metadataBytes } = await readMetadata(bytes, { offset })
    if (metadata.length === 0) break
    const message = Message.decode(metadata)
    const place = checkPlace(bytes, { offset, metadataBytes, bodyBytes: message.bodyLength })
    if (message.isSchema()) schema = message.header() as Schema
    else if (!schema) throw new FormatError(`${bytes.path}: not an Arrow stream: it does not begin with a schema`)
    else if (message.headerType === MessageHeader.DictionaryBatch) dictionaries.push(place)
    else batches.push(place)
    offset += metadataBytes + place.bodyBytes
  }
  if (!schema) throw new FormatError(`${bytes.path}: not an Arrow file or stream`)
  return { schema, batches, dictionaries }
}

function checkPlace({ path, size }: Bytes, place: Place): Place {
  const { offset, metadataBytes, bodyBytes } = place
  for (const n of [offset, metadataBytes, bodyBytes])
    if (!(Number.isSafeInteger(n) && n >= 0))
      throw new FormatError(`${path}: a message at byte ${offset} of ${metadataBytes} + ${bodyBytes} bytes`)
  if (metadataBytes > MAX_METADATA_BYTES || bodyBytes > MAX_BATCH_BYTES)
    throw new FormatError(
      `${path}: a record batch of ${metadataBytes} + ${bodyBytes} bytes, at most ${MAX_BATCH_BYTES} are read at once; write the file with smaller batches`,
    )
  if (offset + metadataBytes + bodyBytes > size)
    throw new FormatError(
      `${path}: truncated: a message of ${metadataBytes + bodyBytes} bytes at byte ${offset}, the file has ${size}`,
    )
  return place
}

/** The flatbuffer of the message at `offset`; its prefix is 4 bytes in files of Arrow before 0.15, else 8. Empty = end of stream. */
async function readMetadata(
  bytes: Bytes,
  { offset }: Pick<Place, 'offset'>,
): Promise<{ metadata: Uint8Array; metadataBytes: number }> {
  const prefix = Buffer.from(await bytes.read(offset, 8))
  const marked = prefix.readUInt32LE(0) === CONTINUATION
  const length = prefix.readInt32LE(marked ? 4 : 0)
  const before = marked ? 8 : 4
  if (length < 0 || length > MAX_METADATA_BYTES || offset + before + length > bytes.size)
    throw new FormatError(
      `${bytes.path}: not an Arrow file or stream, or truncated: a message of ${length} bytes at byte ${offset}`,
    )
  return { metadata: await bytes.read(offset + before, length), metadataBytes: before + length }
}

/** A message and its body, and how many bytes its buffers hold when they are decompressed. */
async function readWhole(
  bytes: Bytes,
  { offset, metadataBytes, bodyBytes }: Place,
): Promise<{ data: Uint8Array; unpacked: number }> {
  const data = await bytes.read(offset, metadataBytes + bodyBytes)
  const view = new DataView(data.buffer)
  const message = Message.decode(data.subarray(view.getUint32(0, true) === CONTINUATION ? 8 : 4, metadataBytes))
  const header = message.isDictionaryBatch()
    ? message.header().data
    : message.isRecordBatch()
      ? message.header()
      : undefined
  if (!header?.compression) return { data, unpacked: bodyBytes }
  let unpacked = 0
  for (const { offset, length } of header.buffers) {
    if (length === 0) continue
    if (!(offset >= 0 && length >= LENGTH_BYTES && offset + length <= bodyBytes))
      throw new FormatError(`${bytes.path}: a compressed buffer of ${length} bytes at ${offset} of ${bodyBytes}`)
    const said = Number(view.getBigInt64(metadataBytes + offset, true))
    unpacked += said === AS_IT_IS ? length : said
    if (said < AS_IT_IS) unpacked = Number.NaN
  }
  checkUnpacked(`${bytes.path}: a record batch`, { unpacked, packed: bodyBytes })
  return { data, unpacked }
}

/** Before each compressed buffer: what it decompresses to, or -1 where it is not compressed. */
const LENGTH_BYTES = 8
const AS_IT_IS = -1

function encapsulate(metadata: Uint8Array): Uint8Array {
  const padded = (metadata.length + 7) & ~7
  const message = Buffer.alloc(8 + padded)
  message.writeUInt32LE(CONTINUATION, 0)
  message.writeInt32LE(padded, 4)
  message.set(metadata, 8)
  return message
}

/** apache-arrow keeps its codecs in one place for the process. */
async function registerCodecs(): Promise<void> {
  const { compressionRegistry, CompressionType } = await import('apache-arrow')
  if (compressionRegistry.get(CompressionType.ZSTD)) return
  const { decompressZstd } = await import('hyparquet-compressors')
  const { decodeLz4Frame } = await import('./lz4-frame.js')
  /** The length lies before the bytes that a codec is given; no more than that is made. */
  const exactly = (decode: (data: Uint8Array, length: number) => Uint8Array) => (data: Uint8Array) => {
    const length = Number(new DataView(data.buffer, data.byteOffset - LENGTH_BYTES, LENGTH_BYTES).getBigInt64(0, true))
    const decoded = decode(data, length)
    if (decoded.length !== length) throw new Error(`a buffer of ${decoded.length} bytes, expected ${length}`)
    return decoded
  }
  compressionRegistry.set(CompressionType.ZSTD, {
    decode: exactly((data, length) => decompressZstd(data, new Uint8Array(length))),
  })
  compressionRegistry.set(CompressionType.LZ4_FRAME, { decode: exactly(decodeLz4Frame) })
}
