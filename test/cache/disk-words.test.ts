import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished, test } from 'vitest'
import { diskError, makeFolder } from '../../src/cache/files.js'
import { DecantError } from '../../src/errors.js'
import { copyHashed } from '../../src/share/copy-hashed.js'
import { temporaryFolder } from '../helpers/folder.js'

const failure = (code: string, syscall: string) =>
  Object.assign(new Error(`${code}: the system's words`), { code, syscall })

describe('makeFolder', () => {
  it('says which folder it made at the top, and nothing where all were there', async () => {
    const dir = temporaryFolder()
    expect(await makeFolder(join(dir, 'a/b/c'))).toBe(join(dir, 'a'))
    expect(await makeFolder(join(dir, 'a/b/c'))).toBeUndefined()
    await Promise.all(['x/y', 'x/y', 'x/z'].map((name) => makeFolder(join(dir, name)))) // at once
    writeFileSync(join(dir, 'file'), '')
    await expect(makeFolder(join(dir, 'file'))).rejects.toThrow(`${join(dir, 'file')}: expected a folder, found a file`)
    await expect(makeFolder(join(dir, 'file/b'))).rejects.toThrow('a part of the path is not a folder')
  })

  it('calls a read-only disk so', async (context) => {
    const dir = temporaryFolder()
    const disk = join(dir, 'disk')
    mkdirSync(disk)
    const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'ro,size=64k', 'tmpfs', disk], { encoding: 'utf8' })
    if (mounted.status !== 0) return context.skip('mounting is not allowed here')
    onTestFinished(() => void spawnSync('umount', [disk]))
    const error = await makeFolder(join(disk, 'a/b')).catch((error: unknown) => error)
    expect(error).toBeInstanceOf(DecantError)
    expect((error as Error).message).toBe(`${join(disk, 'a')}: the file system is read-only`)
  })
})

test('a full disk does not promise shards, which a training or a push has none of', () => {
  const { message } = diskError(failure('ENOSPC', 'write'), 'checkpoint.safetensors') as Error
  expect(message).toMatch(
    /^checkpoint\.safetensors: the disk is full: free some space, then run the same command again/,
  )
  expect(message).not.toContain('shard')
})

test('a copy to a full disk is not the fault of the file that is read', async () => {
  const path = join(temporaryFolder(), 'source')
  writeFileSync(path, 'text')
  const write = () => {
    throw failure('ENOSPC', 'write')
  }
  const writer = { began: 0, write, sync: async () => {}, digest: () => createHash('sha256').digest('hex') }
  await expect(copyHashed(path, writer, { from: 0, to: 4 })).rejects.toThrow("ENOSPC: the system's words")
  await expect(copyHashed(`${path}-gone`, writer, { from: 0, to: 4 })).rejects.toThrow(`${path}-gone: `)
})
