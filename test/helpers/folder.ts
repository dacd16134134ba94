import { createHash } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join, relative } from 'node:path'
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

/** The same where students are, too: less how long they took, and the hash of a manifest's file, as a time is in it. */
export function withoutTimes(path: string, content: Buffer): Buffer | string {
  const name = basename(path)
  if (name === 'manifest.json') return withoutTime(name, content)
  if (name === 'report.html') return content.toString().trimEnd().slice(-7) // a page of what sweep.json says, and whole
  if (name === 'sweep.csv') return content.toString().replace(/,[\d.]+,(?=\r?$)/gm, ',') // the last column but one
  const timed = { 'student.json': ['seconds', 'manifest', 'evaluation'], 'sweep.json': ['seconds', 'milliseconds'] }[
    name
  ]
  if (!timed) return content
  return JSON.stringify(JSON.parse(content.toString(), (key, value) => (timed.includes(key) ? undefined : value)))
}
