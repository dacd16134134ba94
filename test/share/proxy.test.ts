import { createServer, type IncomingMessage, request } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import { type AddressInfo, connect, createServer as createTcpServer, type Server } from 'node:net'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { createHttpClient } from '../../src/share/http-client.js'
import { proxyFor } from '../../src/share/proxy.js'

const PASSWORD = 'p%40ss'
const proxyOf = (url: string, env: Record<string, string>) => proxyFor(new URL(url), env)?.hostname

test.each([
  ['https://data.example/x', { HTTPS_PROXY: 'http://a:1' }, 'a'],
  ['https://data.example/x', { https_proxy: 'b:3128', HTTPS_PROXY: 'http://a:1' }, 'b'],
  ['http://data.example/x', { HTTPS_PROXY: 'http://a:1' }, undefined],
  ['http://data.example/x', { HTTP_PROXY: 'http://a:1' }, 'a'],
  ['https://data.example/x', { ALL_PROXY: 'http://c:1' }, 'c'],
  ['https://data.example/x', { HTTPS_PROXY: 'http://a:1', NO_PROXY: '*' }, undefined],
  ['https://data.example/x', { HTTPS_PROXY: 'http://a:1', NO_PROXY: 'other, .example' }, undefined],
  ['https://data.example/x', { HTTPS_PROXY: 'http://a:1', NO_PROXY: 'data.example:443' }, undefined],
  ['https://data.example/x', { HTTPS_PROXY: 'http://a:1', NO_PROXY: 'data.example:8443' }, 'a'],
  ['https://mydata.example/x', { HTTPS_PROXY: 'http://a:1', NO_PROXY: 'data.example' }, 'a'],
  ['https://10.1.2.3/x', { HTTPS_PROXY: 'http://a:1', NO_PROXY: '10.0.0.0/8' }, undefined],
  ['https://11.1.2.3/x', { HTTPS_PROXY: 'http://a:1', NO_PROXY: '10.0.0.0/8,10.0.0.0/99' }, 'a'],
  ['https://[fd00::1]/x', { HTTPS_PROXY: 'http://a:1', NO_PROXY: 'fd00::/8' }, undefined],
  ['http://localhost:80/x', { HTTP_PROXY: 'http://a:1' }, undefined],
  ['http://127.0.0.1/x', { HTTP_PROXY: 'http://a:1' }, undefined],
])('%s with %o goes by %s', (url, env, expected) => {
  expect(proxyOf(url, env)).toBe(expected)
})

test('what names no proxy of http is an error without its text', () => {
  expect(() => proxyOf('https://data.example', { HTTPS_PROXY: 'socks5://me:secret@host:1' })).toThrow(
    /^HTTPS_PROXY: expected a URL such as http:\/\/host:3128$/,
  )
})

describe('through a proxy', () => {
  async function listen(server: Server): Promise<number> {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void server.close())
    return (server.address() as AddressInfo).port
  }

  /** Sends all hosts to a port of this machine. */
  async function startProxy(to: number, password: string) {
    const asked: string[] = []
    const expected = `Basic ${Buffer.from(`me:${password}`).toString('base64')}`
    const isKnown = ({ headers }: IncomingMessage) => headers['proxy-authorization'] === expected
    const server = createServer((from, answer) => {
      asked.push(`${from.method} ${from.url}`)
      if (!isKnown(from)) return answer.writeHead(407).end()
      const { pathname } = new URL(from.url!)
      request({ port: to, path: pathname, headers: { host: from.headers.host } }, (response) => {
        answer.writeHead(response.statusCode!, response.headers)
        response.pipe(answer)
      }).end()
    })
    server.on('connect', (from, socket) => {
      asked.push(`CONNECT ${from.url}`)
      if (!isKnown(from)) return socket.end('HTTP/1.1 407 No\r\n\r\n')
      const there = connect(to, '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 OK\r\n\r\n')
        there.pipe(socket).pipe(there)
      })
      for (const side of [socket, there]) side.on('error', () => {})
    })
    const port = await listen(server)
    onTestFinished(() => server.closeAllConnections())
    return {
      asked,
      env: {
        https_proxy: `http://me:${PASSWORD}@127.0.0.1:${port}`,
        http_proxy: `http://me:${PASSWORD}@127.0.0.1:${port}`,
      },
    }
  }

  async function get(url: string, env: Record<string, string>): Promise<string> {
    const response = await createHttpClient({ env, idleMs: 2000 }).request(url)
    const pieces: Uint8Array[] = []
    for await (const piece of response.body({ reuse: true })) pieces.push(Buffer.from(piece))
    return Buffer.concat(pieces).toString()
  }

  test('http is asked for by its whole URL', async () => {
    const port = await listen(
      createServer((from, answer) => answer.end(`${from.headers.host} ${from.headers['proxy-authorization']}`)),
    )
    const { asked, env } = await startProxy(port, 'p@ss')
    expect(await get('http://data.example/a/b', env)).toBe('data.example undefined')
    expect(asked).toEqual(['GET http://data.example/a/b'])
  })

  test('https is a tunnel, in which the certificate is that of the host', async () => {
    const big = Buffer.alloc(3 * 2 ** 20, 'x')
    const port = await listen(
      createSecureServer({ key: KEY, cert: CERTIFICATE }, (_, answer) =>
        answer.setHeader('content-length', big.length).end(big),
      ),
    )
    const { asked, env } = await startProxy(port, 'p@ss')
    await expect(get('https://data.example/a', env)).rejects.toThrow("the server's certificate is not trusted")
    expect(asked).toEqual(['CONNECT data.example:443'])
    vi.spyOn(process, 'emitWarning').mockImplementation(() => {}) // Node's, of the next line, is no news to who runs the tests
    process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0'
    onTestFinished(() => {
      delete process.env.NODE_TLS_REJECT_UNAUTHORIZED
      vi.restoreAllMocks()
    })
    expect((await get('https://data.example/a', env)).length).toBe(big.length)
  })

  test('one that takes no name and password says so, and they are not in the message', async () => {
    const { env } = await startProxy(1, 'another')
    for (const scheme of ['http', 'https']) {
      const error = await get(`${scheme}://data.example/a`, env).catch((error) => error)
      expect(error.message).toMatch(
        /^https?:\/\/data\.example.*: the proxy http:\/\/127\.0\.0\.1:\d+ asks for a name and a password/,
      )
      expect(error.message).not.toMatch(/p%40ss|p@ss/)
    }
  })

  test('one that does not answer is given up in time, and at once where the caller stops', async () => {
    const silent = createTcpServer((socket) => void socket.on('error', () => {}))
    const env = { https_proxy: `http://me:${PASSWORD}@127.0.0.1:${await listen(silent)}` }
    const client = createHttpClient({ env, idleMs: 300 })
    await expect(client.request('https://data.example/a')).rejects.toThrow(
      /^https:\/\/data\.example: the proxy http:\/\/127\.0\.0\.1:\d+ does not answer in 0\.3 s$/,
    )
    const stop = new AbortController()
    const patient = createHttpClient({ env, idleMs: 60_000 }).request('https://data.example/a', { signal: stop.signal })
    setTimeout(() => stop.abort(new Error('stopped by the caller')), 50)
    await expect(patient).rejects.toThrow('stopped by the caller')
  })

  test('a redirect to an address of this network is not followed', async () => {
    const port = await listen(
      createServer((_, answer) => answer.writeHead(302, { location: 'http://169.254.169.254/x' }).end()),
    )
    const { env } = await startProxy(port, 'p@ss')
    await expect(get('http://data.example/a', env)).rejects.toThrow('a redirect to 169.254.169.254')
  })
})

// of data.example, for this test alone
const KEY = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgSh697bQ91C5rcTDX
GJW9P6NBmYPzSo5WEGo37J+5+XmhRANCAATrvIGirnqo6IWuHFQuDLxK1NMrvhRT
KPJScno/vdf74qBm/cGTlt7pmNiqlDxEDW1vdHkF45yIxKJnB2skJYDF
-----END PRIVATE KEY-----`
const CERTIFICATE = `-----BEGIN CERTIFICATE-----
MIIBnjCCAUSgAwIBAgIUF9W3evjSiGZvlR4WcDzofGbAKZQwCgYIKoZIzj0EAwIw
FzEVMBMGA1UEAwwMZGF0YS5leGFtcGxlMCAXDTI2MTEyNDE5NTEwNFoYDzIxMjYx
MDMxMTk1MTA0WjAXMRUwEwYDVQQDDAxkYXRhLmV4YW1wbGUwWTATBgcqhkjOPQIB
BggqhkjOPQMBBwNCAATrvIGirnqo6IWuHFQuDLxK1NMrvhRTKPJScno/vdf74qBm
/cGTlt7pmNiqlDxEDW1vdHkF45yIxKJnB2skJYDFo2wwajAdBgNVHQ4EFgQUaoSl
VK9eAzrQc7aGmsFbFIv+oJowHwYDVR0jBBgwFoAUaoSlVK9eAzrQc7aGmsFbFIv+
oJowDwYDVR0TAQH/BAUwAwEB/zAXBgNVHREEEDAOggxkYXRhLmV4YW1wbGUwCgYI
KoZIzj0EAwIDSAAwRQIhAPHKCyZ4Qs8JxQhZZUhOQrqgwZPabMNRGEsGVjo45YFY
AiB2FGGJfbj4hcwdVuxcG+LaRqrGjiYVrhY0Utc+eOHLnw==
-----END CERTIFICATE-----`
