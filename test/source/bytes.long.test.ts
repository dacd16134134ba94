import { truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openBytes } from '../../src/source/bytes.js'
import { temporaryFolder } from './fixtures.js'

test('more than a process can read at once is refused; it would end the process', async () => {
  const path = join(await temporaryFolder(), 'large')
  await writeFile(path, '')
  await truncate(path, 2 ** 31 + 10) // takes no space
  const bytes = await openBytes(path)
  await expect(bytes.read(5, 2 ** 31)).rejects.toThrow(
    /large: 2147483648 bytes to read at once, at most 2147483647 can be; write the file with smaller row groups/,
  )
  expect(await bytes.read(2 ** 31 + 4, 3)).toEqual(new Uint8Array(3))
})
