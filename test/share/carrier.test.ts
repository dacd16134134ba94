import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { FormatError } from '../../src/errors.js'
import { type Carrier, openCarrier } from '../../src/share/carrier.js'
import { hashOf } from '../../src/share/file-content.js'
import { openStore, parsePlace } from '../../src/share/uri.js'
import { temporaryFolder } from '../helpers/folder.js'

it('moves files on threads, tells how far it is, and says what was wrong as it is said here', async () => {
  const root = temporaryFolder()
  const [there, here] = [join(root, 'there'), join(root, 'here')]
  for (const dir of [there, here]) await mkdir(dir)
  const bytes = Buffer.alloc(3_000_000, 'decant')
  writeFileSync(join(there, 'a'), bytes)
  const place = parsePlace(there)
  const carrier: Carrier = openCarrier(await openStore(place), place, { jobs: 2, bytes: 2 ** 40 })
  onTestFinished(() => carrier.close())

  let counted = 0
  const onBytes = (count: number) => {
    counted += count
  }
  const wanted = { from: 'a', bytes: bytes.length, sha256: hashOf(bytes) }
  const { signal } = new AbortController()
  await carrier.fetch(wanted, join(here, 'a'), { signal, onBytes })
  expect(readFileSync(join(here, 'a')).equals(bytes)).toBe(true)
  expect(counted).toBe(bytes.length)
  expect(await carrier.check(join(here, 'a'), wanted, signal)).toBe('whole')

  await carrier.write('b', join(here, 'a'), wanted, { signal })
  expect(readFileSync(join(there, 'b')).equals(bytes)).toBe(true)

  const wrong = { ...wanted, sha256: '0'.repeat(64) }
  await expect(carrier.fetch(wrong, join(here, 'c'), { signal })).rejects.toThrow(FormatError)
  await expect(carrier.write('c', join(here, 'a'), wrong, { signal })).rejects.toThrow('damaged or altered')
  expect([existsSync(join(here, 'c')), existsSync(join(there, 'c'))]).toEqual([false, false])

  const controller = new AbortController()
  controller.abort()
  await expect(carrier.fetch(wanted, join(here, 'd'), { signal: controller.signal })).rejects.toThrow(/abort/)
})
