import { mkdir, readdir } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test, vi } from 'vitest'
import { temporaryFolder } from './fixtures.js'

async function inFolder(folder: string) {
  vi.stubEnv('TMPDIR', folder)
  onTestFinished(() => {
    vi.unstubAllEnvs()
  })
  vi.resetModules()
  return import('../../src/source/scratch.js')
}
const host = hostname().replace(/[^\w.]/g, '_')

test('a temporary file has no name on POSIX: nothing is left when the process is killed', async () => {
  const folder = await temporaryFolder()
  const { makeScratch } = await inFolder(folder)
  const { handle, place, remove } = await makeScratch('to test')
  await handle.appendFile('abc')
  await handle.appendFile('def')
  const read = Buffer.alloc(3)
  await handle.read(read, 0, 3, 2)
  expect(read.toString()).toBe('cde')
  if (process.platform !== 'win32') expect({ place, names: await readdir(folder) }).toEqual({ names: [] })
  await remove()
  await remove() // as often as one likes
})

test('of many at once the later ones have a name, and go when they are removed', async () => {
  const folder = await temporaryFolder()
  const { makeScratch } = await inFolder(folder)
  const all = await Promise.all(Array.from({ length: 130 }, () => makeScratch('to test')))
  const named = all.filter(({ place }) => place !== undefined)
  expect(named.length).toBe(process.platform === 'win32' ? 130 : 2)
  await Promise.all(all.map(({ remove }) => remove()))
  expect(await readdir(folder)).toEqual([])
})

test("what processes of this machine left that are no more is removed, others' files are not", async () => {
  const folder = await temporaryFolder()
  const kept = [`decant-inflated-${host}-${process.pid}-aaaaaa`, 'decant-inflated-elsewhere-999999999-a', 'other']
  for (const name of [`decant-inflated-${host}-999999999-aaaaaa`, ...kept])
    await mkdir(join(folder, name, 'data'), { recursive: true })
  const { makeScratch } = await inFolder(folder)
  await (await makeScratch('to test')).remove()
  expect((await readdir(folder)).sort()).toEqual([...kept].sort())
})

test('says where no file can be made', async () => {
  const { makeScratch } = await inFolder('/nowhere')
  await expect(makeScratch('to decompress a.gz')).rejects.toThrow(
    /^\/nowhere: no temporary file can be made to decompress a.gz: ENOENT; set TMPDIR/,
  )
})
