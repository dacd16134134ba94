import { readdir, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { DecantError } from '../errors.js'
import { head } from './bytes.js'
import { isLitter } from './litter.js'

export type TableKind = 'parquet' | 'arrow' | 'csv' | 'jsonl' | 'npy' | 'npz' | 'webdataset'

const extensions: [RegExp, TableKind][] = [
  [/\.parquet$/i, 'parquet'],
  [/\.(arrow|feather|ipc|arrows)$/i, 'arrow'],
  [/\.(csv|tsv)(\.gz)?$/i, 'csv'],
  [/\.(jsonl|ndjson)(\.gz)?$/i, 'jsonl'],
  [/\.npy(\.gz)?$/i, 'npy'],
  [/\.npz$/i, 'npz'],
  [/\.(tar|tar\.gz|tgz)$/i, 'webdataset'],
]

/** What a file of rows is: by its magic number, and where the format has none by its name. */
export async function kindOf(path: string): Promise<TableKind | undefined> {
  const start = (await head(path, 8)).toString('latin1')
  if (start.startsWith('PAR1')) return 'parquet'
  if (start.startsWith('ARROW1')) return 'arrow'
  if (start.startsWith('\x93NUMPY')) return 'npy'
  return extensions.find(([pattern]) => pattern.test(path))?.[1]
}

/**
 * The files that paths stand for, in order: a path with * in its last part (where no such file is) stands for the files that match, sorted by their bytes;
 * a folder of data files for those.
 * @throws DecantError: cannot be read, nothing matches
 */
export async function expandFiles(uris: string[]): Promise<string[]> {
  const files: string[] = []
  for (const uri of uris) {
    const found = await stat(uri).catch(() => undefined)
    if (found?.isDirectory()) files.push(...(await dataFiles(uri)))
    else if (!found && basename(uri).includes('*')) files.push(...(await matching(uri)))
    else if (!found) throw new DecantError(`${uri}: cannot be read: ENOENT`)
    else files.push(uri)
  }
  return files
}

/** The data files of a folder, if it holds any. */
export async function dataFiles(folder: string): Promise<string[]> {
  return list(folder, (name) => extensions.some(([pattern]) => pattern.test(name)))
}

async function matching(uri: string): Promise<string[]> {
  const parts = basename(uri)
    .split('*')
    .map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
  const pattern = new RegExp(`^${parts.join('.*')}$`)
  const files = await list(dirname(uri), (name) => pattern.test(name))
  if (files.length === 0) throw new DecantError(`${uri}: no file matches`)
  return files
}

async function list(folder: string, wanted: (name: string) => boolean): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
    throw new DecantError(`${folder}: cannot be read: ${error.code ?? error.message}`)
  })
  return entries
    .filter((entry) => !entry.isDirectory() && !isLitter(entry.name) && wanted(entry.name))
    .map(({ name }) => Buffer.from(name))
    .sort(Buffer.compare)
    .map((name) => join(folder, String(name)))
}
