import { existsSync, readFileSync, statSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { DecantError } from '../../src/errors.js'
import { type Random, random } from '../../src/random.js'
import { pullTargets, pushTargets } from '../../src/share/index.js'
import { makePlan, writeTargets } from '../cache/datasets.js'
import { hashFolder, temporaryFolder } from '../helpers/folder.js'
import { type Asked, type Fault, serveFolder } from './file-server.js'

// Part of `npm run faults`: a server that does at random all that a server can do wrong. Seeded by DECANT_SEED.
const seed = Number(process.env.DECANT_SEED ?? Date.now() % 2 ** 32)
const ROUNDS = 20
const plan = { rows: 400, rowsPerShard: 40, rowsPerBatch: 16, teacherLicense: 'mit' }
const quick = { retry: { sleep: async () => {}, attempts: 4 }, idleMs: 400 }

console.log(`storms: DECANT_SEED=${seed}`)

/** Passing failures most of the time; lies now and then. */
function drawFault(
  { uniform, below }: Random,
  shares: { passing: number; lie: number },
  dir: string,
): Fault | undefined {
  const x = uniform()
  if (x < shares.passing) {
    const faults: Fault[] = [
      { kind: 'cut', after: below(4000) },
      { kind: 'status', status: [429, 500, 502, 503, 504, 408][below(6)]!, headers: { 'retry-after': '1' } },
      { kind: 'cut', after: 0 },
    ]
    return faults[below(faults.length)]
  }
  if (x > shares.passing + shares.lie) return undefined
  const faults: Fault[] = [
    { kind: 'flip' },
    { kind: 'shift' },
    { kind: 'length', bytes: below(10_000) },
    { kind: 'endless' },
    { kind: 'trickle', after: below(2000) },
    { kind: 'other', content: readFileSync(join(dir, 'data/00003.arrow')) },
    { kind: 'other', content: Buffer.alloc(below(5000), 1), etag: '"x"' },
    { kind: 'status', status: [401, 403, 404, 410, 416, 418, 301][below(7)]! },
    { kind: 'status', status: 302, headers: { location: 'file:///etc/passwd' } },
    { kind: 'status', status: 307, headers: { location: 'http://169.254.169.254/' } },
    { kind: 'status', status: 308, headers: { location: 'http://[::ffff:10.0.0.1]/' } },
  ]
  return faults[below(faults.length)]
}

// A pull asks some 13 times: of these storms' pulls a third and more meet no lie, so that both ends are seen in 20.
describe('a storm', () => {
  it.each([
    ['passing failures', { passing: 0.35, lie: 0 }],
    ['lies', { passing: 0, lie: 0.08 }],
    ['both', { passing: 0.2, lie: 0.05 }],
  ])('of %s ends each pull with the exact dataset or an error, and never with a wrong file', async (what, shares) => {
    const root = temporaryFolder()
    const source = join(root, 'source')
    await writeTargets(source, makePlan(plan))
    const expected = hashFolder(source)
    const dice = random(seed, 'pull', what)
    let [calm, exact, refused] = [false, 0, 0]
    const served = await serveFolder(source, () => (calm ? undefined : drawFault(dice, shares, source)))
    onTestFinished(() => served.close())
    for (let round = 0; round < ROUNDS; round++) {
      const dir = join(root, `here-${round}`)
      calm = false
      const tries = 1 + dice.below(3)
      let done = false
      for (let i = 0; i < tries && !done; i++) {
        done = await pullTargets(served.url, { ...quick, dir }).then(
          () => true,
          (error) => {
            expect(error).toBeInstanceOf(DecantError)
            return false
          },
        )
        if (existsSync(dir)) {
          const found = Object.entries(hashFolder(dir)).filter(([name]) => /\.arrow$|^manifest/.test(name))
          for (const [name, sha256] of found) expect(sha256).toBe(expected[name])
          expect(existsSync(join(dir, 'manifest.json'))).toBe(done)
        }
      }
      if (done) exact++
      else {
        refused++
        calm = true // when the storm is over, what is here is of use
        await pullTargets(served.url, { ...quick, dir })
      }
      for (const name of Object.keys(expected).filter((name) => !/README|plot/.test(name)))
        expect(hashFolder(dir)[name]).toBe(expected[name])
    }
    console.log(`${what}: ${exact} pulls exact, ${refused} refused with an error, of ${ROUNDS}`)
    expect(exact).toBeGreaterThan(0)
  })

  it('ends each push with the exact dataset or an error, and no manifest before its shards', async () => {
    const root = temporaryFolder()
    const source = join(root, 'source')
    await writeTargets(source, makePlan(plan))
    const expected = hashFolder(source)
    const dice = random(seed, 'push')
    let [calm, exact, refused] = [false, 0, 0]
    const served = await serveFolder(root, ({ method }) => {
      if (calm || dice.uniform() > 0.25) return undefined
      if (method === 'PUT' && dice.uniform() < 0.5) return { kind: 'cut', after: 0 }
      return { kind: 'status', status: [429, 500, 503, 401, 413, 507][dice.below(6)]! }
    })
    onTestFinished(() => served.close())
    for (let round = 0; round < ROUNDS; round++) {
      const there = join(root, `there-${round}`)
      calm = false
      const push = () => pushTargets(source, `${served.url}/there-${round}`, quick)
      const done = await push().then(
        () => true,
        (error) => {
          expect(error).toBeInstanceOf(DecantError)
          return false
        },
      )
      if (done) exact++
      else {
        refused++
        if (existsSync(join(there, 'manifest.json'))) expect(hashFolder(there)).toMatchObject(expected)
        calm = true
        await push()
      }
      const { ...found } = hashFolder(there)
      for (const name of Object.keys(found)) if (name.endsWith('.tmp')) delete found[name] // the server's own
      expect(found).toEqual(expected)
    }
    console.log(`push: ${exact} exact, ${refused} refused with an error, of ${ROUNDS}`)
  })
})

describe('a redirect', () => {
  it('to another host is followed without credentials, and the dataset is exact', async () => {
    const root = temporaryFolder()
    const source = join(root, 'source')
    await writeTargets(source, makePlan(plan))
    const store = await serveFolder(source)
    onTestFinished(() => store.close())
    const hub = await serveFolder(source, ({ name }: Asked) =>
      name.startsWith('data/')
        ? { kind: 'status', status: 302, headers: { location: `${store.url}/${name}?signature=secret` } }
        : undefined,
    )
    onTestFinished(() => hub.close())
    // The store of files knows no queries: that the signature arrives is seen, and that it does not get into messages.
    await expect(pullTargets(hub.url, { ...quick, dir: join(root, 'here') })).rejects.not.toThrow('secret')
    expect(store.asked[0]!.name).toMatch(/\?signature=secret$/)
    expect(store.asked[0]!.headers.authorization).toBeUndefined()
  })

  it('from this machine may lead to this machine, and on no account elsewhere in the network', async () => {
    const sent: string[] = []
    const inner = createServer((request, response) => {
      sent.push(request.url!)
      response.writeHead(302, { location: 'http://192.168.7.7/secret' }).end()
    })
    await new Promise<void>((resolve) => inner.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void inner.close())
    const { port } = inner.address() as AddressInfo
    await expect(pullTargets(`http://127.0.0.1:${port}/a`, { ...quick, dir: temporaryFolder() })).rejects.toThrow(
      'a redirect to 192.168.7.7, an address of this machine or network, is not followed',
    )
    expect(sent).toEqual(['/a/manifest.json'])
  })
})

it('a server that sends next to nothing is given up, with the bytes that came kept', async () => {
  const root = temporaryFolder()
  const source = join(root, 'source')
  await writeTargets(source, makePlan(plan))
  const served = await serveFolder(source, ({ method, name }) =>
    method === 'GET' && name === 'data/00001.arrow' ? { kind: 'trickle', after: 100 } : undefined,
  )
  onTestFinished(() => served.close())
  const dir = join(root, 'here')
  await expect(pullTargets(served.url, { ...quick, dir })).rejects.toThrow('the connection broke 6 times')
  const { size } = statSync(
    join(dir, 'data', Object.keys(hashFolder(join(dir, 'data'))).find((name) => name.endsWith('.part'))!),
  )
  expect(size).toBeGreaterThan(500)
  await pullTargets(source, { dir })
  expect(hashFolder(dir)).toEqual(hashFolder(source))
})
