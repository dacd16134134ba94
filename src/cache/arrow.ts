import { MessageHeader, MetadataVersion, Precision } from 'apache-arrow/enum'
import { FileBlock, Footer } from 'apache-arrow/ipc/metadata/file'
import { BufferRegion, FieldNode, Message, RecordBatch } from 'apache-arrow/ipc/metadata/message'
import { Field, Schema } from 'apache-arrow/schema'
import { type DataType, FixedSizeList, Float, Int32, Uint8, Uint16, Utf8 } from 'apache-arrow/type'
import type { CodecName } from './codecs/codec.js'
import { type Column, type ColumnType, columnsOf, type RowKind } from './columns.js'

// The Arrow IPC file format (https://arrow.apache.org/docs/format/Columnar.html#ipc-file-format). apache-arrow encodes the
// metadata; the layout is here, because its writer aligns to 8 bytes, leaves the schema message out of files and has no backpressure.

/** Buffers start at multiples of this within the file, as the format recommends: they can be mapped and read with any SIMD width. */
export const ALIGNMENT = 64
export const MAGIC = Buffer.from('ARROW1')
const PADDING = new Uint8Array(ALIGNMENT)

/** One buffer of a record batch: `nulls` and `length` describe the column it belongs to where it starts one. */
export interface BatchColumn {
  /** the field nodes of the column, depth first: a list and its child are two */
  nodes: { length: number; nulls: number }[]
  buffers: Uint8Array[]
}

/** Where an encoded batch lies in the file: an entry of the footer. */
export interface Block {
  offset: number
  metadataBytes: number
  bodyBytes: number
}

const arrowTypes: Record<ColumnType, () => DataType> = {
  float32: () => new Float(Precision.SINGLE),
  float16: () => new Float(Precision.HALF),
  int32: () => new Int32(),
  uint16: () => new Uint16(),
  uint8: () => new Uint8(),
}

export function arrowSchema(kind: RowKind): Schema {
  const typeOf = ({ type, width, list }: Column): DataType => {
    const value = arrowTypes[type]()
    return list ? new FixedSizeList(width, new Field('item', value, false)) : value
  }
  const fields = [
    new Field('id', new Utf8(), false),
    new Field('label', new Int32(), true),
    ...columnsOf(kind).map((column) => new Field(column.name, typeOf(column), false)),
  ]
  return new Schema(fields, new Map(Object.entries(schemaMetadata(kind.codec))), undefined, MetadataVersion.V5)
}

/** What a shard says of itself, so that one that got separated from its manifest can still be read. */
export const schemaMetadata = (codec: CodecName): Record<string, string> => ({
  'decant.format': 'decant 1',
  'decant.kind': 'logits',
  'decant.codec': codec,
})

/** The start of a file: magic, then the schema message, as the format has the whole stream inside the file. */
export function encodeHead(schema: Schema): Uint8Array[] {
  const magic = Buffer.concat([MAGIC, new Uint8Array(2)])
  return [magic, ...encapsulate(Message.encode(Message.from(schema)), magic.length)]
}

/** A record batch at `offset` (a multiple of 64): the bytes in order, and its entry for the footer. */
export function encodeBatch(
  columns: BatchColumn[],
  rows: number,
  offset: number,
): { bytes: Uint8Array[]; block: Block } {
  const regions: BufferRegion[] = []
  const body: Uint8Array[] = []
  let bodyBytes = 0
  for (const buffer of columns.flatMap((column) => column.buffers)) {
    regions.push(new BufferRegion(bodyBytes, buffer.byteLength))
    const padding = padded(buffer.byteLength) - buffer.byteLength
    body.push(buffer, PADDING.subarray(0, padding))
    bodyBytes += buffer.byteLength + padding
  }
  const nodes = columns.flatMap((column) => column.nodes).map(({ length, nulls }) => new FieldNode(length, nulls))
  const header = new RecordBatch(rows, nodes, regions, null)
  const message = new Message(bodyBytes, MetadataVersion.V5, MessageHeader.RecordBatch, header)
  const metadata = encapsulate(Message.encode(message), offset)
  const metadataBytes = metadata.reduce((sum, part) => sum + part.byteLength, 0)
  return { bytes: [...metadata, ...body], block: { offset, metadataBytes, bodyBytes } }
}

/** The end of a file: end-of-stream marker, footer, its length, magic. */
export function encodeTail(schema: Schema, blocks: Block[]): Uint8Array[] {
  const fileBlocks = blocks.map(
    ({ offset, metadataBytes, bodyBytes }) => new FileBlock(metadataBytes, bodyBytes, offset),
  )
  const footer = Footer.encode(new Footer(schema, MetadataVersion.V5, fileBlocks, []))
  const length = Buffer.alloc(4)
  length.writeInt32LE(footer.byteLength)
  return [int32Pair(-1, 0), footer, length, MAGIC]
}

/** Continuation marker and length before a message, zeros after it, so that what follows is aligned within the file. */
function encapsulate(message: Uint8Array, offset: number): Uint8Array[] {
  const end = padded(offset + 8 + message.byteLength)
  const length = end - offset - 8
  return [int32Pair(-1, length), message, PADDING.subarray(0, length - message.byteLength)]
}

function int32Pair(first: number, second: number): Uint8Array {
  const bytes = Buffer.alloc(8)
  bytes.writeInt32LE(first, 0)
  bytes.writeInt32LE(second, 4)
  return bytes
}

const padded = (bytes: number) => Math.ceil(bytes / ALIGNMENT) * ALIGNMENT
