import { type Data, DataType } from 'apache-arrow'
import { FormatError } from '../errors.js'
import { floatOfHalf } from './npy.js'
import type { ArrayType } from './table.js'

/**
 * The rows of a column of fixed-size lists of numbers, as they lie in a record batch: typed arrays, null, or an error where one of the numbers is missing.
 * @throws Error: fewer numbers than rows need
 */
export function readTensors(data: Data, { kind, size, shape }: ArrayType): unknown[] {
  const width = shape.reduce((a, b) => a * b, 1)
  const levels: { data: Data; each: number }[] = []
  for (let [level, each] = [data, 1]; DataType.isFixedSizeList(level.type); level = level.children[0]!) {
    each *= level.type.listSize
    levels.push({ data: level.children[0]!, each })
  }
  const leaf = levels.at(-1)!.data
  const all = leaf.values as { length: number; subarray(from: number, to: number): ArrayLike<number> } | undefined
  if (!all || all.length < data.length * width)
    throw new Error(`${all?.length ?? 0} numbers in ${data.length} lists of ${width}`)
  const holes = levels.filter(({ data }) => data.nullCount > 0)
  return Array.from({ length: data.length }, (_, row) => {
    if (data.nullCount > 0 && !data.getValid(row)) return null
    for (const { data, each } of holes)
      for (let i = row * each; i < (row + 1) * each; i++)
        if (!data.getValid(i)) return new FormatError('a list in which numbers are missing')
    const values = all.subarray(row * width, (row + 1) * width)
    return kind === 'float' && size === 2 ? floatOfHalf(values as Uint16Array) : values
  })
}
