import { createHash, randomBytes } from 'node:crypto'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createHttpClient } from '../../src/share/http-client.js'

// Bodies of a megabyte and more are read past node's parser (reuse): all bytes, and no others.

const body = randomBytes(3 * 2 ** 20 + 17)
let connections = 0
const server = createServer((request, response) => answer(request.url!, response))
const client = createHttpClient()
const impatient = createHttpClient({ idleMs: 500 })
let base = ''

function answer(url: string, response: ServerResponse): void {
  response.setHeader('content-length', url === '/more' ? body.length - 9 : body.length)
  if (url === '/cut') {
    response.write(body.subarray(0, 2 ** 21), () => response.destroy())
  } else if (url === '/silent') response.write(body.subarray(0, 2 ** 21))
  else if (url === '/unknown') {
    response.removeHeader('content-length') // chunked
    response.end(body)
  } else if (url === '/more') {
    response.flushHeaders()
    response.socket!.write(body) // past the length that was said
  } else response.end(body)
}

beforeAll(async () => {
  server.on('connection', () => connections++)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterAll(() => {
  server.closeAllConnections()
  server.close()
})

async function read(
  url: string,
  { pause = false, signal, by = client }: { pause?: boolean; signal?: AbortSignal; by?: typeof client } = {},
) {
  const response = await by.request(base + url, { ...(signal && { signal }) })
  const hash = createHash('sha256')
  let [bytes, pieces] = [0, 0]
  for await (const piece of response.body({ reuse: true })) {
    if (pause) await new Promise((resolve) => setTimeout(resolve, 1))
    hash.update(piece) // after the wait: nothing has come over it
    bytes += piece.length
    pieces++
  }
  return { bytes, pieces, sha256: hash.digest('hex') }
}

const sha256 = createHash('sha256').update(body).digest('hex')

test('a body comes whole, read at once or slowly, several side by side', async () => {
  const all = await Promise.all([read('/'), read('/', { pause: true }), read('/'), read('/unknown')])
  for (const one of all) expect(one).toMatchObject({ bytes: body.length, sha256 })
})

test('small bodies keep their connection', async () => {
  const small = createServer((_, response) => response.end('small'))
  const ports = new Set<number>()
  small.on('connection', (socket) => ports.add(socket.remotePort!))
  await new Promise<void>((resolve) => small.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(small.address() as AddressInfo).port}/`
  for (let i = 0; i < 3; i++) {
    const pieces: Uint8Array[] = []
    for await (const piece of (await client.request(url)).body({ reuse: true })) pieces.push(piece)
    expect(Buffer.concat(pieces).toString()).toBe('small')
    await new Promise((resolve) => setImmediate(resolve))
  }
  expect(ports.size).toBe(1)
  small.closeAllConnections()
  small.close()
})

test('what breaks, stays silent or is told to stop is an error', async () => {
  await expect(read('/cut')).rejects.toThrow('/cut: the connection broke')
  await expect(read('/silent', { by: impatient })).rejects.toThrow('less than 16384 bytes in 0.5 s')
  const controller = new AbortController()
  const reading = read('/silent', { signal: controller.signal })
  setTimeout(() => controller.abort(), 50)
  await expect(reading).rejects.toThrow(/abort/)
})

test('nothing behind the length that was said is believed', async () => {
  const found = await read('/more')
  expect(found.bytes).toBe(body.length - 9)
  expect(found.sha256).toBe(createHash('sha256').update(body.subarray(0, -9)).digest('hex'))
})
