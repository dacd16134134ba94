import { constants, type Stats } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { DecantError, FormatError } from './errors.js'

// Files that a user names, or that lie in folders of others. Without O_NONBLOCK, to open a named pipe waits for who writes into it; a device may never end.

/** To read, without waiting. */
export const READ = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0) // Windows has no such flag, and no such pipes in folders

/** Opens a file to read it. @throws DecantError where it is no regular file; what the system says where it cannot be opened */
export async function openInput(path: string): Promise<FileHandle> {
  const file = await open(path, READ).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENXIO') throw notFile(path, 'a socket')
    throw error
  })
  try {
    const found = await file.stat()
    if (!found.isFile()) throw notFile(path, kindOf(found))
    return file
  } catch (error) {
    await file.close()
    throw error
  }
}

/** Says before somebody else opens it that a file is none: a library, or a stream. @throws as {@link openInput} */
export async function checkInput(path: string): Promise<void> {
  await (await openInput(path)).close()
}

/** Texts that people and programs write are shorter: names of classes, ids, settings, code, measures. */
const MAX_BYTES = 2 ** 28

/** All bytes of a file, at most `most`. @throws as {@link openInput}; FormatError where there are more */
export async function readInput(path: string, most = MAX_BYTES): Promise<Buffer> {
  const file = await openInput(path)
  try {
    const { size } = await file.stat()
    if (size > most) throw new FormatError(`${path}: ${size} bytes, expected at most ${most}`)
    return await file.readFile()
  } finally {
    await file.close()
  }
}

const notFile = (path: string, found: string) =>
  new DecantError(`${path}: expected a file, found no regular file but ${found}`)

function kindOf(found: Stats): string {
  if (found.isDirectory()) return 'a folder'
  return found.isFIFO() ? 'a named pipe' : 'a device'
}
