/**
 * A table of a FlatBuffer (https://flatbuffers.dev/internals/), in which Arrow's metadata is, from bytes that may be hostile. The library believes the
 * lengths that are in it, so that one flipped bit may keep it busy for minutes: what is read here stays within the bytes, and is no more than they can hold.
 * Fields are numbered by their order in the schema; one that is absent is 0, '' or an empty vector.
 */
export class FlatTable {
  private constructor(
    private readonly view: DataView,
    private readonly at: number,
    /** Bytes that may still be read, of all of the buffer: it may lead to the same ones again and again. */
    private readonly left: { bytes: number },
  ) {
    this.spend(TABLE_BYTES)
  }

  /** The root. @throws RangeError, Error, here and from every getter: what is asked for lies outside the bytes */
  static of(bytes: Uint8Array): FlatTable {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    return new FlatTable(view, view.getUint32(0, true), { bytes: SHARED * bytes.byteLength })
  }

  uint8(field: number): number {
    const at = this.place(field)
    return at === undefined ? 0 : this.view.getUint8(at)
  }

  int16(field: number): number {
    const at = this.place(field)
    return at === undefined ? 0 : this.view.getInt16(at, true)
  }

  int32(field: number): number {
    const at = this.place(field)
    return at === undefined ? 0 : this.view.getInt32(at, true)
  }

  /** @throws RangeError beyond 2^53, too */
  int64(field: number): number {
    const at = this.place(field)
    return at === undefined ? 0 : safe(this.view.getBigInt64(at, true))
  }

  text(field: number): string {
    const { from, length } = this.vector(field, 1)
    return Buffer.from(this.view.buffer, this.view.byteOffset + from, length).toString('utf8')
  }

  table(field: number): FlatTable | undefined {
    const at = this.place(field)
    return at === undefined ? undefined : this.follow(at)
  }

  tables(field: number): FlatTable[] {
    const { from, length } = this.vector(field, 4)
    return Array.from({ length }, (_, i) => this.follow(from + 4 * i))
  }

  /** A vector of structs of `size` bytes; `read` is given each one's getters, by offset within it. */
  structs<T>(field: number, size: number, read: (struct: Struct) => T): T[] {
    const { from, length } = this.vector(field, size)
    return Array.from({ length }, (_, i) => {
      const place = from + size * i
      return read({
        int32: (offset) => this.view.getInt32(place + offset, true),
        int64: (offset) => safe(this.view.getBigInt64(place + offset, true)),
      })
    })
  }

  /** Where the elements of a vector lie, of `size` bytes each. @throws Error: more of them than there are bytes */
  vector(field: number, size: number): { from: number; length: number } {
    const at = this.place(field)
    if (at === undefined) return { from: 0, length: 0 }
    const start = at + this.view.getUint32(at, true)
    const length = this.view.getUint32(start, true)
    if (start + 4 + length * size > this.view.byteLength)
      throw new Error(`a list of ${length} in ${this.view.byteLength} bytes`)
    this.spend(length * size)
    return { from: start + 4, length }
  }

  private place(field: number): number | undefined {
    const places = this.at - this.view.getInt32(this.at, true)
    const at = 4 + 2 * field
    const offset = at < this.view.getUint16(places, true) ? this.view.getUint16(places + at, true) : 0
    return offset === 0 ? undefined : this.at + offset
  }

  private spend(bytes: number): void {
    this.left.bytes -= bytes
    if (this.left.bytes < 0) throw new Error('a flatbuffer that leads to its tables again and again')
  }

  private follow(at: number): FlatTable {
    return new FlatTable(this.view, at + this.view.getUint32(at, true), this.left)
  }
}

/** Numbers of a struct, by their offset in bytes. */
export interface Struct {
  int32(offset: number): number
  int64(offset: number): number
}

/** Bytes that a table takes at least: where its fields are. */
const TABLE_BYTES = 4
/** How often a buffer's bytes may be read, on average: a writer may store equal texts once. */
const SHARED = 4

function safe(value: bigint): number {
  const number = Number(value)
  if (!Number.isSafeInteger(number)) throw new RangeError(`${value} is too large`)
  return number
}
