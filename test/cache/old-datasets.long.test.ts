import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { openTargets, verifyTargets } from '../../src/cache/index.js'
import { runCommand } from '../cli/output.js'
import { exportsOf, writeExamples } from '../fixtures/old-datasets.js'
import { temporaryFolder } from '../source/fixtures.js'

// Datasets that commit 2f516c6 wrote, before `features` and the other keys that came after it.
const fixtures = new URL('../fixtures/2f516c6/', import.meta.url).pathname
const names = readdirSync(fixtures)

describe.each(names)('dataset %s of commit 2f516c6', (name) => {
  const manifestIn = (folder: string) => JSON.parse(readFileSync(join(folder, name, 'manifest.json'), 'utf8'))

  test('is read, and every byte of it verified', async () => {
    const targets = await openTargets(join(fixtures, name))
    await targets.row(0)
    expect(targets.rows).toBe(manifestIn(fixtures).rows)
    await targets.close()
    expect((await verifyTargets(join(fixtures, name))).problems).toEqual([])
  })

  test('is what an export of today writes, byte for byte', async () => {
    const dir = await temporaryFolder()
    writeExamples(dir)
    await runCommand('export', ...exportsOf(dir)[name]!)
    const shard = join(name, 'data', '00000.arrow')
    expect(readFileSync(join(dir, shard)).equals(readFileSync(join(fixtures, shard)))).toBe(true)
    const described = (folder: string) => {
      const { created, sha256, source, ...rest } = manifestIn(folder)
      return { ...rest, source: { ...source, uri: '' } } // the examples lie elsewhere
    }
    expect(described(dir)).toEqual(described(fixtures))
  })
})
