import { DecantError } from '../errors.js'
import { readInput } from '../input-file.js'

/** Reads class names, one a line in the order of the logits. Lines that are empty at the end, and a byte order mark, are none. */
export async function readNames(path: string): Promise<string[]> {
  const bytes = await readInput(path).catch((error: NodeJS.ErrnoException) => {
    if (error instanceof DecantError) throw error
    throw new DecantError(`${path}: cannot read the class names: ${error.code ?? error.message}`)
  })
  return String(bytes)
    .replace(/^\ufeff/, '')
    .replace(/(\r?\n)+$/, '')
    .split(/\r?\n/)
}
