import { FormatError } from '../errors.js'
import { listed, numberIn } from './class-finder.js'
import { sortedByBytes } from './labels.js'
import type { Table } from './table.js'

/** The categories of a column in the order that the file gives them: the names of the classes. */
export interface Categories {
  names: string[]
  /** Their order is meant; else it is that of pandas' codes, by default that of the text. */
  ordered: boolean
}

/**
 * The classes that the categories of a column stand for, in all files together; undefined where there are none.
 * @throws FormatError: files that differ, numbers whose order is another one
 */
export async function joinCategories(tables: Table[], column: string): Promise<string[] | undefined> {
  const found: (Categories | undefined)[] = []
  for (const table of tables) found.push(await table.categories?.(column))
  const [first] = found
  const other = found.findIndex((one) => JSON.stringify(one?.names) !== JSON.stringify(first?.names))
  if (other < 0) return first && checkNumbers(first, `${tables[0]!.path}: column '${column}'`)
  const isSorted = (one: Categories | undefined) =>
    !one || (!one.ordered && JSON.stringify(one.names) === JSON.stringify(sortedByBytes(one.names)))
  if (found.every(isSorted)) return undefined // by default pandas sorts the values that a file has: so it is with all of them
  throw new FormatError(
    `${tables[other]!.path}: column '${column}': its categories are ${textOf(found[other])}, in ${tables[0]!.path} ${textOf(first)}: say with --classes the name of each class, in the order of the logits`,
  )
}

/** Text that is a whole number is that class: as categories in another order it could be both. */
function checkNumbers({ names, ordered }: Categories, where: string): string[] | undefined {
  if (names.some((name) => numberIn(name) === undefined)) return names
  if (ordered && names.some((name, label) => numberIn(name) !== label))
    throw new FormatError(
      `${where}: its categories are numbers, in the order ${listed(names)}: whether they are classes by value or by place is not known; say with --classes the name of each class, in the order of the logits`,
    )
  return undefined
}

const textOf = (one: Categories | undefined) => (one ? listed(one.names) : 'not said')
