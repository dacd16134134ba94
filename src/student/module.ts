import { createHash } from 'node:crypto'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { DecantError } from '../errors.js'
import { checkInput, readInput } from '../input-file.js'

// Modules of the user's own: a student or a method is a name that decant knows, or the path of one.

export const isPath = (specification: string): boolean => /^[./]|\.[cm]?[jt]s$/.test(specification)

/** What identifies the code of a user's module; undefined where the specification is no path. */
export async function hashModule(specification: string): Promise<string | undefined> {
  if (!isPath(specification)) return undefined
  const bytes = await readInput(specification).catch((error: Error) => {
    throw new DecantError(`module ${specification}: ${error.message}`)
  })
  return createHash('sha256').update(bytes).digest('hex')
}

/** The default export of a module, of JavaScript or TypeScript. @throws DecantError naming the path */
export async function findModule(path: string): Promise<unknown> {
  let module: { default?: unknown }
  try {
    await checkInput(path)
    module = await load(pathToFileURL(resolve(path)).href)
  } catch (error) {
    throw new DecantError(`module ${path}: ${(error as Error).message}`)
  }
  // A module that Node takes for CommonJS (no "type": "module" near it) has its exports in `default`, the default among them.
  const { default: outer } = module
  return typeof outer === 'object' && outer !== null && 'default' in outer ? outer.default : outer
}

/**
 * Node reads no TypeScript before 22.18, and since then only what is JavaScript once its types are blanked out: no enum, no './layers.js'
 * that is layers.ts. tsx reads it alike everywhere; where decant itself runs from its source, a loader is there already.
 */
async function load(url: string): Promise<{ default?: unknown }> {
  if (!/\.[cm]?ts$/.test(url) || import.meta.url.endsWith('.ts')) return import(url)
  const { tsImport } = await import('tsx/esm/api')
  return tsImport(url, import.meta.url)
}

/**
 * What modules are called on a page: the ends of their paths, as much of them as tells one from another. A page is passed on, and where its
 * author's files are is nobody's business.
 */
export function moduleNames(specifications: readonly string[]): (specification: string) => string {
  const paths = [...new Set(specifications)].filter(isPath)
  const end = (path: string, parts: number) =>
    path
      .split(/[\\/]+/)
      .slice(-parts)
      .join('/')
  const nameOf = (path: string) => {
    let parts = 1
    while (parts < 32 && paths.some((other) => other !== path && end(other, parts) === end(path, parts))) parts++
    return end(path, parts)
  }
  const names = new Map(paths.map((path) => [path, nameOf(path)]))
  return (specification) => names.get(specification) ?? specification
}
