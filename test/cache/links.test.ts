import { generateKeyPairSync } from 'node:crypto'
import { linkSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { openFile, readTemporary, replaceFile, temporaryOf } from '../../src/cache/files.js'
import { createTargets, licenseTargets, signTargets } from '../../src/cache/index.js'
import { bytesContent } from '../../src/share/file-content.js'
import { openFolderStore } from '../../src/share/stores/folder.js'
import { temporaryFolder } from '../helpers/folder.js'
import { makePlan, makeRows, readFolder, writeTargets } from './datasets.js'

/** A folder with a file that nobody may change, and that nobody has, beside it. */
function victim() {
  const dir = temporaryFolder()
  const path = join(dir, 'diary')
  writeFileSync(path, 'mine')
  return { path, read: () => readFileSync(path, 'utf8') }
}

const { privateKey } = generateKeyPairSync('ed25519')
const key = privateKey.export({ type: 'pkcs8', format: 'pem' })

describe('what a link names is not written to', () => {
  test('license, sign: the names that temporary files had, and the files themselves', async () => {
    const { path, read } = victim()
    const dir = temporaryFolder()
    await writeTargets(dir, makePlan())
    for (const name of ['README.md', 'plot.svg', 'manifest.json.sig']) rmSync(join(dir, name), { force: true })
    for (const name of ['README.md', 'plot.svg', 'manifest.json.sig'])
      for (const link of [name, `${name}.tmp`]) symlinkSync(path, join(dir, link))
    symlinkSync(path, join(dir, 'manifest.json.tmp'))
    await licenseTargets(dir, { license: 'mit' })
    await signTargets(dir, { key })
    expect(read()).toBe('mine')
    expect(readFileSync(join(dir, 'README.md'), 'utf8')).toContain('license: mit')
    // and the links that were in the way have gone
    expect(readdirSync(dir).sort()).toEqual(['README.md', 'data', 'manifest.json', 'manifest.json.sig', 'plot.svg'])
  })

  test('an export that goes on: a journal and a shard of the name that its temporary file had', async () => {
    const { path, read } = victim()
    const dir = temporaryFolder()
    const plan = makePlan()
    const first = await createTargets(dir, plan)
    await first.beginShard(0)
    await first.append(makeRows(plan, 0, 40))
    await first.endShard()
    await first.close()
    symlinkSync(path, join(dir, 'data/00001.arrow.tmp'))
    const second = await createTargets(dir, plan)
    await second.beginShard(1)
    await second.append(makeRows(plan, 40, 80))
    await second.endShard()
    await second.close()
    expect(read()).toBe('mine')

    const journal = join(dir, 'journal.jsonl')
    writeFileSync(path, readFileSync(journal))
    rmSync(journal)
    symlinkSync(path, journal)
    const before = read()
    await expect(createTargets(dir, plan)).rejects.toThrow(/journal\.jsonl: is a link, expected a file/)
    expect(read()).toBe(before)
  })

  test('a lock: it is taken over as one of a dead process', async () => {
    const { path, read } = victim()
    for (const target of [path, join(path, 'nowhere')]) {
      const dir = temporaryFolder()
      symlinkSync(target, join(dir, 'lock'))
      await writeTargets(dir, makePlan())
      expect([...(await readFolder(dir)).keys()]).not.toContain('lock')
    }
    expect(read()).toBe('mine')
  })

  test('a folder that datasets are pushed to', async () => {
    const { path, read } = victim()
    const dir = temporaryFolder()
    for (const link of ['a', `a.${process.pid}.tmp`]) symlinkSync(path, join(dir, link))
    await openFolderStore(dir).write('a', bytesContent(Buffer.from('new')))
    expect(read()).toBe('mine')
    expect(readFileSync(join(dir, 'a'), 'utf8')).toBe('new')
  })
})

test('temporary names are told apart from the file, and no two are the same', () => {
  const names = Array.from({ length: 1000 }, () => temporaryOf('data/00000.arrow'))
  expect(new Set(names).size).toBe(1000)
  for (const name of [names[0]!, 'data/00000.arrow.tmp', `data/00000.arrow.${process.pid}.tmp`])
    expect(readTemporary(name)?.of).toBe('data/00000.arrow')
  expect(readTemporary(names[0]!)?.pid).toBe(process.pid)
  for (const name of ['README.md', 'data/00000.arrow', 'tmp', '.tmp']) expect(readTemporary(name)).toBeUndefined()
})

test('a file that is there is not opened to be made, be it a link, a hard link or a file', async () => {
  const { path, read } = victim()
  const dir = temporaryFolder()
  symlinkSync(path, join(dir, 'soft'))
  linkSync(path, join(dir, 'hard'))
  for (const name of ['soft', 'hard']) {
    await expect(openFile(join(dir, name), 'w')).rejects.toThrow('EEXIST')
    await replaceFile(join(dir, name), 'new')
  }
  await expect(openFile(path, 'w')).rejects.toThrow('EEXIST')
  expect(read()).toBe('mine')
})
