/** A Parquet file of one column 'x' of int32 or byte arrays, whose pages say of themselves what a test wants them to say. */

type Value = number | bigint | string | Value[] | { [field: number]: Value }

/** Thrift's compact protocol: numbers are i32, bigints i64, objects structs by field number. */
function thrift(value: Value): number[] {
  if (typeof value === 'number' || typeof value === 'bigint') return varint(BigInt(value) * 2n)
  if (typeof value === 'string') return [...varint(BigInt(value.length)), ...Buffer.from(value)]
  if (Array.isArray(value)) return [(value.length << 4) | typeOf(value[0]!), ...value.flatMap(thrift)]
  let last = 0
  const fields = Object.entries(value).flatMap(([field, own]) => {
    const head = ((Number(field) - last) << 4) | typeOf(own)
    last = Number(field)
    return [head, ...thrift(own)]
  })
  return [...fields, 0]
}
const typeOf = (value: Value) =>
  typeof value === 'number'
    ? 5
    : typeof value === 'bigint'
      ? 6
      : typeof value === 'string'
        ? 8
        : Array.isArray(value)
          ? 9
          : 12

export function varint(value: bigint): number[] {
  return value < 128n ? [Number(value)] : [Number(value & 127n) | 128, ...varint(value >> 7n)]
}

export interface HostilePage {
  data: Uint8Array
  values: number
  encoding?: number
  /** Of the page, by its header. */
  unpacked?: number
  dictionary?: boolean
}

export function parquet(
  pages: HostilePage[],
  claims: {
    rows?: bigint
    values?: bigint
    unpacked?: bigint
    codec?: number
    type?: number
    optional?: boolean
    metadata?: Record<string, string>
  } = {},
): Buffer {
  const made = pages.flatMap(({ data, values, encoding = 0, unpacked = data.length, dictionary }) => [
    Buffer.from(
      thrift({
        1: dictionary ? 2 : 0,
        2: unpacked,
        3: data.length,
        ...(dictionary ? { 7: { 1: values, 2: encoding } } : { 5: { 1: values, 2: encoding, 3: 3, 4: 3 } }),
      }),
    ),
    data,
  ])
  const body = Buffer.concat(made)
  const total = BigInt(pages.reduce((sum, { values, dictionary }) => sum + (dictionary ? 0 : values), 0))
  const {
    rows = total,
    values = rows,
    unpacked = BigInt(body.length),
    codec = 0,
    type = 1,
    optional = true,
    metadata = {},
  } = claims
  const column = { 1: type, 2: [0], 3: ['x'], 4: codec, 5: values, 6: unpacked, 7: BigInt(body.length), 9: 4n }
  const entries = Object.entries(metadata).map(([key, value]) => ({ 1: key, 2: value }))
  const own: { [field: number]: Value } = entries.length > 0 ? { 5: entries } : {}
  const footer = Buffer.from(
    thrift({
      1: 1,
      2: [
        { 4: 'root', 5: 1 },
        { 1: type, 3: optional ? 1 : 0, 4: 'x' },
      ],
      3: rows,
      4: [{ 1: [{ 2: 4n, 3: column }], 2: unpacked, 3: rows }],
      ...own,
    }),
  )
  const length = Buffer.alloc(4)
  length.writeUInt32LE(footer.length)
  return Buffer.concat([Buffer.from('PAR1'), body, footer, length, Buffer.from('PAR1')])
}
