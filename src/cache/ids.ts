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
