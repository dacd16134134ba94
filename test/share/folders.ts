import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from 'vitest'

/** A temporary folder for all tests of a file. */
export function keptFolder(): string {
  const dir = mkdtempSync(join(tmpdir(), 'decant-test-'))
  afterAll(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}
