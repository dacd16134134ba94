import { FlatTable } from '../flatbuffer.js'
import { type Block, MAGIC } from './arrow.js'
import { type Column, columnTypes, describeColumn } from './columns.js'

// Where things lie in a shard, checked. Pure functions over metadata bytes; anything wrong throws an Error, to which the caller
// adds the file's name. Slot numbers are the order of fields in Arrow's File.fbs, Schema.fbs and Message.fbs.

/** A footer holds the schema and 24 bytes a batch; a shard of the largest sensible size has some thousand batches. */
export const MAX_FOOTER_BYTES = 16 * 2 ** 20
/** A batch's metadata holds 16 bytes for each of its dozen buffers and nodes. */
export const MAX_METADATA_BYTES = 64 * 2 ** 10

/** No codec has more than a dozen columns. */
const MAX_FIELDS = 32

export interface ShardShape {
  classes: number
  /** behind id and label */
  columns: Column[]
  rows: number
  rowsPerBatch: number
  bytes: number
}

/** A part of the file. */
export interface Region {
  at: number
  bytes: number
}

/** One record batch: positions are absolute in the file. */
export interface BatchLayout {
  rows: number
  idOffsets: Region
  idBytes: Region
  /** undefined where no label is null */
  labelValidity: Region | undefined
  labels: Region
  /** by column, behind id and label */
  columns: Region[]
}

const [V4, LITTLE, RECORD_BATCH] = [3, 0, 3]
const Type = { int: 2, float: 3, utf8: 5, fixedSizeList: 16 } as const

/** Bytes of a file's end that say how long the footer is. */
export const TAIL_BYTES = 4 + MAGIC.length

export function footerRegion(tail: Uint8Array, fileBytes: number): Region {
  if (!MAGIC.equals(tail.subarray(4)))
    throw new Error('not an Arrow IPC file, or cut short: the last bytes are not ARROW1')
  const bytes = new DataView(tail.buffer, tail.byteOffset, tail.byteLength).getInt32(0, true)
  const at = fileBytes - TAIL_BYTES - bytes
  if (bytes <= 0 || bytes > MAX_FOOTER_BYTES || at < MAGIC.length) throw new Error(`footer of ${bytes} bytes`)
  return { at, bytes }
}

/** Checks the footer's schema and gives where each batch lies. */
export function parseFooter(bytes: Uint8Array, shape: ShardShape): Block[] {
  const footer = FlatTable.of(bytes)
  checkSchema(footer, shape)
  const blocks = footer.structs(3, 24, (block) => ({
    offset: block.int64(0),
    metadataBytes: block.int32(8),
    bodyBytes: block.int64(16),
  }))
  expect('record batches', Math.ceil(shape.rows / shape.rowsPerBatch), blocks.length)
  for (const { offset, metadataBytes, bodyBytes } of blocks) {
    if (
      offset < 0 ||
      metadataBytes < 16 ||
      metadataBytes > MAX_METADATA_BYTES ||
      bodyBytes < 0 ||
      offset + metadataBytes + bodyBytes > shape.bytes
    )
      throw new Error('a record batch lies outside the file')
  }
  return blocks
}

function checkSchema(footer: FlatTable, { columns }: ShardShape): void {
  const schema = footer.table(1)
  if (!schema || footer.int16(0) < V4) throw new Error('no schema, or metadata older than version 4')
  expect('endianness (0 is little)', LITTLE, schema.int16(0))
  const count = schema.vector(1, 4).length
  if (count > MAX_FIELDS) throw new Error(`${count} columns, expected at most ${MAX_FIELDS}`)
  const fields = schema.tables(1)
  const wanted = ['id: utf8', 'label: int32', ...columns.map(describeColumn)]
  expect("the manifest's columns", wanted.join(', '), fields.map(describe).join(', '))
}

/** A field as `name: type`; types that no codec has are shown by their number. */
function describe(field: FlatTable): string {
  return `${field.text(0).slice(0, 40)}: ${field.table(4) ? 'dictionary' : typeOf(field)}`
}

function typeOf(field: FlatTable): string {
  const type = field.table(3)
  switch (field.uint8(2)) {
    case Type.utf8:
      return 'utf8'
    case Type.int:
      return `${type?.uint8(1) ? 'int' : 'uint'}${type?.int32(0)}`
    case Type.float:
      return ['float16', 'float32', 'float64'][type?.int16(0) ?? -1] ?? 'float?'
    case Type.fixedSizeList: {
      const [child] = field.tables(5)
      // One level: a child that is itself a list would let a small file recurse without end.
      const item = child && child.uint8(2) !== Type.fixedSizeList ? typeOf(child) : '?'
      return `${item}[${type?.int32(0)}]`
    }
    default:
      return `type ${field.uint8(2)}`
  }
}

/** Checks the metadata of batch `index` and gives where its buffers lie. */
export function parseBatch(
  bytes: Uint8Array,
  { block, index, shape }: { block: Block; index: number; shape: ShardShape },
): BatchLayout {
  const { columns, rowsPerBatch } = shape
  const rows = Math.min(rowsPerBatch, shape.rows - index * rowsPerBatch)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  expect('continuation marker', -1, view.getInt32(0, true))
  const message = FlatTable.of(bytes.subarray(8, 8 + view.getInt32(4, true)))
  const batch = message.table(2)
  if (!batch || message.uint8(1) !== RECORD_BATCH) throw new Error('expected a record batch, found another message')
  if (batch.table(3)) throw new Error('compressed buffers are not supported')
  expect('rows', rows, batch.int64(0))

  const nodes = batch.structs(1, 16, (node) => ({ length: node.int64(0), nulls: node.int64(8) }))
  const buffers = batch.structs(2, 16, (buffer) => ({ at: buffer.int64(0), bytes: buffer.int64(8) }))
  expect('field nodes', 2 + columns.reduce((sum, { list }) => sum + (list ? 2 : 1), 0), nodes.length)
  expect('buffers', 5 + columns.reduce((sum, { list }) => sum + (list ? 3 : 2), 0), buffers.length)

  /** The next node, which must have `length` values, none of them null unless that is allowed. */
  const nextNode = (length: number, nullable = false): number => {
    const node = nodes.shift()!
    expect('values of a column', length, node.length)
    if (node.nulls < 0 || node.nulls > (nullable ? length : 0))
      throw new Error(`${node.nulls} nulls in a column of ${length} values`)
    return node.nulls
  }
  /** The next buffer, which must lie in the body and hold at least `least` bytes. */
  const nextBuffer = (least = 0): Region => {
    const { at, bytes } = buffers.shift()!
    if (at < 0 || bytes < least || at + bytes > block.bodyBytes)
      throw new Error(`a buffer of ${bytes} bytes at ${at}, expected ${least} bytes within ${block.bodyBytes}`)
    return { at: block.offset + block.metadataBytes + at, bytes }
  }

  nextNode(rows)
  nextBuffer()
  const idOffsets = nextBuffer(rows === 0 ? 0 : 4 * (rows + 1))
  const idBytes = nextBuffer()
  const nulls = nextNode(rows, true)
  const labelValidity = nextBuffer(nulls ? Math.ceil(rows / 8) : 0)
  const labels = nextBuffer(4 * rows)
  const regions = columns.map(({ type, width, list }) => {
    nextNode(rows)
    nextBuffer()
    if (list) {
      nextNode(rows * width)
      nextBuffer()
    }
    return nextBuffer(rows * width * columnTypes[type].bytes)
  })
  return { rows, idOffsets, idBytes, labelValidity: nulls ? labelValidity : undefined, labels, columns: regions }
}

function expect(what: string, expected: number | string, found: number | string): void {
  if (expected !== found) throw new Error(`${what}: expected ${expected}, found ${found}`)
}
