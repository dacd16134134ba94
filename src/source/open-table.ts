import { basename } from 'node:path'
import { DecantError } from '../errors.js'
import { openBytes } from './bytes.js'
import type { TableKind } from './files.js'
import type { Table } from './table.js'

/** Opens one file of rows. `wanted` are the columns that will be read, `names` whether classes are given by name. @throws DecantError, FormatError */
export async function openTable(
  path: string,
  kind: TableKind,
  { wanted = [], names = false }: { wanted?: string[]; names?: boolean } = {},
): Promise<Table> {
  const bytes = await openBytes(path)
  try {
    switch (kind) {
      case 'parquet':
        return await (await import('./parquet.js')).openParquet(bytes)
      case 'arrow':
        return await (await import('./arrow.js')).openArrow(bytes)
      case 'csv':
        return await (await import('./csv.js')).openCsv(bytes)
      case 'jsonl':
        return await (await import('./jsonl.js')).openJsonLines(bytes)
      case 'npy':
        return await (await import('./npy.js')).openNpy(bytes, basename(path).replace(/\.npy(\.gz)?$/i, ''))
      case 'npz':
        return await (await import('./npz.js')).openNpz(bytes, wanted)
      case 'webdataset':
        return await (await import('./webdataset.js')).openWebDataset(bytes, { names })
    }
  } catch (error) {
    await bytes.close()
    throw error
  }
}

/** Columns by their names in a table; `a.b` is the key b of the objects in column a. @throws DecantError that lists what there is */
export function findColumns(table: Table, names: string[]): { column: string; keys: string[] }[] {
  const find = (name: string) => (table.columns.includes(name) ? name : table.find?.(name))
  return names.map((name) => {
    const own = find(name)
    if (own !== undefined) return { column: own, keys: [] }
    const dots = table.noKeys ? [] : [...name.matchAll(/\./g)].map(({ index }) => index)
    for (const dot of dots) {
      const column = find(name.slice(0, dot))
      if (column !== undefined) return { column, keys: name.slice(dot + 1).split('.') }
    }
    throw new DecantError(
      `${table.path}: no column '${name}'; it has ${table.columns.map((column) => `'${column}'`).join(', ') || 'none'}`,
    )
  })
}

/** The value under `keys` in a cell; null where it has none. Why a cell cannot be read is so for all that is in it. */
export function dig(cell: unknown, keys: string[]): unknown {
  if (cell instanceof DecantError) return cell
  let value = cell
  for (const key of keys) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return null
    value = (value as Record<string, unknown>)[key]
  }
  return value
}
