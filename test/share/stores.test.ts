import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { hubToken } from '../../src/share/credentials.js'
import { fileContent } from '../../src/share/file-content.js'
import { guardedLookup, kindOf } from '../../src/share/http-client.js'
import { readRange, readSmall } from '../../src/share/read-range.js'
import type { Content, Store } from '../../src/share/store.js'
import { openFolderStore } from '../../src/share/stores/folder.js'
import { openHttpStore } from '../../src/share/stores/http.js'
import { openHubStore } from '../../src/share/stores/hub.js'
import { temporaryFolder } from '../helpers/folder.js'

async function collect(pieces: AsyncIterable<Uint8Array>): Promise<string> {
  const all: Uint8Array[] = []
  for await (const piece of pieces) all.push(piece)
  return Buffer.concat(all).toString()
}

function contentOf(text: string): Content {
  const bytes = Buffer.from(text)
  return {
    bytes: bytes.length,
    sha256: createHash('sha256').update(text).digest('hex'),
    async *read(from, to) {
      for (let at = from; at < to; at += 3) yield bytes.subarray(at, Math.min(at + 3, to))
    },
  }
}

const IDLE_MS = 300

async function serve(answer: Answer): Promise<Store> {
  const url = `${await serverOf(answer)}/d/`
  return openHttpStore(url, { idleMs: IDLE_MS, retry: { attempts: 3, sleep: async () => {} } })
}

type Answer = (request: IncomingMessage, response: ServerResponse) => unknown

async function serverOf(answer: Answer): Promise<string> {
  const server = createServer((request, response) => void answer(request, response))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

describe('a folder', () => {
  it('gives back what was written, whole and in parts', async () => {
    const dir = join(temporaryFolder(), 'new')
    const store = openFolderStore(dir)
    expect(await store.list()).toEqual([])
    expect(await store.head('data/00000.arrow')).toBeUndefined()
    await store.write('data/00000.arrow', contentOf('0123456789'))
    expect(await store.list()).toMatchObject([{ name: 'data/00000.arrow', bytes: 10 }])
    expect(await collect(store.read('data/00000.arrow', { from: 2, to: 5 }))).toBe('234')
    await store.delete('data/00000.arrow')
    expect(await store.head('data/00000.arrow')).toBeUndefined()
  })

  it('gives no name to bytes with another hash, and clears up after the dead', async () => {
    const dir = temporaryFolder()
    const store = openFolderStore(dir)
    writeFileSync(join(dir, 'a.999999999.tmp'), 'of a process that is no more')
    const wrong = fileContent(join(dir, 'b'), { bytes: 4, sha256: '0'.repeat(64) })
    writeFileSync(join(dir, 'b'), 'text')
    await expect(store.write('a', wrong)).rejects.toThrow('expected SHA-256 000')
    expect(readdirSync(dir)).toEqual(['b'])
  })

  it('sees that a file has changed since', async () => {
    const dir = temporaryFolder()
    const store = openFolderStore(dir)
    writeFileSync(join(dir, 'a'), 'old')
    const { etag } = (await store.head('a'))!
    writeFileSync(join(dir, 'a'), 'newer')
    await expect(collect(store.read('a', { from: 0, to: 3, etag: etag! }))).rejects.toThrow('changed')
  })

  it.each(['../a', '/a', 'a/../b', 'data/.', '', 'a//b', 'a\\..\\b', '.hidden', 'a\0b'])(
    'refuses the name %j',
    async (name) => {
      const dir = temporaryFolder()
      mkdirSync(join(dir, 'in'))
      const store = openFolderStore(join(dir, 'in'))
      const tried = [() => store.head(name), () => store.write(name, contentOf('x')), () => store.delete(name)]
      for (const act of tried) await expect((async () => act())()).rejects.toThrow('expected a name such as')
    },
  )
})

describe('a web server', () => {
  it('is asked for the range, of the file that was meant', async () => {
    const asked: unknown[] = []
    const store = await serve(({ url, method, headers }, response) => {
      asked.push([method, url, headers.range, headers['if-match']])
      if (method === 'HEAD') return response.writeHead(200, { 'content-length': 10, etag: '"1"' }).end()
      return response.writeHead(206, { 'content-range': 'bytes 2-4/10', etag: '"1"' }).end('234')
    })
    expect(await store.head('a')).toEqual({ name: 'a', bytes: 10, etag: '"1"' })
    expect(await collect(store.read('a', { from: 2, to: 5, etag: '"1"' }))).toBe('234')
    expect(asked).toEqual([
      ['HEAD', '/d/a', undefined, undefined],
      ['GET', '/d/a', 'bytes=2-4', '"1"'],
    ])
  })

  it.each([
    ['a shift', 206, { 'content-range': 'bytes 3-5/10' }, "answers with 'bytes 3-5/10'"],
    ['more than was asked for', 206, { 'content-range': 'bytes 2-9/10' }, "answers with 'bytes 2-9/10'"],
    ['no range', 206, {}, "answers with 'no range'"],
    ['the whole file', 200, {}, 'whole files only'],
    ['another file', 206, { 'content-range': 'bytes 2-4/10', etag: '"2"' }, 'the file changed'],
    ['412', 412, {}, 'the file changed'],
    ['416', 416, {}, 'shorter than the 5 bytes'],
    ['gzip', 206, { 'content-range': 'bytes 2-4/10', 'content-encoding': 'gzip' }, 'encoded (gzip)'],
    ['403', 403, {}, 'does not permit'],
    ['503 for ever', 503, {}, '503 Service Unavailable (tried 3 times)'],
    ['a redirect to a file', 302, { location: 'file:///etc/passwd' }, 'a redirect to file:'],
    ['a redirect to a metadata service', 302, { location: 'http://169.254.169.254/x' }, 'is not followed'],
    ['a redirect to itself', 302, { location: '/d/a' }, 'more than 5 redirects'],
  ] as const)('is not believed: %s', async (_, status, headers, message) => {
    const store = await serve((_, response) => response.writeHead(status, headers).end('xyzxyz'))
    await expect(collect(store.read('a', { from: 2, to: 5, etag: '"1"' }))).rejects.toThrow(message)
  })

  it('may break off, and is asked for the rest', async () => {
    const store = await serve(({ headers }, response) => {
      const from = Number(/bytes=(\d+)-/.exec(headers.range!)![1])
      response.writeHead(206, { 'content-range': `bytes ${from}-9/10`, 'content-length': 10 - from })
      response.write('0123456789'.slice(from, from + 3), () => response.destroy())
    })
    expect(await collect(readRange(store, 'a', { from: 0, to: 10 }, { retry: { sleep: async () => {} } }))).toBe(
      '0123456789',
    )
  })

  it('that never gets on is given up', async () => {
    const store = await serve((_, response) => {
      response.writeHead(206, { 'content-range': 'bytes 0-9/10' }).flushHeaders()
      process.nextTick(() => response.destroy())
    })
    const reading = collect(readRange(store, 'a', { from: 0, to: 10 }, { retry: { sleep: async () => {} } }))
    await expect(reading).rejects.toThrow('the connection broke 6 times, at last at byte 0 of 10')
  })

  it('gets a whole file by PUT, and says why it will not have one', async () => {
    const bodies: string[] = []
    const store = await serve(async (request, response) => {
      bodies.push(await collect(request as AsyncIterable<Uint8Array>))
      response.writeHead(request.url === '/d/a' ? 201 : 405).end()
    })
    await store.write('a', contentOf('0123456789'))
    expect(bodies).toEqual(['0123456789'])
    await expect(store.write('b', contentOf('x'))).rejects.toThrow('writing needs PUT')
  })

  it('that answers before it has heard all leaves no timer behind', async () => {
    const [set, cleared] = [vi.spyOn(globalThis, 'setTimeout'), vi.spyOn(globalThis, 'clearTimeout')]
    onTestFinished(() => void vi.restoreAllMocks())
    const store = await serve((_, response) => response.writeHead(413).end())
    async function* endless() {
      for (;;) yield Buffer.alloc(2 ** 16)
    }
    const long = { ...contentOf('x'), bytes: 2 ** 30, read: endless }
    await expect(store.write('a', long)).rejects.toThrow('no file of this size')
    await setImmediate()
    const left = set.mock.results.filter(({ value }, i) => {
      return set.mock.calls[i]![1] === IDLE_MS && !cleared.mock.calls.some(([timer]) => timer === value)
    })
    expect(left).toEqual([])
  })

  it('has no say in how long a manifest is', async () => {
    const store = await serve((_, response) => response.writeHead(200, { 'content-length': 101 }).end('x'.repeat(101)))
    await expect(readSmall(store, 'manifest.json', { most: 100 })).rejects.toThrow('101 bytes, expected at most 100')
  })
})

it('a hub is asked for what lies in a folder of any name', async () => {
  const asked: string[] = []
  const sha = 'a'.repeat(40)
  const HF_ENDPOINT = await serverOf(({ url }, response) => {
    asked.push(url!)
    response.end(url!.startsWith('/api/') ? JSON.stringify({ sha }) : 'abc')
  })
  const env = { HF_ENDPOINT, HF_TOKEN: 'hf_x' }
  const store = await openHubStore({ repo: 'org/name', prefix: 'a b/50%#1/' }, { env })
  expect(await collect(store.read('c', { from: 0, to: 3 }))).toBe('abc')
  expect(asked.at(-1)).toBe(`/datasets/org/name/resolve/${sha}/a%20b/50%25%231/c`)
})

it('a token that is none is said to be, and not shown', async () => {
  const HF_HOME = temporaryFolder()
  writeFileSync(join(HF_HOME, 'token'), 'hf_one\nhf_two\n')
  await expect(hubToken({ HF_HOME })).rejects.toThrow(/\/token: expected a token alone, found spaces[^_]*$/)
  await expect(hubToken({ HF_TOKEN: 'hf_söcret' })).rejects.toThrow(/^HF_TOKEN: expected a token alone[^ö]*$/)
  writeFileSync(join(HF_HOME, 'token'), 'hf_one\n')
  expect(await hubToken({ HF_TOKEN: '', HF_TOKEN_PATH: '', HF_HOME })).toBe('hf_one')
})

it('tells addresses apart, whatever they are wrapped in', () => {
  const kinds = {
    public: ['8.8.8.8', '2606:4700::1111', '172.32.0.1', '::ffff:8.8.8.8', '64:ff9b::808:808'],
    loopback: [
      '127.0.0.1',
      '127.9.9.9',
      '::1',
      '::ffff:127.0.0.1',
      '::ffff:7f00:1',
      '64:ff9b::7f00:1',
      '2002:7f00:1::',
    ],
    private: ['10.0.0.1', '172.16.0.1', '192.168.1.1', '100.64.0.1', 'fd00::1', '::ffff:10.1.1.1'],
    'link-local': ['169.254.169.254', 'fe80::1', 'fe80::1%eth0', '0.0.0.0', '::', '::ffff:a9fe:a9fe', '224.0.0.1', 'x'],
  }
  for (const [kind, addresses] of Object.entries(kinds))
    expect(addresses.map(kindOf)).toEqual(addresses.map(() => kind))
})

describe('a redirect to a name', () => {
  it('is followed where its address is of the kind that the URI is at', async () => {
    const content = createServer((_, response) => response.writeHead(200, { 'content-length': 3 }).end('abc'))
    await new Promise<void>((resolve) => content.listen(0, 'localhost', resolve))
    onTestFinished(() => void content.close())
    const { port } = content.address() as AddressInfo
    const store = await serve((_, response) =>
      response.writeHead(302, { location: `http://localhost:${port}/x` }).end(),
    )
    expect(await collect(store.read('a', { from: 0, to: 3 }))).toBe('abc')
  })

  it('is refused by the address that the resolver gives, before anything is sent', async () => {
    const look = guardedLookup(new URL('http://localhost/a'), (kind) => kind === 'public')
    for (const all of [true, false]) {
      const error = await new Promise((resolve) => look('localhost', { all }, resolve))
      expect(error).toMatchObject({
        message: expect.stringMatching(/a redirect to (127\.0\.0\.1|::1), an address of this machine/),
      })
    }
  })
})
