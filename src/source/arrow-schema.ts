import { FlatTable } from '../flatbuffer.js'

/** What an Arrow schema (Schema.fbs) says of a column. */
export interface ArrowField {
  name: string
  /** Of a dictionary's entries, where there is one. */
  type: ArrowType
  dictionary: { ordered: boolean } | undefined
  children: ArrowField[]
  metadata: Map<string, string>
}

/** Types that matter here, by their numbers in Schema.fbs. */
export type ArrowType =
  | { kind: 'int' | 'uint' | 'float'; size: number }
  | { kind: 'fixed-size list'; length: number }
  | { kind: 'run-end encoded' | 'list view' | 'other' }

export interface ArrowSchema {
  fields: ArrowField[]
  metadata: Map<string, string>
}

const [INT, FLOAT, UNION, FIXED_SIZE_LIST, RUN_END_ENCODED, LIST_VIEW, LARGE_LIST_VIEW] = [2, 3, 14, 16, 22, 25, 26]
const [SCHEMA, DICTIONARY_BATCH, RECORD_BATCH] = [1, 2, 3]
/** Bytes of a Block (File.fbs), a FieldNode and a Buffer (Message.fbs). */
const [BLOCK, NODE, BUFFER] = [24, 16, 16]
/** Lists in more lists than this are no data. */
const MAX_DEPTH = 64

/**
 * Looks at a message (Message.fbs) before the library does; gives the schema where it is one.
 * @throws Error: it says that more is in it than its bytes can hold
 */
export function checkMessage(metadata: Uint8Array): ArrowSchema | undefined {
  const message = FlatTable.of(metadata)
  message.tables(4)
  const [type, header] = [message.uint8(1), message.table(2)]
  if (type === SCHEMA && header) return readSchema(header)
  const batch = type === DICTIONARY_BATCH ? header?.table(1) : type === RECORD_BATCH ? header : undefined
  batch?.vector(1, NODE)
  batch?.vector(2, BUFFER)
  batch?.vector(4, 8)
  return undefined
}

/** The same of a file's footer (File.fbs). */
export function checkFooter(bytes: Uint8Array): ArrowSchema {
  const footer = FlatTable.of(bytes)
  footer.vector(2, BLOCK)
  footer.vector(3, BLOCK)
  const schema = footer.table(1)
  if (!schema) throw new Error('a footer without a schema')
  return readSchema(schema)
}

function readSchema(schema: FlatTable): ArrowSchema {
  if (schema.int16(0) === 1) throw new Error('its numbers are big-endian')
  return { fields: schema.tables(1).map((field) => readField(field, 0)), metadata: readMetadata(schema.tables(2)) }
}

function readField(field: FlatTable, depth: number): ArrowField {
  if (depth === MAX_DEPTH) throw new Error(`columns in more than ${MAX_DEPTH} columns`)
  const dictionary = field.table(4)
  return {
    name: field.text(0),
    type: readType(field.uint8(2), field.table(3)),
    dictionary: dictionary && { ordered: dictionary.uint8(2) !== 0 },
    children: field.tables(5).map((child) => readField(child, depth + 1)),
    metadata: readMetadata(field.tables(6)),
  }
}

function readType(type: number, own: FlatTable | undefined): ArrowType {
  if (type === UNION) own?.vector(1, 4)
  if (type === INT && own) return { kind: own.uint8(1) ? 'int' : 'uint', size: own.int32(0) / 8 }
  if (type === FLOAT) return { kind: 'float', size: 2 << (own?.int16(0) ?? 0) }
  if (type === FIXED_SIZE_LIST && own) {
    const length = own.int32(0)
    if (length < 0) throw new Error(`lists of ${length} values`)
    return { kind: 'fixed-size list', length }
  }
  if (type === RUN_END_ENCODED) return { kind: 'run-end encoded' }
  return { kind: type === LIST_VIEW || type === LARGE_LIST_VIEW ? 'list view' : 'other' }
}

const readMetadata = (entries: FlatTable[]) => new Map(entries.map((entry) => [entry.text(0), entry.text(1)] as const))
