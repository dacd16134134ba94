import { execFileSync } from 'node:child_process'
import { generateKeyPairSync, sign } from 'node:crypto'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { licenseTargets, signTargets, verifyTargets } from '../../src/cache/index.js'
import { pullTargets, pushTargets } from '../../src/share/index.js'
import { temporaryFolder } from '../helpers/folder.js'
import { makePlan, writeTargets } from './datasets.js'

const pem = { type: 'spki', format: 'pem' } as const
function keys(type = 'ed25519') {
  const made = generateKeyPairSync(type as 'ed25519')
  return {
    private: made.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
    public: made.publicKey.export(pem) as string,
  }
}

let own: ReturnType<typeof keys>
beforeAll(() => {
  own = keys()
})

async function signed() {
  const dir = temporaryFolder()
  await writeTargets(dir, makePlan({ teacherLicense: 'mit' }))
  await signTargets(dir, { key: own.private })
  return dir
}
const problems = async (dir: string, key = own.public) => (await verifyTargets(dir, { key })).problems

test('to state the same licences again changes neither the manifest nor its signature', async () => {
  const dir = temporaryFolder()
  await writeTargets(dir, makePlan())
  const licences = { license: 'mit', teacherLicense: 'apache-2.0' }
  await licenseTargets(dir, licences)
  await signTargets(dir, { key: own.private })
  const files = () => ['manifest.json', 'manifest.json.sig', 'README.md'].map((name) => readFileSync(join(dir, name)))
  const before = files()
  rmSync(join(dir, 'README.md')) // as if somebody had
  await licenseTargets(dir, licences)
  expect(files()).toEqual(before)
})

describe('a signature', () => {
  test('is of the manifest as it lies, by the key', async () => {
    const dir = await signed()
    expect(await problems(dir)).toEqual([])
    // independent: the same by node:crypto alone, as Ed25519 is deterministic
    const expected = sign(null, readFileSync(join(dir, 'manifest.json')), own.private)
    expect(readFileSync(join(dir, 'manifest.json.sig')).equals(expected)).toBe(true)
  })

  test('openssl says the same', async () => {
    const dir = await signed()
    const key = join(temporaryFolder(), 'public.pem')
    writeFileSync(key, own.public)
    const files = ['-in', join(dir, 'manifest.json'), '-sigfile', join(dir, 'manifest.json.sig')]
    const said = execFileSync('openssl', ['pkeyutl', '-verify', '-pubin', '-inkey', key, '-rawin', ...files])
    expect(said.toString()).toContain('Verified Successfully')
  })

  test.each<[string, (dir: string) => unknown, string]>([
    ['none', (dir) => rmSync(join(dir, 'manifest.json.sig')), 'is not signed: there is no manifest.json.sig'],
    ['a short one', (dir) => writeFileSync(join(dir, 'manifest.json.sig'), 'x'), 'has 1 bytes, expected 64'],
    [
      'one of another manifest',
      (dir) => {
        const text = readFileSync(join(dir, 'manifest.json'), 'utf8').replace(/,\s*"sha256": "[0-9a-f]*"\s*\}\s*$/, '}')
        writeFileSync(join(dir, 'manifest.json'), text.replace('"teacher.onnx"', '"better.onnx"'))
      },
      'its signature is not of this manifest by this key',
    ],
  ])('that is not right is found: %s', async (_, change, message) => {
    const dir = await signed()
    change(dir)
    expect(await problems(dir)).toEqual([expect.stringContaining(message)])
  })

  test('by another key does not count', async () => {
    expect(await problems(await signed(), keys().public)).toEqual([expect.stringContaining('by this key')])
  })

  test('goes when licences are stated: it is another manifest', async () => {
    const dir = await signed()
    await licenseTargets(dir, { license: 'cc0-1.0' })
    expect(await problems(dir)).toEqual([expect.stringContaining('is not signed')])
  })

  test('travels with the dataset, and is asked for before a byte of it comes', async () => {
    const [dir, there, here] = [await signed(), join(temporaryFolder(), 'a'), join(temporaryFolder(), 'b')]
    await pushTargets(dir, there)
    await expect(pullTargets(there, { dir: here, key: keys().public })).rejects.toThrow('by this key')
    await expect(verifyTargets(here)).rejects.toThrow('no such folder')
    await pullTargets(there, { dir: here, key: own.public })
    expect(await problems(here)).toEqual([])
  })
})

describe('keys that do not fit are refused, and not shown:', () => {
  test.each([
    ['a public key to sign with', () => own.public, 'the key: expected a private Ed25519 key'],
    ['another kind of key', () => keys('x25519').private, 'the key: expected a private Ed25519 key'],
    ['no key', () => 'secret words', 'the key: expected a private Ed25519 key'],
  ])('%s', async (_, key, message) => {
    const dir = await signed()
    const error = await signTargets(dir, { key: key() }).catch((error: Error) => error)
    expect(String(error)).toContain(message)
    expect(String(error)).not.toContain('secret words')
  })

  test('a private key to verify with', async () => {
    const dir = await signed()
    await expect(verifyTargets(dir, { key: own.private })).rejects.toThrow(
      'expected the public key, found a private one',
    )
  })
})
