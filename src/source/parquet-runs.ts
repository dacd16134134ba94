/** What the bytes of a Parquet page are checked for before they are decoded: that its runs and lengths are not longer than its values. */

const MAX_VARINT_BYTES = 5

/** Where reading is, and where it ends. */
interface Cursor {
  bytes: Uint8Array
  at: number
  end: number
}

function byte(cursor: Cursor): number {
  if (cursor.at >= cursor.end) throw new Error('a page that ends within its values')
  return cursor.bytes[cursor.at++]!
}

function varint(cursor: Cursor): number {
  let value = 0
  for (let i = 0; i < MAX_VARINT_BYTES; i++) {
    const next = byte(cursor)
    value += (next & 127) * 2 ** (7 * i)
    if (next < 128) return value
  }
  throw new Error('a number of more than five bytes')
}

/** Walks the RLE / bit-packing hybrid of `values` numbers of `width` bits: a run repeats its number as often as it says. */
export function checkRuns(bytes: Uint8Array, span: { from: number; to: number; width: number; values: number }): void {
  const { from, to, width, values } = span
  const cursor = { bytes, at: from, end: Math.min(to, bytes.length) }
  for (let seen = 0; seen < values && cursor.at < cursor.end; ) {
    const header = varint(cursor)
    const count = Math.floor(header / 2)
    if (header & 1) {
      if (count > 2 ** 27) throw new Error(`${count} groups of packed values`)
      cursor.at += count * width
      seen += count * 8
    } else {
      if (count > values) throw new Error(`a run of ${count} in a page of ${values} values`)
      cursor.at += Math.ceil(width / 8)
      seen += count
    }
  }
}

/** Adds up the lengths of DELTA_BINARY_PACKED at `from`. @returns their sum, and where they end */
export function sumDeltas(bytes: Uint8Array, from: number, values: number): { sum: number; end: number } {
  const cursor = { bytes, at: from, end: bytes.length }
  const zigzag = () => {
    const value = varint(cursor)
    return value % 2 ? -(value + 1) / 2 : value / 2
  }
  const [block, miniblocks] = [varint(cursor), varint(cursor)]
  varint(cursor) // its own count; the page's is read
  const each = block / miniblocks
  if (!(Number.isInteger(each) && each > 0 && each % 8 === 0)) throw new Error('blocks of deltas of an impossible size')
  let value = zigzag()
  let sum = 0
  const add = () => {
    if (value < 0) throw new Error(`a length of ${value}`)
    sum += value
  }
  if (values > 0) add()
  for (let seen = 1; seen < values; ) {
    const least = zigzag()
    const widths = cursor.at
    cursor.at += miniblocks
    for (let m = 0; m < miniblocks && seen < values; m++) {
      const width = bytes[widths + m]!
      if (!(width <= 32)) throw new Error(`deltas of ${width} bits`)
      for (let i = 0; i < each && seen < values; i++, seen++) {
        value += least + bits(bytes, { at: cursor.at, bit: i * width, width })
        add()
      }
      cursor.at += (each * width) / 8
    }
  }
  return { sum, end: cursor.at }
}

function bits(bytes: Uint8Array, { at, bit, width }: { at: number; bit: number; width: number }): number {
  let value = 0
  for (let i = 0; i < width; i++) {
    const place = bit + i
    const octet = bytes[at + (place >> 3)]
    if (octet === undefined) throw new Error('a page that ends within its values')
    value += ((octet >> (place & 7)) & 1) * 2 ** i
  }
  return value
}
