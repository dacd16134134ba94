/** Structs of Thrift's compact protocol (https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md), as far as page headers of Parquet need it. */

/** Values by field number; those of strings and lists are left out. */
export type Struct = Map<number, number | boolean | Struct>

const [TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, SET, STRUCT] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12]
/** A header holds a header, and that holds statistics. */
const MAX_DEPTH = 8

/** Reads the struct at `at`. @throws Error: it ends outside the bytes, or holds what no page header holds */
export function readStruct(bytes: Uint8Array, at: number): { value: Struct; end: number } {
  const byte = () => {
    if (at >= bytes.length) throw new Error('a page header that is not whole')
    return bytes[at++]!
  }
  const varint = () => {
    let value = 0
    for (let shift = 1; ; shift *= 128) {
      const next = byte()
      value += (next & 127) * shift
      if (next < 128) return value
      if (shift > 2 ** 62) throw new Error('a number of more than ten bytes')
    }
  }
  const zigzag = () => {
    const value = varint()
    return value % 2 ? -(value + 1) / 2 : value / 2
  }
  const skip = (length: number) => {
    if (length > bytes.length - at) throw new Error('a page header that is not whole')
    at += length
  }
  const element = (type: number, depth: number): number | boolean | Struct | undefined => {
    if (type === TRUE || type === FALSE) return type === TRUE
    if (type === BYTE) return byte()
    if (type === I16 || type === I32 || type === I64) return zigzag()
    if (type === DOUBLE) return skip(8) as undefined
    if (type === BINARY) return skip(varint()) as undefined
    if (type === STRUCT) return struct(depth + 1)
    if (type !== LIST && type !== SET) throw new Error(`a page header with a value of type ${type}`)
    const head = byte()
    const size = head >> 4 === 15 ? varint() : head >> 4
    const of = head & 15
    for (let i = 0; i < size; i++) element(of === TRUE || of === FALSE ? BYTE : of, depth + 1)
    return undefined
  }
  const struct = (depth: number): Struct => {
    if (depth > MAX_DEPTH) throw new Error('a page header nested too deeply')
    const fields: Struct = new Map()
    for (let field = 0; ; ) {
      const head = byte()
      if ((head & 15) === 0) return fields
      field = head >> 4 ? field + (head >> 4) : zigzag()
      const value = element(head & 15, depth)
      if (value !== undefined) fields.set(field, value)
    }
  }
  return { value: struct(0), end: at }
}
