import { type CodecName, codecOf, type TargetKind } from './codecs/codec.js'

/** Types of a shard's columns, beside the id's and the label's own. float16 is held as its bits, in a Uint16Array. */
export const columnTypes = {
  float32: { array: Float32Array, bytes: 4 },
  float16: { array: Uint16Array, bytes: 2 },
  int32: { array: Int32Array, bytes: 4 },
  uint16: { array: Uint16Array, bytes: 2 },
  uint8: { array: Uint8Array, bytes: 1 },
} as const

export type ColumnType = keyof typeof columnTypes

/** The values of one column, row-major. */
export type Stored = Float32Array | Int32Array | Uint16Array | Uint8Array

/** Columns by name, as they lie on disk. */
export type Columns = Record<string, Stored>

/** One column of a shard: no value is null. */
export interface Column {
  name: string
  type: ColumnType
  /** values per row */
  width: number
  /** stored as fixed_size_list, even where width is 1 */
  list: boolean
  /** of integers that count or name something: each is 0 to below - 1, checked where it is written and where it is read */
  below?: number
}

/** An input of a student as it is stored: an image's bytes, a row of numbers, a sequence of token ids (-1 = padding). */
export interface StoredInputs {
  kind: 'image' | 'features' | 'tokens'
  shape: number[]
}

const inputTypes = { image: 'uint8', features: 'float32', tokens: 'int32' } as const

/** What of a plan, or a manifest, decides the columns. */
export interface RowKind {
  codec: CodecName
  classes: number
  /** views of each sample, row r being view r mod count of sample ⌊r / count⌋; 1 where it is left out */
  views?: 1 | { count: number; parameters: string[] } | undefined
  /** of a sequence: target columns hold so many targets a row, one position after another; 1 where it is left out */
  positions?: number | undefined
  /** of a sequence: the label of a position is the next token, and a codec that keeps some classes keeps its logit */
  positionLabels?: 'next token' | undefined
  /** student inputs stored beside the targets */
  inputs?: StoredInputs | null | undefined
}

/** The columns that follow `id` and `label`, in their order on disk: what the schema, the writer and the reader go by. */
export function columnsOf({
  codec,
  classes,
  views = 1,
  positions = 1,
  positionLabels,
  inputs = null,
}: RowKind): Column[] {
  const columns: Column[] = []
  if (positions > 1) columns.push({ name: 'length', type: 'int32', width: 1, list: false, below: positions + 1 })
  if (views !== 1) {
    const { count, parameters } = views
    columns.push({ name: 'view', type: 'int32', width: 1, list: false, below: count })
    if (parameters.length > 0)
      columns.push({ name: 'view_params', type: 'int32', width: parameters.length, list: true })
  }
  columns.push(...targetColumns({ codec, classes, positions, positionLabels }))
  if (inputs) columns.push({ name: 'input', type: inputTypes[inputs.kind], width: product(inputs.shape), list: true })
  return columns
}

/** The columns of the targets alone. */
export function targetColumns({ codec, classes, positions = 1, positionLabels }: RowKind): Column[] {
  const columns = codecOf(codec).columns(targetKind({ classes, positions, positionLabels }))
  if (positions === 1) return columns
  return columns.map((column) => ({ ...column, width: positions * column.width, list: true }))
}

/** What a codec needs to know of a dataset. */
export const targetKind = ({
  classes,
  positions = 1,
  positionLabels,
}: Pick<RowKind, 'classes' | 'positions' | 'positionLabels'>): TargetKind => ({
  classes,
  labelled: positions === 1 || positionLabels !== undefined,
})

/** `positionLabels` of a dataset whose writer knows the tokens. */
export const labelsByPosition = ({
  codec,
  positions = 1,
}: Omit<RowKind, 'positionLabels'>): Pick<RowKind, 'positionLabels'> =>
  positions > 1 && codecOf(codec).kind === 'bucketed' ? { positionLabels: 'next token' } : {}

/** Views of each sample. */
export const viewsOf = ({ views = 1 }: Pick<RowKind, 'views'>): number => (views === 1 ? 1 : views.count)

/** Bytes of these columns in one row. */
export const columnBytes = (columns: Column[]): number =>
  columns.reduce((sum, { type, width }) => sum + width * columnTypes[type].bytes, 0)

/** A column's array for `rows` rows. */
export const allocateColumn = ({ type, width }: Column, rows: number): Stored =>
  new columnTypes[type].array(rows * width)

/** The first value of `values` that a column must not hold; undefined where there is none. */
export function outOfRange(values: Stored, { below }: Column): number | undefined {
  if (below === undefined) return undefined
  for (let i = 0; i < values.length; i++) if (values[i]! < 0 || values[i]! >= below) return values[i]!
  return undefined
}

export const describeColumn = ({ name, type, width, list }: Column): string =>
  `${name}: ${list ? `${type}[${width}]` : type}`

const product = (shape: number[]) => shape.reduce((all, n) => all * n, 1)
