import type { FileMetaData } from 'hyparquet'
import { FormatError } from '../errors.js'
import { type ArrowSchema, checkMessage } from './arrow-schema.js'
import { listed } from './class-finder.js'
import { type ArrayType, isList } from './table.js'

/** What Arrow's types have beyond Parquet's: arrays of one shape, and dictionaries whose order is that of the classes. */

/** The Arrow schema that Arrow's writers keep in a Parquet file: an encapsulated message in base64. Undefined where there is none, or one that is not understood. */
export function arrowSchemaIn(value: string | undefined): ArrowSchema | undefined {
  if (!value) return undefined
  try {
    return checkMessage(Buffer.from(value, 'base64').subarray(PREFIX_BYTES))
  } catch {
    return undefined
  }
}

/** Before a message: the continuation mark and its length. */
const PREFIX_BYTES = 8

/**
 * The dictionary of a column of text, in its order, of all row groups together; undefined where none has one. Writers of Arrow put the whole dictionary into each.
 * @param read reads rows, and gives the dictionaries that come by
 * @throws FormatError: row groups in different orders
 */
export async function readCategories(
  { row_groups }: FileMetaData,
  {
    column,
    where,
    read,
  }: {
    column: string
    where: string
    read(
      range: { from: number; to: number; wanted: string[] },
      onDictionary: (page: Uint8Array) => void,
    ): Promise<unknown>
  },
): Promise<string[] | undefined> {
  let names: string[] | undefined
  let from = 0
  for (const { num_rows } of row_groups) {
    if (num_rows > 0n)
      await read({ from, to: from + 1, wanted: [column] }, (page) => {
        const own = textsIn(page)
        if (names && JSON.stringify(own) !== JSON.stringify(names))
          throw new FormatError(
            `${where}: its categories are ${listed(own)} from row ${from} on, before ${listed(names)}: say with --classes the name of each class, in the order of the logits`,
          )
        names = own
      })
    from += Number(num_rows)
  }
  return names
}

/** A dictionary page of text (Encodings.md, PLAIN of BYTE_ARRAY): each value behind its length. @throws Error: not whole */
function textsIn(page: Uint8Array): string[] {
  const view = Buffer.from(page.buffer, page.byteOffset, page.byteLength)
  const texts: string[] = []
  for (let at = 0; at < view.length; ) {
    const end = at + 4 + view.readUInt32LE(at)
    if (end > view.length) throw new Error('a dictionary that is not whole')
    texts.push(view.toString('utf8', at + 4, end))
    at = end
  }
  return texts
}

/** The numbers of lists within each other as one typed array; null, or why they are none. */
export function packArray(cell: unknown, { kind, size, shape }: ArrayType): unknown {
  if (cell === null || cell === undefined) return null
  const values: unknown[] = []
  const collect = (value: unknown) => {
    if (isList(value)) for (let i = 0; i < value.length; i++) collect(value[i])
    else values.push(value)
  }
  collect(cell)
  const width = shape.reduce((a, b) => a * b, 1)
  if (values.length !== width) return new FormatError(`a list of ${values.length} numbers, expected ${width}`)
  if (values.includes(null)) return new FormatError('a list in which numbers are missing')
  return kind === 'uint' && size === 1 ? Uint8Array.from(values as number[]) : values
}
