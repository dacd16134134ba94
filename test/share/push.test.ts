import { generateKeyPairSync } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { appendFile, cp, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { licenseTargets, signTargets, verifyTargets } from '../../src/cache/index.js'
import { pushTargets } from '../../src/share/index.js'
import { makePlan, writeTargets } from '../cache/datasets.js'
import { hashFolder, temporaryFolder } from '../helpers/folder.js'
import { type Asked, type Fault, serveFolder } from './file-server.js'
import { keptFolder } from './folders.js'

const plan = () => makePlan({ rows: 100, teacherLicense: 'mit' })
const root = keptFolder()
const [small, other] = [join(root, 'small'), join(root, 'other')]
const quick = { retry: { sleep: async () => {}, attempts: 3 }, idleMs: 500 }

beforeAll(async () => {
  await writeTargets(small, plan())
  const changed = plan()
  await writeTargets(other, { ...changed, teacher: { ...changed.teacher, sha256: 'c'.repeat(64) }, classes: 4 })
})

async function server(dir: string, fault?: (asked: Asked) => Fault | undefined) {
  const served = await serveFolder(dir, fault)
  onTestFinished(() => served.close())
  return served
}

describe.each(['a folder', 'a web server'])('push to %s', (kind) => {
  const open = async (fault?: (asked: Asked) => Fault | undefined) => {
    const there = join(temporaryFolder(), 'there')
    return { there, uri: kind === 'a folder' ? there : (await server(there, fault)).url }
  }

  it('brings the whole dataset, and the second time nothing', async () => {
    const { there, uri } = await open()
    const first = await pushTargets(small, uri, quick)
    expect(hashFolder(there)).toEqual(hashFolder(small))
    expect(first.sent.at(-1)).toBe('manifest.json')
    expect(first).toMatchObject({ rows: 100, shards: 3, sentBytes: first.bytes, extra: [] })
    const before = statSync(join(there, 'data/00000.arrow')).ino
    expect(await pushTargets(small, uri, quick)).toMatchObject({ sent: [], sentBytes: 0, manifest: first.manifest })
    expect(statSync(join(there, 'data/00000.arrow')).ino).toBe(before)
  })

  it('goes on where it was stopped, and sends only what is not there', async () => {
    const { there, uri } = await open()
    await pushTargets(small, uri, quick)
    rmSync(join(there, 'manifest.json'))
    rmSync(join(there, 'data/00002.arrow'))
    const { sent } = await pushTargets(small, uri, quick)
    expect(sent).toEqual(['data/00002.arrow', 'manifest.json'])
    expect(hashFolder(there)).toEqual(hashFolder(small))
  })

  it('sends a shard again that is damaged there', async () => {
    const { there, uri } = await open()
    await pushTargets(small, uri, quick)
    rmSync(join(there, 'manifest.json'))
    writeFileSync(join(there, 'data/00001.arrow'), readFileSync(join(small, 'data/00001.arrow')).fill(0))
    const { sent } = await pushTargets(small, uri, { ...quick, replace: true })
    expect(sent).toEqual(['data/00001.arrow', 'manifest.json'])
    expect(hashFolder(there)).toEqual(hashFolder(small))
  })

  it('leaves another dataset alone, and puts this one in its stead when asked to', async () => {
    const { there, uri } = await open()
    await pushTargets(other, uri, quick)
    const before = hashFolder(there)
    await expect(pushTargets(small, uri, quick)).rejects.toThrow(
      /another dataset.*--replace[\s\S]*classes: 4 there, 3 here/,
    )
    expect(hashFolder(there)).toEqual(before)
    const { replaced } = await pushTargets(small, uri, { ...quick, replace: true })
    expect(replaced).toMatch(/^[0-9a-f]{64}$/)
    expect(hashFolder(there)).toEqual(hashFolder(small))
  })

  it('tells what a dry run would do, and does nothing', async () => {
    const { there, uri } = await open()
    const { sent } = await pushTargets(small, uri, { ...quick, dryRun: true })
    expect(sent).toHaveLength(6)
    expect(() => statSync(there)).toThrow()
  })

  it('gives no name to a shard that is damaged here', async () => {
    const { there, uri } = await open()
    const damaged = join(temporaryFolder(), 'damaged')
    await cp(small, damaged, { recursive: true })
    const bytes = await readFile(join(damaged, 'data/00001.arrow'))
    bytes[bytes.length >> 1]! ^= 1
    writeFileSync(join(damaged, 'data/00001.arrow'), bytes)
    await expect(pushTargets(damaged, uri, quick)).rejects.toThrow('00001.arrow: damaged or altered')
    for (const name of ['data/00001.arrow', 'manifest.json']) expect(existsSync(join(there, name))).toBe(false)
  })

  it('sends a card that was edited, and names what else is there', async () => {
    const { there, uri } = await open()
    const own = join(temporaryFolder(), 'own')
    await cp(small, own, { recursive: true })
    await pushTargets(own, uri, quick)
    await appendFile(join(own, 'README.md'), 'More.\n')
    writeFileSync(join(there, 'notes.txt'), '')
    const { sent, extra } = await pushTargets(own, uri, quick)
    expect(sent).toEqual(['README.md'])
    expect(extra).toEqual(kind === 'a folder' ? ['notes.txt'] : [])
  })
})

describe('push', () => {
  it('replaces in an order that no reader can be fooled by', async () => {
    const there = join(temporaryFolder(), 'there')
    const { url, asked } = await server(there)
    await pushTargets(other, url, quick)
    asked.length = 0
    await pushTargets(small, url, { ...quick, replace: true })
    const changes = asked.filter(({ method }) => method === 'PUT' || method === 'DELETE')
    const order = changes.map(({ method, name }) => `${method} ${name}`)
    expect(order[0]).toEqual('DELETE manifest.json')
    expect(order.at(-1)).toBe('PUT manifest.json')
    expect(order.filter((line) => line === 'PUT manifest.json')).toHaveLength(1)
  })

  it.each(['a folder', 'a web server'])('leaves no signature of the manifest before: %s', async (kind) => {
    const [here, there] = [join(temporaryFolder(), 'here'), join(temporaryFolder(), 'there')]
    await cp(small, here, { recursive: true })
    const { privateKey, publicKey } = generateKeyPairSync('ed25519')
    await signTargets(here, { key: privateKey.export({ type: 'pkcs8', format: 'pem' }) })
    const uri = kind === 'a folder' ? there : (await server(there)).url
    await pushTargets(here, uri, quick)
    await licenseTargets(here, { license: 'cc0-1.0' }) // the same shards, another manifest, not signed
    await pushTargets(here, uri, { ...quick, replace: true })
    expect(hashFolder(there)).toEqual(hashFolder(here))
    const key = publicKey.export({ type: 'spki', format: 'pem' })
    expect((await verifyTargets(there, { key })).problems).toEqual([expect.stringContaining('is not signed')])
  })

  it('asks a web server that has it for the manifest and the card alone', async () => {
    const there = join(temporaryFolder(), 'there')
    const { url, asked } = await server(there)
    await pushTargets(small, url, quick)
    asked.length = 0
    await pushTargets(small, url, quick)
    expect(asked.filter(({ name }) => name.startsWith('data/'))).toEqual([])
    expect(asked.filter(({ method }) => method !== 'GET' && method !== 'HEAD')).toEqual([])
  })

  it('refuses a dataset without licences', async () => {
    const bare = join(temporaryFolder(), 'bare')
    await writeTargets(bare, makePlan({ rows: 50, license: null }))
    await expect(pushTargets(bare, join(bare, '../there'))).rejects.toThrow(
      'the licence of the data and of the teacher',
    )
    await licenseTargets(bare, { license: 'mit', teacherLicense: 'mit' })
    await pushTargets(bare, join(bare, '../there'))
    expect((await verifyTargets(join(bare, '../there'))).problems).toEqual([])
  })

  it('refuses a dataset with a shard of another size before anything is sent', async () => {
    const short = join(temporaryFolder(), 'short')
    await cp(small, short, { recursive: true })
    await appendFile(join(short, 'data/00002.arrow'), 'x')
    await expect(pushTargets(short, join(short, '../there'))).rejects.toThrow(/00002.arrow: expected \d+ bytes, found/)
    expect(() => statSync(join(short, '../there'))).toThrow()
  })

  it.each(['README.md', 'data/00000.arrow'])(
    'does not overwrite a %s of something else unless asked to',
    async (name) => {
      const there = temporaryFolder()
      mkdirSync(join(there, 'data'))
      writeFileSync(join(there, name), 'mine')
      await expect(pushTargets(small, there)).rejects.toThrow(
        `${there}: has another ${name} and no manifest; add --replace`,
      )
      expect(hashFolder(there)).toEqual({ [name]: expect.any(String) })
      await pushTargets(small, there, { replace: true })
      expect(hashFolder(there)).toEqual(hashFolder(small))
    },
  )

  it('is told by a server that lies that all has arrived, and looks', async () => {
    const there = join(temporaryFolder(), 'there')
    const { url } = await server(there, ({ method, name }) =>
      method === 'PUT' && name === 'data/00001.arrow' ? { kind: 'status', status: 201 } : undefined,
    )
    await expect(pushTargets(small, url, quick)).rejects.toThrow('data/00001.arrow: sent')
    expect(Object.keys(hashFolder(there))).not.toContain('manifest.json')
  })

  it('holds a pin against the dataset that is here', async () => {
    const there = join(temporaryFolder(), 'there')
    await expect(pushTargets(small, `${there}#sha256=${'0'.repeat(64)}`)).rejects.toThrow('is not the dataset')
  })
})

describe('push does not publish what lies outside the folder:', () => {
  it.each(['README.md', 'plot.svg', 'manifest.json.sig', 'manifest.json', 'data/00001.arrow'])(
    'a link %s that leads out of it',
    async (name) => {
      const [dir, outside, there] = [
        temporaryFolder(),
        join(temporaryFolder(), 'secret'),
        join(temporaryFolder(), 'there'),
      ]
      await cp(small, dir, { recursive: true })
      const path = join(dir, name)
      writeFileSync(outside, existsSync(path) ? readFileSync(path) : 'secret')
      rmSync(path, { force: true })
      symlinkSync(outside, path)
      await expect(pushTargets(dir, there)).rejects.toThrow(
        `${path}: leads out of the folder, to ${realpathSync(outside)}`,
      )
      expect(existsSync(there)).toBe(false)
    },
  )

  it('a folder data that is a link', async () => {
    const [dir, outside] = [temporaryFolder(), join(temporaryFolder(), 'data')]
    await cp(small, dir, { recursive: true })
    renameSync(join(dir, 'data'), outside)
    symlinkSync(outside, join(dir, 'data'))
    await expect(pushTargets(dir, temporaryFolder())).rejects.toThrow('data/00000.arrow: leads out of the folder')
  })

  it('but links within it, and the folder by another name, as before', async () => {
    const [dir, there] = [temporaryFolder(), join(temporaryFolder(), 'there')]
    await cp(small, dir, { recursive: true })
    renameSync(join(dir, 'README.md'), join(dir, 'card.md'))
    symlinkSync('card.md', join(dir, 'README.md'))
    const other = join(temporaryFolder(), 'by-another-name')
    symlinkSync(dir, other)
    await pushTargets(other, there)
    expect(hashFolder(there)).toEqual(hashFolder(small))
  })
})
