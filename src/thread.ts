import './telemetry.js'
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'
import { Worker } from 'node:worker_threads'

/**
 * Starts `./name` beside the module `from` as a worker thread: a .js file of the built package, or its .ts source under tsx and
 * vitest. A loader given by execArgv does not reach worker threads on Node 20, so the source is started through tsx's own API.
 */
export function startThread(name: `./${string}`, from: string, workerData: unknown): Worker {
  if (!from.endsWith('.ts')) return new Worker(new URL(`${name}.js`, from), { workerData })
  const tsx = pathToFileURL(
    createRequire(import.meta.url)
      .resolve('tsx/esm/api')
      .replace(/cjs$/, 'mjs'),
  ).href
  const entry = new URL(`${name}.ts`, from).href
  const code = `import('${tsx}').then(({ register }) => { register(); return import('${entry}') })`
  return new Worker(code, { eval: true, workerData, execArgv: [] })
}
