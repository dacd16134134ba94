import { createHash, generateKeyPairSync } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { cp } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { convertTargets, openTargets, signTargets, verifyTargets } from '../../src/cache/index.js'
import { formatManifest, type Manifest, parseManifest } from '../../src/cache/manifest.js'
import { partOf } from '../../src/share/fetch-file.js'
import { pullTargets } from '../../src/share/index.js'
import { idOf, makePlan, writeTargets } from '../cache/datasets.js'
import { hashFolder, temporaryFolder } from '../helpers/folder.js'
import { type Asked, type Fault, type FileServer, serveFolder } from './file-server.js'
import { keptFolder } from './folders.js'

const small = join(keptFolder(), 'small')
const quick = { retry: { sleep: async () => {}, attempts: 3 }, idleMs: 500 }
let manifest: Manifest
let sha256: string

beforeAll(async () => {
  manifest = await writeTargets(small, makePlan({ rows: 100, teacherLicense: 'mit' }))
  sha256 = createHash('sha256')
    .update(readFileSync(join(small, 'manifest.json')))
    .digest('hex')
})

async function server(fault?: (asked: Asked) => Fault | undefined, dir = small): Promise<FileServer> {
  const served = await serveFolder(dir, fault)
  onTestFinished(() => served.close())
  return served
}

const newFolder = () => join(temporaryFolder(), 'here')
const shard = (number: number) => manifest.shards[number]!
const dataRequests = ({ asked }: FileServer) =>
  asked.filter(({ method, name }) => method === 'GET' && /^data/.test(name))

describe('pull', () => {
  it('brings the whole dataset, from a folder and from a web server', async () => {
    for (const uri of [small, (await server()).url]) {
      const dir = newFolder()
      const result = await pullTargets(uri, { ...quick, dir })
      expect(hashFolder(dir)).toEqual(hashFolder(small))
      expect(result).toMatchObject({ dir, rows: 100, shards: 3, manifest: sha256, from: sha256, repaired: [] })
    }
  })

  it('asks for the bytes that are not here yet, of the very same file', async () => {
    const served = await server()
    const dir = newFolder()
    mkdirSync(join(dir, 'data'), { recursive: true })
    const state = { format: 'decant pull', version: 1, uri: 'elsewhere', manifest: sha256 }
    writeFileSync(join(dir, 'pull.json'), JSON.stringify(state))
    const begun = readFileSync(join(small, shard(1).file)).subarray(0, 1000)
    writeFileSync(partOf(join(dir, shard(1).file), shard(1)), begun)
    await pullTargets(served.url, { ...quick, dir })
    const asked = dataRequests(served).find(({ name }) => name === shard(1).file)!
    expect(asked.range).toBe(`bytes=1000-${shard(1).bytes - 1}`)
    expect(asked.headers['if-match']).toMatch(/^"/)
    expect(hashFolder(dir)).toEqual(hashFolder(small))
  })

  it('starts again where what was here was wrong', async () => {
    const served = await server()
    const dir = newFolder()
    mkdirSync(join(dir, 'data'), { recursive: true })
    writeFileSync(
      join(dir, 'pull.json'),
      JSON.stringify({ format: 'decant pull', version: 1, uri: '', manifest: sha256 }),
    )
    writeFileSync(partOf(join(dir, shard(0).file), shard(0)), Buffer.alloc(500))
    writeFileSync(partOf(join(dir, shard(1).file), shard(1)), Buffer.alloc(shard(1).bytes))
    writeFileSync(partOf(join(dir, shard(2).file), shard(2)), Buffer.alloc(shard(2).bytes + 1))
    await pullTargets(served.url, { ...quick, dir })
    expect(hashFolder(dir)).toEqual(hashFolder(small))
  })

  it('mends a finished folder, fetching what is missing or damaged and nothing else', async () => {
    const served = await server()
    const dir = newFolder()
    await cp(small, dir, { recursive: true })
    rmSync(join(dir, shard(0).file))
    writeFileSync(join(dir, shard(2).file), Buffer.alloc(shard(2).bytes))
    const { repaired } = await pullTargets(served.url, { ...quick, dir })
    expect(repaired).toEqual([shard(2).file])
    expect(new Set(dataRequests(served).map(({ name }) => name))).toEqual(new Set([shard(0).file, shard(2).file]))
    expect(hashFolder(dir)).toEqual(hashFolder(small))
  })

  it('takes a server that knows no ranges, from the beginning', async () => {
    const content = Object.fromEntries(readdirSync(join(small, 'data')).map((name) => [`data/${name}`, 0]))
    const served = await server((asked) => {
      delete asked.headers.range // the server has not seen it
      return undefined
    })
    const dir = newFolder()
    mkdirSync(join(dir, 'data'), { recursive: true })
    writeFileSync(
      join(dir, 'pull.json'),
      JSON.stringify({ format: 'decant pull', version: 1, uri: '', manifest: sha256 }),
    )
    for (const [i, name] of Object.keys(content).entries())
      writeFileSync(partOf(join(dir, name), shard(i)), readFileSync(join(small, name)).subarray(0, 100))
    await pullTargets(served.url, { ...quick, dir })
    expect(hashFolder(dir)).toEqual(hashFolder(small))
  })

  it('takes the manifest that it is pinned to, and no other', async () => {
    const { url } = await server()
    const dir = newFolder()
    await expect(pullTargets(`${url}#sha256=${'0'.repeat(64)}`, { ...quick, dir })).rejects.toThrow('is pinned to')
    expect(existsSync(dir)).toBe(false)
    expect((await pullTargets(`${url}#sha256=${sha256}`, { ...quick, dir })).manifest).toBe(sha256)
  })
})

it('takes it from a bucket that answers 403 for a file that is not there', async () => {
  const served = await server(({ name }) =>
    existsSync(join(small, name)) ? undefined : { kind: 'status', status: 403 },
  )
  const dir = newFolder()
  await pullTargets(served.url, { ...quick, dir })
  expect(hashFolder(dir)).toEqual(hashFolder(small))
  const { publicKey } = generateKeyPairSync('ed25519')
  const key = publicKey.export({ type: 'spki', format: 'pem' })
  await expect(pullTargets(served.url, { ...quick, dir: newFolder(), key })).rejects.toThrow('is not signed')
})

it('keeps the signature that was checked, whatever the server says the next time', async () => {
  const signed = join(temporaryFolder(), 'signed')
  await cp(small, signed, { recursive: true })
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  await signTargets(signed, { key: privateKey.export({ type: 'pkcs8', format: 'pem' }) })
  let times = 0
  const served = await server(
    ({ name, method }) =>
      name === 'manifest.json.sig' && method === 'GET' && times++ > 0 ? { kind: 'flip' } : undefined,
    signed,
  )
  const dir = newFolder()
  const key = publicKey.export({ type: 'spki', format: 'pem' })
  await pullTargets(served.url, { ...quick, dir, key })
  expect(hashFolder(dir)).toEqual(hashFolder(signed))
})

describe('a part of a dataset', () => {
  it('of some shards is a dataset that names the whole one', async () => {
    const { url } = await server()
    const dir = newFolder()
    const first = await pullTargets(url, { ...quick, dir, shards: [2, 0] })
    expect((await verifyTargets(dir)).problems).toEqual([])
    const targets = await openTargets(dir)
    expect(targets.manifest.derived).toMatchObject({
      operation: 'select',
      options: { shards: '0,2' },
      from: [sha256],
      rows: 60,
    })
    expect(targets.manifest).toMatchObject({ license: 'mit', teacherLicense: 'mit', created: manifest.created })
    expect([(await targets.row(39)).id, (await targets.row(40)).id]).toEqual([idOf(39), idOf(80)])
    await targets.close()
    const again = await pullTargets(url, { ...quick, dir, shards: [0, 2] })
    expect(again).toMatchObject({ manifest: first.manifest, fetchedBytes: 0 })
    await expect(pullTargets(url, { ...quick, dir })).rejects.toThrow('holds another dataset')
  })

  it('says what was measured of the whole one', async () => {
    const whole = newFolder()
    const { fidelity } = await convertTargets(small, { codec: 'q8', shardMb: 0.001, out: whole })
    expect(fidelity).toBeDefined()
    const { url } = await server(undefined, whole)
    for (const part of [{ shards: [0] }, { rows: { from: 1, to: 3 } }]) {
      const dir = newFolder()
      await pullTargets(url, { ...quick, dir, ...part })
      const targets = await openTargets(dir)
      expect(targets.manifest.fidelity).toEqual(fidelity)
      await targets.close()
    }
  })

  it('of some rows holds those, from checked shards', async () => {
    const served = await server()
    const dir = newFolder()
    await pullTargets(served.url, { ...quick, dir, rows: { from: 30, to: 50 } })
    expect((await verifyTargets(dir)).problems).toEqual([])
    const targets = await openTargets(dir)
    expect(targets.manifest.derived).toMatchObject({
      operation: 'select',
      options: { from: 30, to: 50 },
      from: [sha256],
    })
    expect((await targets.load()).ids()).toEqual(Array.from({ length: 20 }, (_, i) => idOf(30 + i)))
    await targets.close()
    expect(dataRequests(served).map(({ name }) => name)).not.toContain(shard(2).file)
    expect(readdirSync(dir).sort()).toEqual(['README.md', 'data', 'manifest.json', 'plot.svg'])
  })

  it.each([
    [{ shards: [3] }, 'has no shard 3: it has 3'],
    [{ rows: { from: 0, to: 101 } }, 'it has 100 rows'],
    [{ shards: [0], rows: { from: 0, to: 1 } }, 'found both'],
  ])('refuses %j', async (part, message) => {
    const dir = newFolder()
    await expect(pullTargets(small, { dir, ...part })).rejects.toThrow(message)
    expect(existsSync(dir)).toBe(false)
  })
})

describe('the folder of a pull', () => {
  it.each([
    ['something else', (dir: string) => writeFileSync(join(dir, 'thesis.tex'), ''), "found 'thesis.tex'"],
    ['an export', (dir: string) => writeFileSync(join(dir, 'journal.jsonl'), ''), 'holds an export'],
    [
      'another pull',
      (dir: string) => {
        const state = { format: 'decant pull', version: 1, uri: 'https://x/y', manifest: '1'.repeat(64) }
        writeFileSync(join(dir, 'pull.json'), JSON.stringify(state))
      },
      'an unfinished pull of another dataset, or of another version of it (https://x/y',
    ],
    [
      'another dataset',
      (dir: string) => {
        const text = formatManifest({ ...manifest, created: '2026-01-01T00:00:00.000Z' })
        writeFileSync(join(dir, 'manifest.json'), text)
      },
      'holds another dataset',
    ],
  ])('that holds %s is refused, and left as it is', async (_, fill, message) => {
    const dir = temporaryFolder()
    fill(dir)
    const before = hashFolder(dir)
    await expect(pullTargets(small, { dir })).rejects.toThrow(message)
    expect(hashFolder(dir)).toEqual(before)
  })

  it('may hold a folder of the name that rows are fetched under, which stays', async () => {
    const dir = temporaryFolder()
    mkdirSync(join(dir, 'pull.tmp'))
    writeFileSync(join(dir, 'pull.tmp/mine'), '')
    await expect(pullTargets(small, { dir, rows: { from: 0, to: 5 } })).rejects.toThrow("found 'pull.tmp'")
    expect(readdirSync(join(dir, 'pull.tmp'))).toEqual(['mine'])
  })

  it('is no dataset before all is there, and says so', async () => {
    const { url } = await server(({ name }) => (name === shard(1).file ? { kind: 'status', status: 403 } : undefined))
    const dir = newFolder()
    await expect(pullTargets(url, { ...quick, dir })).rejects.toThrow('does not permit')
    expect(existsSync(join(dir, 'manifest.json'))).toBe(false)
    await expect(openTargets(dir)).rejects.toThrow('this pull has not finished; run the same decant pull again')
    await pullTargets(small, { dir })
    expect(hashFolder(dir)).toEqual(hashFolder(small))
  })

  it('has room for all that is declared, or nothing is fetched', async () => {
    const there = join(temporaryFolder(), 'there')
    await cp(small, there, { recursive: true })
    const { sha256: _, ...rest } = manifest
    const huge = rest.shards.map((entry) => ({ ...entry, bytes: 2 ** 50 }))
    const text = JSON.stringify({ ...rest, shards: huge })
    parseManifest(text)
    writeFileSync(join(there, 'manifest.json'), text)
    const served = await server(undefined, there)
    const dir = newFolder()
    await expect(pullTargets(served.url, { ...quick, dir })).rejects.toThrow(
      /needs \d+\.\d MB more, the disk has \d+\.\d MB free/,
    )
    expect(dataRequests(served)).toEqual([])
    expect(existsSync(dir)).toBe(false) // and a part that has room may go there
  })
})

describe('a hostile or broken server', () => {
  const faulty = async (fault: Fault, name = shard(1).file, times = Number.POSITIVE_INFINITY) => {
    let left = times
    const { url } = await server((asked) => (asked.name === name && left-- > 0 ? fault : undefined))
    const dir = newFolder()
    return { dir, pull: () => pullTargets(url, { ...quick, dir }) }
  }

  it.each<[string, Fault, string]>([
    ['a wrong byte', { kind: 'flip' }, 'damaged or altered'],
    ['another range than it was asked for', { kind: 'shift' }, "the server answers with 'bytes 1-"],
    ['another length', { kind: 'length', bytes: 10 ** 6 }, 'found 1000000'],
    ['an endless body', { kind: 'endless' }, 'does not say how long'],
    ['errors for ever', { kind: 'status', status: 503 }, '503 Service Unavailable (tried 3 times)'],
    [
      'a redirect to a local file',
      { kind: 'status', status: 302, headers: { location: 'file:///etc/passwd' } },
      'a redirect to file:',
    ],
    [
      'a redirect to a metadata service',
      { kind: 'status', status: 307, headers: { location: 'http://169.254.169.254/latest' } },
      'a redirect to 169.254.169.254',
    ],
  ])('that sends %s gives no shard its name', async (_, fault, message) => {
    const { dir, pull } = await faulty(fault)
    await expect(pull()).rejects.toThrow(message)
    for (const name of [shard(1).file, 'manifest.json']) expect(existsSync(join(dir, name))).toBe(false)
    const size = readdirSync(join(dir, 'data')).length
    expect(size).toBeLessThanOrEqual(3)
  })

  it.each<[string, Fault]>([
    ['breaks connections', { kind: 'cut', after: 900 }],
    ['is too busy', { kind: 'status', status: 429, headers: { 'retry-after': '1' } }],
    ['fails', { kind: 'status', status: 500 }],
  ])('that %s twice is asked again', async (_, fault) => {
    const { dir, pull } = await faulty(fault, shard(1).file, 2)
    await pull()
    expect(hashFolder(dir)).toEqual(hashFolder(small))
  })

  it('that sends an endless manifest is not listened to', async () => {
    const { dir, pull } = await faulty({ kind: 'length', bytes: 2 ** 40 }, 'manifest.json')
    await expect(pull()).rejects.toThrow('expected at most')
    expect(existsSync(dir)).toBe(false)
  })

  it('whose file changes on the way is found out', async () => {
    let asked = 0
    const file = readFileSync(join(small, shard(1).file))
    const { url } = await server(({ method, name }) => {
      if (name !== shard(1).file || method === 'HEAD') return undefined
      return asked++ === 0 ? { kind: 'cut', after: 1000 } : { kind: 'other', content: file.fill(7), etag: '"new"' }
    })
    const dir = newFolder()
    await expect(pullTargets(url, { ...quick, dir })).rejects.toThrow('the file changed while it was read')
    expect(existsSync(join(dir, shard(1).file))).toBe(false)
  })

  it('has no manifest that names files outside', async () => {
    const there = join(temporaryFolder(), 'there')
    await cp(small, there, { recursive: true })
    for (const file of ['../evil.arrow', '/tmp/evil.arrow', 'data/../../evil.arrow', 'data\\00000.arrow', 'lock']) {
      const { sha256: _, ...rest } = manifest
      const shards = rest.shards.map((entry, i) => (i === 0 ? { ...entry, file } : entry))
      writeFileSync(join(there, 'manifest.json'), JSON.stringify({ ...rest, shards }))
      const root = temporaryFolder()
      await expect(pullTargets(there, { dir: join(root, 'here') })).rejects.toThrow('expected data/')
      expect(readdirSync(root)).toEqual([])
    }
  })

  it('whose card is a book is left without it', async () => {
    const { dir, pull } = await faulty({ kind: 'length', bytes: 2 ** 21 }, 'README.md')
    await pull()
    const { 'README.md': _, ...rest } = hashFolder(small)
    expect(hashFolder(dir)).toEqual(rest)
  })

  it('with a file that is shorter than its manifest says is found out', async () => {
    const there = join(temporaryFolder(), 'there')
    await cp(small, there, { recursive: true })
    truncateSync(join(there, shard(1).file), 100)
    await expect(pullTargets(there, { dir: newFolder() })).rejects.toThrow(`says ${shard(1).bytes} bytes, found 100`)
  })
})
