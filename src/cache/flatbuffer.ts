/**
 * Reads FlatBuffers (https://flatbuffers.dev/internals), the encoding of Arrow's metadata, from bytes that may be hostile. Every read
 * is a DataView's, so one outside the buffer throws RangeError, and a vector's length is checked against the buffer before anyone
 * loops over it. (apache-arrow's own decoder loops as often as the bytes tell it to.)
 */
export class Table {
  private constructor(
    private readonly view: DataView,
    private readonly at: number,
    private readonly slots: number,
    private readonly vtable: number,
  ) {}

  static root(bytes: Uint8Array): Table {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    return Table.open(view, view.getUint32(0, true))
  }

  private static open(view: DataView, at: number): Table {
    const vtable = at - view.getInt32(at, true)
    return new Table(view, at, (view.getUint16(vtable, true) - 4) >> 1, vtable)
  }

  /** Where field `slot` is stored; 0 where it is absent, which stands for its default. */
  private field(slot: number): number {
    const offset = slot < this.slots ? this.view.getUint16(this.vtable + 4 + 2 * slot, true) : 0
    return offset && this.at + offset
  }

  uint8(slot: number, absent = 0): number {
    const at = this.field(slot)
    return at ? this.view.getUint8(at) : absent
  }

  int16(slot: number, absent = 0): number {
    const at = this.field(slot)
    return at ? this.view.getInt16(at, true) : absent
  }

  int32(slot: number, absent = 0): number {
    const at = this.field(slot)
    return at ? this.view.getInt32(at, true) : absent
  }

  int64(slot: number): number {
    const at = this.field(slot)
    return at ? safe(this.view.getBigInt64(at, true)) : 0
  }

  table(slot: number): Table | undefined {
    const at = this.field(slot)
    return at ? Table.open(this.view, at + this.view.getUint32(at, true)) : undefined
  }

  string(slot: number): string {
    const { at, length } = this.vector(slot, 1)
    return Buffer.from(this.view.buffer, this.view.byteOffset + at, length).toString('utf8')
  }

  /** A vector of at most `most` tables. */
  tables(slot: number, most: number): Table[] {
    const { at, length } = this.vector(slot, 4)
    if (length > most) throw new RangeError(`${length} tables, expected at most ${most}`)
    return Array.from({ length }, (_, i) => {
      const place = at + 4 * i
      return Table.open(this.view, place + this.view.getUint32(place, true))
    })
  }

  /** A vector of structs of `size` bytes; `read` is given each one's getters, by offset within it. */
  structs<T>(slot: number, size: number, read: (struct: Struct) => T): T[] {
    const { at, length } = this.vector(slot, size)
    return Array.from({ length }, (_, i) => {
      const place = at + size * i
      return read({
        int32: (offset) => this.view.getInt32(place + offset, true),
        int64: (offset) => safe(this.view.getBigInt64(place + offset, true)),
      })
    })
  }

  private vector(slot: number, size: number): { at: number; length: number } {
    const field = this.field(slot)
    if (!field) return { at: 0, length: 0 }
    const vector = field + this.view.getUint32(field, true)
    const length = this.view.getUint32(vector, true)
    if (length * size > this.view.byteLength - vector - 4) throw new RangeError('a vector reaches outside the buffer')
    return { at: vector + 4, length }
  }
}

export interface Struct {
  int32(offset: number): number
  int64(offset: number): number
}

function safe(value: bigint): number {
  const number = Number(value)
  if (!Number.isSafeInteger(number)) throw new RangeError(`${value} is too large`)
  return number
}
