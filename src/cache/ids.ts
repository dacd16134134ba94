import { DecantError } from '../errors.js'

/** Ids of n rows in Arrow's utf8 layout: id i is bytes[offsets[i] .. offsets[i+1]), offsets[0] = 0, n+1 offsets. */
export interface IdColumn {
  offsets: Int32Array
  bytes: Uint8Array
}

const decoder = new TextDecoder()

export const idAt = ({ offsets, bytes }: IdColumn, index: number): string =>
  decoder.decode(bytes.subarray(offsets[index]!, offsets[index + 1]!))

/** The ids of a list of strings. */
export function idColumn(ids: string[]): IdColumn {
  const encoded = ids.map((id) => Buffer.from(id))
  const offsets = new Int32Array(ids.length + 1)
  encoded.forEach((bytes, i) => {
    offsets[i + 1] = offsets[i]! + bytes.length
  })
  return { offsets, bytes: new Uint8Array(Buffer.concat(encoded)) }
}

/** One column after another. */
export function concatIds(columns: IdColumn[]): IdColumn {
  if (columns.length === 1) return columns[0]!
  const rows = columns.reduce((sum, { offsets }) => sum + offsets.length - 1, 0)
  const offsets = new Int32Array(rows + 1)
  let [row, base] = [0, 0]
  for (const column of columns) {
    for (let i = 1; i < column.offsets.length; i++) offsets[++row] = base + column.offsets[i]!
    base += column.bytes.length
  }
  if (base > MAX_BYTES)
    throw new DecantError(`ids of ${base} bytes at once, expected at most ${MAX_BYTES}: read fewer rows`)
  const bytes = new Uint8Array(base)
  let at = 0
  for (const column of columns) {
    bytes.set(column.bytes, at)
    at += column.bytes.length
  }
  return { offsets, bytes }
}

/** What int32 offsets can reach. */
const MAX_BYTES = 2 ** 31 - 1
