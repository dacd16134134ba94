import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'

/**
 * Where a worker thread starts: `./name` beside the module `from`, as .ts under tsx and vitest and as .js in the built package.
 * Pass both to `new Worker(url, { execArgv })`.
 */
export function threadEntry(name: `./${string}`, from: string): { url: URL; execArgv: string[] } {
  if (!from.endsWith('.ts')) return { url: new URL(`${name}.js`, from), execArgv: [] }
  const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx'))
  return { url: new URL(`${name}.ts`, from), execArgv: ['--import', tsx.href] }
}
