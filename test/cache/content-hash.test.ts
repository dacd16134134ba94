import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { hashContent } from '../../src/cache/content-hash.js'
import { parseManifest } from '../../src/cache/manifest.js'
import { temporaryFolder } from '../helpers/folder.js'
import { makePlan, writeTargets } from './datasets.js'

test('the hash of what a dataset is: canonical JSON of its manifest, times aside, and in any order of keys', async () => {
  const dir = temporaryFolder()
  await writeTargets(dir, makePlan())
  const manifest = parseManifest(readFileSync(join(dir, 'manifest.json'), 'utf8'))
  const hash = hashContent(manifest)
  // RFC 8785 by hand: keys in order at every depth, no white space
  const canonical = (value: unknown): string => {
    if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
    if (typeof value !== 'object' || value === null) return JSON.stringify(value)
    const members = Object.keys(value).sort()
    return `{${members.map((key) => `${JSON.stringify(key)}:${canonical((value as never)[key])}`).join(',')}}`
  }
  const { created: _, sha256: __, ...content } = JSON.parse(readFileSync(join(dir, 'manifest.json'), 'utf8'))
  expect(hash).toBe(createHash('sha256').update(canonical(content)).digest('hex'))
  expect(hashContent({ ...manifest, created: '2001-01-01T00:00:00.000Z', sha256: 'a'.repeat(64) })).toBe(hash)
  expect(hashContent(Object.fromEntries(Object.entries(manifest).reverse()) as never)).toBe(hash)
  expect(hashContent({ ...manifest, license: 'cc0-1.0' })).not.toBe(hash)
})
