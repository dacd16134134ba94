import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { fetchFile, partOf } from '../../src/share/fetch-file.js'
import type { Store } from '../../src/share/store.js'
import { temporaryFolder } from '../helpers/folder.js'

it('lets go of the connection where the disk takes no more', async () => {
  const wanted = { from: 'a', bytes: 2 ** 20, sha256: '0'.repeat(64) }
  let open = 0
  const store = {
    uri: 'there',
    head: async () => ({ name: 'a', bytes: wanted.bytes }),
    async *read() {
      open++
      try {
        for (;;) yield Buffer.alloc(1000)
      } finally {
        open--
      }
    },
  } as unknown as Store
  const path = join(temporaryFolder(), 'a')
  const full = (bytes: number) => {
    if (bytes > 0) throw new Error('no space left')
  }
  await expect(fetchFile(store, wanted, path, { onBytes: full })).rejects.toThrow('no space left')
  expect(open).toBe(0)
  mkdirSync(partOf(join(path, '..', 'b'), wanted))
  await expect(fetchFile(store, wanted, join(path, '..', 'b'))).rejects.toThrow('b.0000000000000000.part: EISDIR')
  expect(open).toBe(0)
})
