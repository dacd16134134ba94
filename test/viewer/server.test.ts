import { get, type IncomingHttpHeaders, request } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { serveViewer, type Viewer } from '../../src/viewer/serve-viewer.js'
import { temporaryFolder } from '../student/fixtures.js'
import { bundle, storedPictures, writeDataset } from './fixtures.js'

let viewer: Viewer
let port: number
const errors: unknown[] = []

beforeAll(async () => {
  const dir = await temporaryFolder()
  await writeDataset(join(dir, 'targets'), { rows: 20, inputs: storedPictures })
  viewer = await serveViewer({ place: join(dir, 'targets'), bundle, onError: (error) => errors.push(error) })
  port = Number(new URL(viewer.url).port)
  return () => viewer.close()
})

interface Reply {
  status: number
  headers: IncomingHttpHeaders
  text: string
}

function send(path: string, options: { method?: string; headers?: Record<string, string> } = {}): Promise<Reply> {
  return new Promise((resolve, reject) => {
    request({ host: '127.0.0.1', port, path, ...options }, (response) => {
      const parts: Buffer[] = []
      response.on('data', (part: Buffer) => parts.push(part))
      response.on('end', () =>
        resolve({ status: response.statusCode!, headers: response.headers, text: Buffer.concat(parts).toString() }),
      )
    })
      .on('error', reject)
      .end()
  })
}

test('the page and its files come from memory, its answers and pictures from the dataset', async () => {
  expect(viewer.url).toBe(`http://127.0.0.1:${port}/`)
  for (const [path, type, text] of [
    ['/', 'text/html; charset=utf-8', bundle.html],
    ['/page.js', 'text/javascript; charset=utf-8', bundle.js],
    ['/page.css', 'text/css; charset=utf-8', bundle.css],
  ] as const) {
    const reply = await send(path)
    expect([reply.status, reply.headers['content-type'], reply.text]).toEqual([200, type, text])
  }
  expect(JSON.parse((await send('/api/what')).text)).toMatchObject({ title: 'targets' })
  const picture = await send('/api/samples/3/image')
  expect([picture.status, picture.headers['content-type']]).toEqual([200, 'image/png'])
})

describe('only this page may ask', () => {
  test.each([
    ['another name that resolves to this machine', { host: 'evil.example' }],
    ['its port aside', { host: '127.0.0.1' }],
    ['another port', { host: '127.0.0.1:1' }],
    ['another site’s script', { origin: 'https://evil.example' }],
    ['a page from a file', { origin: 'null' }],
    ['a server on another port', { origin: 'http://127.0.0.1:1' }],
    ['another site’s picture', { 'sec-fetch-site': 'cross-site', 'sec-fetch-dest': 'image' }],
    ['a page of another port of this machine', { 'sec-fetch-site': 'same-site', 'sec-fetch-dest': 'empty' }],
  ])('%s: refused', async (_, headers) => {
    for (const path of ['/api/what', '/api/samples/3/image', '/page.js', '/']) {
      const { status, text } = await send(path, { headers })
      expect(status).toBe(403)
      expect(text).not.toContain('targets')
    }
  })

  test('its own requests, by either name, and a link that leads here are answered', async () => {
    const own: Record<string, string>[] = [
      { origin: `http://127.0.0.1:${port}`, 'sec-fetch-site': 'same-origin' },
      { host: `localhost:${port}`, origin: `http://localhost:${port}` },
    ]
    for (const headers of own) expect((await send('/api/what', { headers })).status).toBe(200)
    const link = { 'sec-fetch-site': 'cross-site', 'sec-fetch-dest': 'document' }
    expect((await send('/', { headers: link })).status).toBe(200)
    expect((await send('/api/what', { headers: link })).status).toBe(403)
  })

  test.each(['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'HEAD'])('%s is refused', async (method) => {
    expect((await send('/api/what', { method })).status).toBe(405)
  })

  test('it listens on 127.0.0.1 alone', async () => {
    const reached = await new Promise((resolve) => {
      const socket = connect({ host: '127.0.0.2', port }, () => resolve(true)).on('error', () => resolve(false))
      socket.setTimeout(500, () => resolve(false))
    })
    expect(reached).toBe(false)
  })
})

test('every reply forbids scripts of others, frames, guesses of type, and the referrer', async () => {
  for (const path of ['/', '/api/what', '/api/nothing', '/nothing', '/api/samples?x=1']) {
    const { headers } = await send(path)
    expect(headers['content-security-policy']).toMatch(/^default-src 'none'; script-src 'self'; /)
    expect(headers['content-security-policy']).toContain("frame-ancestors 'none'")
    expect(headers['x-content-type-options']).toBe('nosniff')
    expect(headers['referrer-policy']).toBe('no-referrer')
    expect(headers['access-control-allow-origin']).toBeUndefined()
  }
})

test.each([
  '/../../../../etc/passwd',
  '/..%2f..%2fetc/passwd',
  '/%2e%2e/%2e%2e/etc/passwd',
  '/page.js/../../package.json',
  '/api/../../package.json',
  '/api/samples/..%2f..%2fmanifest.json',
  '//etc/passwd',
  '/manifest.json',
  '/api/samples/0x1',
  '/api/samples/1e3',
  '/api/samples/999999999999999999999',
])('%s: nothing is there', async (path) => {
  const { status, text } = await send(path)
  expect(status).toBe(404)
  expect(JSON.parse(text)).toEqual({ error: expect.stringMatching(/^there is no/) })
})

test('a refusal is JSON of one line, without a stack', async () => {
  const { status, headers, text } = await send('/api/samples?limit=x')
  expect([status, headers['content-type']]).toEqual([400, 'application/json'])
  expect(text).toBe(`{"error":"limit: expected a whole number from 0 to 500, found 'x'"}`)
  expect((await send('/api/live')).status).toBe(404)
  expect(errors).toEqual([])
})

test('a second one on the same port is refused; closing ends what is open', async () => {
  const dir = await temporaryFolder()
  await writeDataset(join(dir, 'targets'), { rows: 20 })
  const options = { place: join(dir, 'targets'), source: false, bundle } as const
  await expect(serveViewer({ ...options, port })).rejects.toThrow(`port ${port} is taken`)
  const second = await serveViewer(options)
  const idle = get(second.url)
  idle.on('error', () => {})
  await second.close()
  await expect(fetch(second.url)).rejects.toThrow()
})

test('what is nothing to look at is said in one line', async () => {
  const dir = await temporaryFolder()
  await expect(serveViewer({ place: dir, bundle })).rejects.toThrow(
    /expected a soft-target dataset, an export, a sweep or a student/,
  )
  await expect(serveViewer({ place: join(dir, 'x'), bundle })).rejects.toThrow(/no such folder/)
})
