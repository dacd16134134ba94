import { FormatError } from '../errors.js'
import type { Bytes } from './bytes.js'
import { type ArrayType, type Block, CELL_BYTES, evenStarts, type Table } from './table.js'

/** An NPY file's header (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html). */
export interface NpyHeader {
  type: Pick<ArrayType, 'kind' | 'size'>
  /** Rows, then the shape of one. */
  dims: number[]
  /** Bytes before the data. */
  offset: number
}

/** numpy writes headers of 128 bytes; names of fields, which we do not read, make longer ones. */
const MAX_HEADER_BYTES = 2 ** 16
const MAX_RANK = 32
/** Rows are counted in int32 elsewhere; as many of a byte each are 2 GB. */
const MAX_ROWS = 2 ** 31 - 1
const kinds = { u: 'uint', b: 'bool', i: 'int', f: 'float' } as const

/**
 * Reads the header that a file begins with and checks that the data it claims is there.
 * @param start at least its first 64 KiB, or all of it
 * @throws FormatError: not NPY, truncated, a type or an order that is not read
 */
export function parseNpyHeader(start: Uint8Array, { path, size }: { path: string; size: number }): NpyHeader {
  const view = Buffer.from(start.buffer, start.byteOffset, start.byteLength)
  if (view.length < 10 || view.toString('latin1', 0, 6) !== '\x93NUMPY')
    throw new FormatError(`${path}: not an NPY file: it does not begin with \\x93NUMPY`)
  const version = view[6]!
  if (version < 1 || version > 3) throw new FormatError(`${path}: NPY version ${version}, expected 1, 2 or 3`)
  const before = version === 1 ? 10 : 12
  if (view.length < before) throw new FormatError(`${path}: truncated NPY header`)
  const length = version === 1 ? view.readUInt16LE(8) : view.readUInt32LE(8)
  const offset = before + length
  if (length > MAX_HEADER_BYTES || offset > view.length)
    throw new FormatError(
      `${path}: an NPY header of ${length} bytes, the file has ${size}; at most ${MAX_HEADER_BYTES} are read`,
    )
  const text = view.toString('latin1', before, offset)
  const field = (name: string, value: string) => new RegExp(`'${name}' *: *${value}`).exec(text)?.[1]
  const [descr, order, shape] = [
    field('descr', "'([^']*)'"),
    field('fortran_order', '(True|False)'),
    field('shape', '\\(([0-9, ]*)\\)'),
  ]
  if (descr === undefined || order === undefined || shape === undefined)
    throw new FormatError(
      `${path}: NPY header not understood (arrays of numbers are read): ${JSON.stringify(text.trim().slice(0, 100))}`,
    )
  if (order === 'True') throw new FormatError(`${path}: in Fortran order; save numpy.ascontiguousarray(array)`)
  const type = /^([<>|=])([ubif])([1248])$/.exec(descr)
  if (!type || (type[2] === 'f' && type[3] === '1') || (type[2] === 'b' && type[3] !== '1'))
    throw new FormatError(`${path}: numpy type '${descr}'; expected integers or floats of up to 8 bytes`)
  if (type[1] === '>' && type[3] !== '1')
    throw new FormatError(`${path}: big-endian type '${descr}'; save array.astype('<${descr.slice(1)}')`)
  const dims = shape
    .split(',')
    .map((n) => n.trim())
    .filter(Boolean)
    .map(Number)
  if (dims.length === 0 || dims.length > MAX_RANK)
    throw new FormatError(`${path}: an array of ${dims.length} dimensions, expected rows first`)
  const bytes = dims.reduce((a, b) => a * b, Number(type[3]))
  if (!Number.isSafeInteger(bytes) || offset + bytes !== size)
    throw new FormatError(`${path}: ${dims.join('×')} of '${descr}' are ${bytes} bytes of data, found ${size - offset}`)
  if (dims.slice(1).includes(0) || dims[0]! > MAX_ROWS)
    throw new FormatError(
      `${path}: an array of ${dims.join('×')}: expected at most ${MAX_ROWS} rows, none of them empty`,
    )
  return { type: { kind: kinds[type[2] as keyof typeof kinds], size: Number(type[3]) }, dims, offset }
}

/** An array as a column: its name, its bytes, and where in them the rows lie. */
export interface NpyColumn extends NpyHeader {
  name: string
  bytes: Bytes
}

export async function openNpyColumn(bytes: Bytes, name: string): Promise<NpyColumn> {
  const start = await bytes.read(0, Math.min(bytes.size, 12 + MAX_HEADER_BYTES))
  return { name, bytes, ...parseNpyHeader(start, bytes) }
}

/** Arrays as the columns of a table; they need not have the same length until a block of them is read. `rows` are those of the first. */
export function tableOfArrays(arrays: NpyColumn[], file: Pick<Bytes, 'path' | 'size' | 'sha256' | 'close'>): Table {
  const find = (name: string) => arrays.find((array) => array.name === name)!
  const bytesOf = ({ dims, type }: NpyColumn) => dims.slice(1).reduce((a, b) => a * b, type.size)
  const rowBytes = Math.max(...arrays.map(bytesOf))
  const rows = Math.max(...arrays.map(({ dims }) => dims[0]!))
  const readColumn = (name: string, range: { from: number; to: number }) =>
    readRows(find(name), { ...range, rows, path: file.path })
  const starts = evenStarts(rows, rowBytes)
  return {
    path: file.path,
    columns: arrays.map(({ name }) => name),
    starts,
    sha256: file.sha256,
    size: file.size,
    noKeys: true,
    arrayOf(name) {
      const array = arrays.find((array) => array.name === name)
      return array && { ...array.type, shape: array.dims.slice(1) }
    },
    blockBytes: (index, wanted) =>
      (starts[index + 1]! - starts[index]!) * wanted.reduce((sum, name) => sum + CELL_BYTES + bytesOf(find(name)), 0),
    async block(index, wanted): Promise<Block> {
      const range = { from: starts[index]!, to: starts[index + 1]! }
      return { columns: await Promise.all(wanted.map((name) => readColumn(name, range))) }
    },
    async pick(_, picked, wanted): Promise<Block> {
      const column = async (name: string) => {
        const cells: unknown[] = []
        for (const row of picked) cells.push((await readColumn(name, { from: row, to: row + 1 }))[0])
        return cells
      }
      return { columns: await Promise.all(wanted.map(column)) }
    },
    close: () => file.close(),
  }
}

/** An NPY file: one column, named by the file. */
export async function openNpy(bytes: Bytes, name: string): Promise<Table> {
  return tableOfArrays([await openNpyColumn(bytes, name)], bytes)
}

/** An array by itself, of whatever rank from 1. @throws FormatError */
export function decodeNpy(data: Uint8Array, path: string): { type: ArrayType; values: ArrayLike<unknown> } {
  const { type, dims, offset } = parseNpyHeader(data, { path, size: data.length })
  return { type: { ...type, shape: dims }, values: decodeNumbers(data.slice(offset), type) }
}

async function readRows(
  { name, bytes, dims, type, offset }: NpyColumn,
  { from, to, rows, path }: { from: number; to: number; rows: number; path: string },
): Promise<ArrayLike<unknown>> {
  if (dims[0] !== rows)
    throw new FormatError(`${path}: '${name}' has ${dims[0]} rows, expected ${rows} as the other arrays have`)
  const width = dims.slice(1).reduce((a, b) => a * b, 1)
  const raw = await bytes.read(offset + from * width * type.size, (to - from) * width * type.size)
  const values = decodeNumbers(raw, type)
  if (dims.length === 1) return values
  return Array.from({ length: to - from }, (_, i) => values.subarray(i * width, (i + 1) * width))
}

type Numbers =
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | BigUint64Array
  | Int8Array
  | Int16Array
  | Int32Array
  | BigInt64Array
  | Float32Array
  | Float64Array

/** Little-endian numbers as a typed array; float16 becomes float32. `raw` lies alone in its buffer. */
function decodeNumbers(raw: Uint8Array, { kind, size }: Pick<ArrayType, 'kind' | 'size'>): Numbers {
  const buffer = raw.buffer as ArrayBuffer
  if (kind === 'float')
    return size === 2
      ? floatOfHalf(new Uint16Array(buffer))
      : size === 4
        ? new Float32Array(buffer)
        : new Float64Array(buffer)
  if (kind === 'bool') return raw
  if (kind === 'uint')
    return new { 1: Uint8Array, 2: Uint16Array, 4: Uint32Array, 8: BigUint64Array }[size as 1 | 2 | 4 | 8](buffer)
  return new { 1: Int8Array, 2: Int16Array, 4: Int32Array, 8: BigInt64Array }[size as 1 | 2 | 4 | 8](buffer)
}

/** IEEE 754 binary16 → binary32, exact. */
export function floatOfHalf(halves: Uint16Array): Float32Array {
  const floats = new Float32Array(halves.length)
  for (let i = 0; i < halves.length; i++) {
    const half = halves[i]!
    const [sign, exponent, fraction] = [half >> 15 ? -1 : 1, (half >> 10) & 31, half & 1023]
    floats[i] =
      exponent === 31
        ? fraction
          ? Number.NaN
          : sign * Number.POSITIVE_INFINITY
        : exponent === 0
          ? sign * fraction * 2 ** -24
          : sign * (1024 + fraction) * 2 ** (exponent - 25)
  }
  return floats
}
