/**
 * A table of a FlatBuffer (https://flatbuffers.dev/internals/), in which Arrow's metadata is. The library believes the lengths that are in it, so that
 * one flipped bit may keep it busy for minutes: what is read here stays within the bytes, and is no more than they can hold.
 */
export class FlatTable {
  private constructor(
    private readonly bytes: Buffer,
    private readonly at: number,
    /** Tables that may still be read, of all of the buffer: it may lead to one again and again. */
    private readonly left: { tables: number },
  ) {
    if (left.tables-- === 0) throw new Error('a flatbuffer that leads to its tables again and again')
  }

  /** The root. @throws RangeError, Error: bytes that are none */
  static of(data: Uint8Array): FlatTable {
    const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength)
    return new FlatTable(bytes, bytes.readUInt32LE(0), { tables: 1 + bytes.length / LEAST_BYTES })
  }

  number(field: number, type: 'Int8' | 'Int16' | 'Int32'): number {
    const at = this.place(field)
    if (at === undefined) return 0
    return type === 'Int8'
      ? this.bytes.readInt8(at)
      : type === 'Int16'
        ? this.bytes.readInt16LE(at)
        : this.bytes.readInt32LE(at)
  }

  text(field: number): string | undefined {
    const vector = this.vector(field, 1)
    return vector && this.bytes.toString('utf8', vector.from, vector.from + vector.length)
  }

  table(field: number): FlatTable | undefined {
    const at = this.place(field)
    return at === undefined ? undefined : this.follow(at)
  }

  tables(field: number): FlatTable[] {
    const { from, length } = this.vector(field, 4) ?? { from: 0, length: 0 }
    return Array.from({ length }, (_, i) => this.follow(from + 4 * i))
  }

  /** Where the elements of a vector lie. @throws Error: more of them than there are bytes */
  vector(field: number, size: number): { from: number; length: number } | undefined {
    const at = this.place(field)
    if (at === undefined) return undefined
    const start = at + this.bytes.readUInt32LE(at)
    const length = this.bytes.readUInt32LE(start)
    if (start + 4 + length * size > this.bytes.length)
      throw new Error(`a list of ${length} in ${this.bytes.length} bytes`)
    return { from: start + 4, length }
  }

  private place(field: number): number | undefined {
    const table = this.at - this.bytes.readInt32LE(this.at)
    const offset = 4 + 2 * field < this.bytes.readUInt16LE(table) ? this.bytes.readUInt16LE(table + 4 + 2 * field) : 0
    return offset === 0 ? undefined : this.at + offset
  }

  private follow(at: number): FlatTable {
    return new FlatTable(this.bytes, at + this.bytes.readUInt32LE(at), this.left)
  }
}

/** Of a table: where its fields are. Those fields may be shared. */
const LEAST_BYTES = 4
