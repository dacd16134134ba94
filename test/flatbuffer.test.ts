import { describe, expect, test } from 'vitest'
import { FlatTable } from '../src/flatbuffer.js'

/** A buffer whose root has one field: a vector of `places`, the bytes where its tables are. */
function rootOf(bytes: number, places: number[]): DataView {
  const view = new DataView(new ArrayBuffer(bytes))
  const [fields, root, vector] = [4, 12, 24]
  view.setUint32(0, root, true)
  view.setUint16(fields, 6, true)
  view.setUint16(fields + 4, 4, true) // field 0 is 4 bytes behind the table's start
  view.setInt32(root, root - fields, true)
  view.setUint32(root + 4, vector - root - 4, true)
  view.setUint32(vector, places.length, true)
  places.forEach((place, i) => {
    const at = vector + 4 + 4 * i
    view.setUint32(at, place - at, true)
  })
  return view
}
const bytesOf = (view: DataView) => new Uint8Array(view.buffer)

describe('a FlatBuffer', () => {
  test('whose vector says that it has more elements than there are bytes is refused before one is read', () => {
    const view = rootOf(64, [])
    view.setUint32(24, 2 ** 31, true)
    expect(() => FlatTable.of(bytesOf(view)).tables(0)).toThrow('a list of 2147483648 in 64 bytes')
  })

  test('is read as often as its bytes have it, not as often as they lead to the same place', () => {
    // 4,000 tables that are one, whose field is a text of 4,000 letters: 16 MB of 20 kB
    const [count, table, text] = [4000, 16_040, 16_060]
    const view = rootOf(20_480, Array(count).fill(table))
    view.setInt32(table, table - 4, true)
    view.setUint32(table + 4, text - table - 4, true)
    view.setUint32(text, 4000, true)
    const tables = FlatTable.of(bytesOf(view)).tables(0)
    expect(tables[0]!.text(0)).toHaveLength(4000)
    expect(() => tables.map((one) => one.text(0))).toThrow('leads to its tables again and again')
  })

  test('whose field leads out of its bytes is refused', () => {
    const view = rootOf(64, [60])
    view.setUint32(28, 1000, true)
    expect(() => FlatTable.of(bytesOf(view)).tables(0)[0]?.int32(0)).toThrow(RangeError)
  })
})
