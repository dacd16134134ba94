import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openTargets } from '../../src/cache/index.js'
import { pullTargets, pushTargets } from '../../src/share/index.js'
import { openDataset } from '../../src/share/open-dataset.js'
import { readRange } from '../../src/share/read-range.js'
import { openHubStore } from '../../src/share/stores/hub.js'
import { openS3Store } from '../../src/share/stores/s3.js'
import { makePlan, writeTargets } from '../cache/datasets.js'
import { type FakeHub, startFakeHub, TOKEN } from '../helpers/fake-hub.js'
import { hashFolder, temporaryFolder } from '../helpers/folder.js'
import { withEnvironment } from '../helpers/servers.js'
import { bytesOf, patternContent } from './content.js'

let hub: FakeHub
beforeEach(async () => {
  hub = await startFakeHub({ partBytes: 50_000 })
})
afterEach(() => hub.close())

const open = (place: { revision?: string; prefix?: string } = {}, env: Record<string, string> = { HF_TOKEN: TOKEN }) =>
  openHubStore(
    { repo: 'org/name', prefix: '', ...place },
    { env: { HF_ENDPOINT: hub.endpoint, HF_HOME: '/nowhere', ...env }, retry: { attempts: 3, sleep: async () => {} } },
  )

async function written(place = {}) {
  const store = await open(place)
  await store.write('data/00000.arrow', patternContent(120_000))
  await store.write('data/00001.arrow', patternContent(1000))
  await store.write('README.md', patternContent(500))
  await store.flush!()
  await store.write('manifest.json', patternContent(300))
  await store.flush!()
  return store
}

/** Of the commits of main, the oldest first. */
function titles(): string[] {
  const { branches, commits } = hub.repos.get('org/name')!
  const all = []
  for (let at = branches.get('main'); at; at = commits.get(at)!.parent) all.unshift(commits.get(at)!.title)
  return all
}

describe('a repository of the hub', () => {
  test('is made, private, and gives back what was written', async () => {
    const store = await open()
    expect(await store.list()).toEqual([])
    expect(await store.head('manifest.json')).toBeUndefined()
    await written()
    const again = await open()
    expect(hub.repos.get('org/name')!.private).toBe(true)
    const shard = patternContent(120_000)
    expect(await again.list()).toEqual([
      expect.objectContaining({ name: '.gitattributes' }),
      expect.objectContaining({ name: 'README.md', bytes: 500 }),
      { name: 'data/00000.arrow', bytes: 120_000, sha256: shard.sha256, etag: `"${shard.sha256}"` },
      expect.objectContaining({ name: 'data/00001.arrow' }),
      expect.objectContaining({ name: 'manifest.json', bytes: 300 }),
    ])
    const { etag } = (await again.head('data/00000.arrow'))!
    const part = await bytesOf(readRange(again, 'data/00000.arrow', { from: 99, to: 5000, etag }))
    expect(part.equals(await bytesOf(shard.read(99, 5000)))).toBe(true)
    expect(await bytesOf(readRange(again, 'manifest.json', { from: 0, to: 300 }))).toHaveLength(300)
    expect(await again.head('no')).toBeUndefined()
  })

  test('gets one commit a flush', async () => {
    await written()
    expect(titles()).toEqual(['initial commit', 'Add 3 files (decant push)', 'Add manifest.json (decant push)'])
  })

  test('gets more than a commit holds in several: the old manifest goes first, the new one comes last', async () => {
    await written()
    const store = await open()
    await store.delete('manifest.json')
    for (let i = 0; i < 120; i++) await store.write(`data/${i}`, patternContent(i))
    await store.write('manifest.json', patternContent(301))
    hub.before = (request, response) => {
      if (titles().length < 4 || !request.url!.includes('/commit/')) return false
      expect(hub.files('org/name').has('manifest.json')).toBe(false)
      hub.before = undefined
      response.writeHead(503).end()
      return true
    }
    await store.flush!()
    expect(titles().slice(3)).toEqual(['Add 100 files (decant push)', 'Add 22 files (decant push)'])
    expect(hub.files('org/name').get('manifest.json')!.size).toBe(301)
  })

  test('tells what it has sent, while it sends it', async () => {
    const store = await open()
    const sent: number[] = []
    await store.write('data/00000.arrow', patternContent(120_000), { onBytes: (bytes) => sent.push(bytes) })
    let refused = 0
    hub.before = (request, response) => {
      if (request.method !== 'PUT' || refused++ > 0) return false
      request.resume().once('end', () => response.writeHead(503).end()) // all of a part has come, in vain
      return true
    }
    await store.flush!()
    expect(refused).toBe(4)
    expect(sent.filter((bytes) => bytes > 0).length).toBeGreaterThan(3)
    expect(sent.filter((bytes) => bytes < 0).length).toBe(1)
    expect(sent.reduce((a, b) => a + b, 0)).toBe(120_000)
  })

  test('does not get again what a push that was killed has sent', async () => {
    const store = await open()
    await store.write('data/00000.arrow', patternContent(1000))
    await store.write('data/00001.arrow', patternContent(2000))
    hub.before = (request, response) => {
      if (!request.url!.includes('/commit/')) return false
      response.writeHead(500).end() // all has arrived, and the commit fails
      return true
    }
    await expect(store.flush!()).rejects.toThrow(
      /^hf:\/\/datasets\/org\/name: .*the server answers 500 .*\(tried 3 times\)$/,
    )
    hub.before = undefined
    const puts = () => hub.requests.filter((request) => request.startsWith('lfs PUT')).length
    expect(puts()).toBe(2)
    const again = await open()
    await again.write('data/00000.arrow', patternContent(1000))
    await again.write('data/00001.arrow', patternContent(2000))
    await again.flush!()
    expect(puts()).toBe(2)
    expect(hub.files('org/name').size).toBe(3)
  })

  test('is read at one commit, whatever is written meanwhile', async () => {
    await written()
    const reader = await open()
    const { etag } = (await reader.head('data/00001.arrow'))!
    const writer = await open()
    await writer.write('data/00001.arrow', patternContent(1000, { changedAt: 7 }))
    await writer.flush!()
    const read = await bytesOf(reader.read('data/00001.arrow', { from: 0, to: 1000, etag: etag! }))
    expect(read.equals(await bytesOf(patternContent(1000).read(0, 1000)))).toBe(true)
    const later = await open()
    await expect(bytesOf(later.read('data/00001.arrow', { from: 0, to: 1000, etag: etag! }))).rejects.toThrow(
      'hf://datasets/org/name/data/00001.arrow: the file changed',
    )
  })

  test('has branches, and folders within', async () => {
    await written()
    await written({ revision: 'v2/draft', prefix: 'f16/' })
    expect([...hub.files('org/name', 'v2/draft').keys()]).toContain('f16/data/00000.arrow')
    expect([...hub.files('org/name').keys()]).not.toContain('f16/data/00000.arrow')
    const store = await open({ revision: 'v2/draft', prefix: 'f16/' })
    expect((await store.list()).map(({ name }) => name)).toContain('data/00000.arrow')
    const pinned = await open({ revision: hub.repos.get('org/name')!.branches.get('main')! })
    expect(await pinned.head('manifest.json')).toMatchObject({ bytes: 300 })
    await pinned.write('a', patternContent(1))
    await expect(pinned.flush!()).rejects.toThrow('a commit cannot be written to')
  })

  test('does not take a file that is not what it was', async () => {
    const store = await open()
    await store.write('data/00000.arrow', { ...patternContent(1000), sha256: '0'.repeat(64) })
    await expect(store.flush!()).rejects.toThrow('a file of 1000 bytes has SHA-256 ')
    expect(hub.lfs.size).toBe(0)
  })

  test('says that somebody else has written', async () => {
    await written()
    const [one, other] = [await open(), await open()]
    await one.head('manifest.json')
    await other.delete('README.md')
    await other.flush!()
    await one.delete('README.md')
    await expect(one.flush!()).rejects.toThrow('somebody else has changed it meanwhile')
  })

  test('is asked again where it is busy', async () => {
    await written()
    let busy = 2
    hub.before = (_, response) => busy-- > 0 && Boolean(response.writeHead(429, { 'retry-after': '1' }).end())
    expect(await (await open()).head('manifest.json')).toMatchObject({ bytes: 300 })
  })
})

test('push and pull bring a dataset there and back, and send nothing twice', async () => {
  const [dir, copy] = [temporaryFolder(), join(temporaryFolder(), 'copy')]
  await writeTargets(dir, makePlan({ teacherLicense: 'mit' }))
  const options = { env: { HF_ENDPOINT: hub.endpoint, HF_TOKEN: TOKEN } }
  const uri = 'hf://datasets/org/name'
  const first = await pushTargets(dir, uri, options)
  expect(first.sent.at(-1)).toBe('manifest.json')
  const before = hub.requests.length
  expect(await pushTargets(dir, uri, options)).toMatchObject({ sent: [], sentBytes: 0 })
  expect(hub.requests.slice(before).filter((request) => /commit|preupload|PUT/.test(request))).toEqual([])
  await pullTargets(`${uri}#sha256=${first.manifest}`, { ...options, dir: copy })
  expect(hashFolder(copy)).toEqual(hashFolder(dir))
  expect(titles()).toHaveLength(2)

  const other = temporaryFolder()
  await writeTargets(other, makePlan({ teacherLicense: 'mit', classes: 4 }))
  expect(await pushTargets(other, uri, { ...options, replace: true })).toMatchObject({ replaced: first.manifest })
  expect(titles()).toHaveLength(3) // of the old dataset nothing is seen beside the new one
  await pullTargets(uri, { ...options, dir: join(copy, '../other') })
  expect(hashFolder(join(copy, '../other'))).toEqual(hashFolder(other))
})

test('a dataset of the hub is read by ranges, at one commit', async () => {
  const dir = temporaryFolder()
  await writeTargets(dir, makePlan({ teacherLicense: 'mit', rows: 400 }))
  withEnvironment({ HF_ENDPOINT: hub.endpoint, HF_TOKEN: TOKEN })
  await pushTargets(dir, 'hf://datasets/org/name')
  const [there, here] = [
    await openDataset('hf://datasets/org/name', { cache: { dir: temporaryFolder() } }),
    await openTargets(dir),
  ]
  const other = temporaryFolder()
  await writeTargets(other, makePlan({ teacherLicense: 'mit', classes: 4 }))
  await pushTargets(other, 'hf://datasets/org/name', { replace: true })
  for (const row of [0, 77, 399]) expect((await there.row(row)).logits).toEqual((await here.row(row)).logits)
  const [found, expected] = [await there.load(), await here.load()]
  expect(found.ids()).toEqual(expected.ids())
  expect(found.logits).toEqual(expected.logits)
  await Promise.all([there.close(), here.close()])
})

describe('the token', () => {
  test('never reaches the host of the large files', async () => {
    const store = await written()
    await bytesOf(store.read('data/00000.arrow', { from: 0, to: 120_000 }))
    expect(hub.requests.filter((request) => request.startsWith('lfs GET'))).toHaveLength(1)
    expect(hub.leaked).toEqual([])
  })

  test('is found where hf auth login puts it', async () => {
    const home = temporaryFolder()
    mkdirSync(join(home, '.cache/huggingface'), { recursive: true })
    writeFileSync(join(home, '.cache/huggingface/token'), `${TOKEN}\n`)
    await written()
    const { HF_HOME: _, ...env } = { HF_HOME: '', HF_ENDPOINT: hub.endpoint, HOME: home }
    const store = await openHubStore({ repo: 'org/name', prefix: '' }, { env })
    expect(await store.head('manifest.json')).toMatchObject({ bytes: 300 })
  })

  test('that is missing or wrong is an error that says where one is kept', async () => {
    await written()
    expect(await (await open({}, {})).head('manifest.json')).toBeUndefined() // private: as if it were not there
    const store = await open({}, {})
    await store.write('a', patternContent(1))
    await expect(store.flush!()).rejects.toThrow(
      'writing needs a token: HF_TOKEN, or the file that hf auth login writes',
    )
    const wrong = await open({}, { HF_TOKEN: 'hf_someOtherToken' })
    await expect(wrong.head('manifest.json')).rejects.toThrow('the hub does not take the token')
  })
})

test('a bucket without the SDK is an error that says how to get it', async () => {
  const error = Object.assign(new Error('Cannot find package'), { code: 'ERR_MODULE_NOT_FOUND' })
  await expect(openS3Store({ bucket: 'b', prefix: '' }, { load: () => Promise.reject(error) })).rejects.toThrow(
    'npm install @aws-sdk/client-s3',
  )
})
