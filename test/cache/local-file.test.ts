import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { LocalFile } from '../../src/cache/local-file.js'

async function makeFile(bytes: number) {
  const content = Uint8Array.from({ length: bytes }, (_, i) => (i * 31) ^ (i >> 8))
  const path = join(await mkdtemp(join(tmpdir(), 'decant-file-')), 'file')
  await writeFile(path, content)
  return { content, file: await LocalFile.open(path) }
}

test('what is asked for in one turn, in any order, near, far, twice and overlapping, is the bytes at each place', async () => {
  const { content, file } = await makeFile(5000)
  const range = fc.tuple(fc.nat(4999), fc.nat(300)).map(([at, bytes]) => ({ at, bytes: Math.min(bytes, 5000 - at) }))
  await fc.assert(
    fc.asyncProperty(fc.array(range, { maxLength: 12 }), async (ranges) => {
      const read = await Promise.all(
        ranges.map(async ({ at, bytes }) => {
          const into = new Uint8Array(bytes)
          await file.read(into, at)
          return into
        }),
      )
      expect(read).toEqual(ranges.map(({ at, bytes }) => content.slice(at, at + bytes)))
    }),
  )
  await file.close()
})

test('reads beyond the end fail, those asked for elsewhere do not', async () => {
  const { file } = await makeFile(1000)
  const [near, far] = await Promise.allSettled([file.read(new Uint8Array(20), 990), file.read(new Uint8Array(20), 0)])
  expect(near).toMatchObject({ status: 'rejected', reason: { message: 'the file ends at byte 1000' } })
  expect(far.status).toBe('fulfilled')
  await file.close()
})
