import { writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { temporaryFolder } from './folder.js'
import { python } from './python.js'

/** A folder for the PATH with `decant`, run from its source, and `python3`, the Python of the tests. */
export function commandFolder(): string {
  const dir = temporaryFolder()
  const write = (name: string, ...command: string[]) =>
    writeFileSync(join(dir, name), `#!/bin/sh\nexec ${command.map((word) => `'${word}'`).join(' ')} "$@"\n`, {
      mode: 0o755,
    })
  const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href
  write('decant', process.execPath, '--import', tsx, resolve('src/cli/main.ts'))
  if (python.includes('/')) write('python3', resolve(python))
  return dir
}
