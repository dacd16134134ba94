import { createHash } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { onTestFinished } from 'vitest'

/** A temporary folder that goes with the test. */
export function temporaryFolder(): string {
  const dir = mkdtempSync(join(tmpdir(), 'decant-test-'))
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}

/** Every file below `dir` with its SHA-256, by relative path; `less` edits the content that is hashed. */
export function hashFolder(
  dir: string,
  less: (path: string, content: Buffer) => Buffer | string = (_, content) => content,
) {
  const hashes: Record<string, string> = {}
  const walk = (folder: string) => {
    for (const name of readdirSync(folder).sort()) {
      const path = join(folder, name)
      if (statSync(path).isDirectory()) walk(path)
      else {
        const place = relative(dir, path)
        hashes[place] = createHash('sha256')
          .update(less(place, readFileSync(path)))
          .digest('hex')
      }
    }
  }
  walk(dir)
  return hashes
}

/** Less what differs between two runs of the same export: the time in the manifest, and so the manifest's own hash, its last key. */
export const withoutTime = (path: string, content: Buffer): Buffer | string =>
  path === 'manifest.json'
    ? content
        .toString()
        .replace(/"created": "[^"]*"/, '')
        .replace(/"sha256": "[0-9a-f]*"\s*\}\s*$/, '')
    : content
