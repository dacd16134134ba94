import { readFile } from 'node:fs/promises'
import { DecantError } from '../errors.js'

/** Reads class names, one a line in the order of the logits. Lines that are empty at the end, and a byte order mark, are none. */
export async function readNames(path: string): Promise<string[]> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new DecantError(`${path}: cannot read the class names: ${error.code ?? error.message}`)
  })
  return text
    .replace(/^\ufeff/, '')
    .replace(/(\r?\n)+$/, '')
    .split(/\r?\n/)
}
