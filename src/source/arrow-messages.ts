import { Message, MessageHeader, type Schema } from 'apache-arrow'
import { Footer } from 'apache-arrow/ipc/metadata/file'
import type { RecordBatch } from 'apache-arrow/ipc/metadata/message'
import { FormatError } from '../errors.js'
import { type ArrowField, type ArrowSchema, checkFooter, checkMessage } from './arrow-schema.js'
import { checkUnpacked } from './bounds.js'
import type { Bytes } from './bytes.js'

/** Metadata of a message: a few bytes a column. */
const MAX_METADATA_BYTES = 2 ** 26
/** A record batch is read whole. */
const MAX_BATCH_BYTES = 2 ** 30
const MAGIC = 'ARROW1'
const CONTINUATION = 0xffffffff

/** A message of the file: its metadata, 4 or 8 bytes of prefix included, and its body behind it. */
export interface Place {
  offset: number
  metadataBytes: number
  bodyBytes: number
}

/** The messages of a file, and its schema: what it says, and as the library has it. */
export interface Contents {
  isFile: boolean
  said: ArrowSchema
  schema: Schema
  batches: Place[]
  dictionaries: Place[]
}

/** Of files the footer is taken, of streams the messages are walked. @throws FormatError, Error: not an Arrow file, truncated, or of types that are not read */
export async function readContents(bytes: Bytes): Promise<Contents> {
  const isFile = bytes.size >= 8 && Buffer.from(await bytes.read(0, 6)).toString('latin1') === MAGIC
  return isFile ? readFooter(bytes) : walkStream(bytes)
}

async function readFooter(bytes: Bytes): Promise<Contents> {
  const { path, size } = bytes
  const tail = Buffer.from(await bytes.read(Math.max(0, size - 10), Math.min(10, size)))
  if (tail.toString('latin1', 4) !== MAGIC)
    throw new FormatError(`${path}: truncated Arrow file: it does not end with ${MAGIC}`)
  const length = tail.readInt32LE(0)
  if (length <= 0 || length > size - 18 || length > MAX_METADATA_BYTES)
    throw new FormatError(`${path}: an Arrow footer of ${length} bytes, the file has ${size}`)
  const data = await bytes.read(size - 10 - length, length)
  const said = checkFooter(data)
  refuseUnknown(said, path)
  const footer = Footer.decode(data)
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
  return { isFile: true, said, schema: footer.schema, batches, dictionaries }
}

async function walkStream(bytes: Bytes): Promise<Contents> {
  let said: ArrowSchema | undefined
  let schema: Schema | undefined
  const [batches, dictionaries]: [Place[], Place[]] = [[], []]
  for (let offset = 0; offset + 8 <= bytes.size; ) {
    const { metadata, metadataBytes } = await readMetadata(bytes, { offset })
    if (metadata.length === 0) break
    const own = checkMessage(metadata)
    if (own) refuseUnknown(own, bytes.path)
    const message = Message.decode(metadata)
    const place = checkPlace(bytes, { offset, metadataBytes, bodyBytes: message.bodyLength })
    if (own) [said, schema] = [own, message.header() as Schema]
    else if (!schema) throw new FormatError(`${bytes.path}: not an Arrow stream: it does not begin with a schema`)
    else if (message.headerType === MessageHeader.DictionaryBatch) dictionaries.push(place)
    else batches.push(place)
    offset += metadataBytes + place.bodyBytes
  }
  if (!said || !schema) throw new FormatError(`${bytes.path}: not an Arrow file or stream`)
  return { isFile: false, said, schema, batches, dictionaries }
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
export async function readMetadata(
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

/**
 * A message and its body, and how many bytes its buffers hold when they are decompressed. `fields`: of the file's schema.
 * @throws FormatError: columns of a record batch that are not as long as it is, buffers that unpack to more than they could
 */
export async function readWhole(
  bytes: Bytes,
  { offset, metadataBytes, bodyBytes }: Place,
  fields: ArrowField[],
): Promise<{ data: Uint8Array; unpacked: number }> {
  const data = await bytes.read(offset, metadataBytes + bodyBytes)
  const view = new DataView(data.buffer)
  const message = decodeMessage(data.subarray(view.getUint32(0, true) === CONTINUATION ? 8 : 4, metadataBytes))
  const header = message.isDictionaryBatch()
    ? message.header().data
    : message.isRecordBatch()
      ? message.header()
      : undefined
  if (message.isRecordBatch()) checkLengths(fields, message.header(), bytes.path)
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

/** The library fills shorter columns up to the longest, which may say any length. */
function checkLengths(fields: ArrowField[], { nodes, length }: RecordBatch, path: string): void {
  /** How many nodes a column has: its own, and those of what is in it. */
  const count = ({ dictionary, children }: ArrowField): number =>
    children.reduce((sum, child) => sum + (dictionary ? 0 : count(child)), 1)
  let next = 0
  for (const field of fields) {
    const found = nodes[next]?.length ?? 0
    if (found !== length)
      throw new FormatError(`${path}: column '${field.name}': ${found} values in a record batch of ${length} rows`)
    next += count(field)
  }
}

/** Before each compressed buffer: what it decompresses to, or -1 where it is not compressed. */
const LENGTH_BYTES = 8
const AS_IT_IS = -1

export function decodeMessage(metadata: Uint8Array): Message {
  checkMessage(metadata)
  return Message.decode(metadata)
}

export function encapsulate(metadata: Uint8Array): Uint8Array {
  const padded = (metadata.length + 7) & ~7
  const message = Buffer.alloc(8 + padded)
  message.writeUInt32LE(CONTINUATION, 0)
  message.writeInt32LE(padded, 4)
  message.set(metadata, 8)
  return message
}

/** apache-arrow keeps its codecs in one place for the process. */
export async function registerCodecs(): Promise<void> {
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
/** Types that the library does not know. @throws FormatError that says what makes others of them */
function refuseUnknown({ fields }: ArrowSchema, path: string): void {
  const look = (field: ArrowField, column: string): void => {
    const { kind } = field.type
    if (kind === 'run-end encoded')
      throw new FormatError(
        `${path}: column '${column}' is run-end encoded: decode it (pyarrow.compute.run_end_decode)`,
      )
    if (kind === 'list view')
      throw new FormatError(
        `${path}: column '${column}' is of list views: cast it to pyarrow.list_, or write the table as Parquet`,
      )
    for (const child of field.children) look(child, column)
  }
  for (const field of fields) look(field, field.name)
}
