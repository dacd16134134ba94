import type { LookupAddress, LookupOptions } from 'node:dns'
import { lookup } from 'node:dns'
import * as http from 'node:http'
import * as https from 'node:https'
import { BlockList, isIP, type LookupFunction } from 'node:net'
import { DecantError } from '../errors.js'
import { tapBody, tapConnections } from './http-tap.js'
import { type ProxyServer, proxyFor, refusedByProxy, type TunnelOptions, tunnelThroughProxies } from './proxy.js'
import { isPassingStatus, PassingError, parseRetryAfter } from './retry.js'

// HTTP as sharing needs it. node:http and not fetch: the address that is connected to is seen before a byte is sent, bodies are
// as they were sent (nothing is inflated), and a redirect is followed by our rules.
//
// Redirects (a hub and S3 send readers on to another host for the large files):
// - GET and HEAD only, MAX_REDIRECTS in a row, to http: and https: only, never from https to http;
// - to an address that is not public (this machine, the network's own, link-local, such as a cloud's metadata service) only where the user's own
//   URI is at an address of that kind, link-local never; judged by the address itself, after the resolver, so that no name hides one;
// - another origin gets no credentials.

const MAX_REDIRECTS = 5
const IDLE_MS = 60_000
/** A connection has to bring this much within the idle time: one byte a minute is not alive. */
const ALIVE_BYTES = 16 * 2 ** 10

export interface HttpRequest {
  method?: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE'
  headers?: Record<string, string>
  /** For the origin of the URL alone. */
  authorization?: string | undefined
  body?: { bytes: number; pieces: () => AsyncIterable<Uint8Array> }
  signal?: AbortSignal | undefined
}

export interface HttpResponse {
  status: number
  headers: http.IncomingHttpHeaders
  /** Where the answer came from, for messages: no query, as that may be a signature. */
  url: string
  /** Once. A broken connection, and one on which next to nothing comes, throws PassingError. `reuse`: pieces may be overwritten by the next. */
  body(options?: { reuse?: boolean | undefined }): AsyncIterable<Uint8Array>
  /** Lets the connection go where the body is not wanted. */
  discard(): void
}

export interface HttpClient {
  /**
   * One request, redirects followed. Any status that is no passing failure is an answer.
   * @throws PassingError for broken connections, 408, 429 and 5xx: `retry` repeats those
   */
  request(url: string, request?: HttpRequest): Promise<HttpResponse>
}

/** Connections are kept for the next request, as long as the client is. */
export function createHttpClient({
  idleMs = IDLE_MS,
  env = process.env,
}: {
  idleMs?: number | undefined
  /** where proxies are looked for */
  env?: NodeJS.ProcessEnv | undefined
} = {}): HttpClient {
  const agents = { 'http:': new http.Agent({ keepAlive: true }), 'https:': new https.Agent({ keepAlive: true }) }
  for (const agent of Object.values(agents)) tapConnections(agent)
  tunnelThroughProxies(agents['https:'], { env, idleMs })
  return {
    async request(url, request = {}) {
      const { method = 'GET' } = request
      let at = new URL(url)
      const { origin } = at
      let home: AddressKind | undefined
      for (let hops = 0; ; hops++) {
        const redirected = at.origin !== origin
        const proxy = proxyFor(at, env)
        const response = await send(at, {
          ...request,
          method,
          idleMs,
          agents,
          proxy,
          authorization: redirected ? undefined : request.authorization,
          allowed: redirected ? (kind) => kind === 'public' || (kind === home && kind !== 'link-local') : undefined,
        })
        home ??= proxy ? kindOfHost(at) : kindOf(response.socket.remoteAddress ?? '')
        if (proxy && response.statusCode === 407) {
          response.destroy()
          throw refusedByProxy(proxy, bare(at), 407)
        }
        const next = redirectOf(response, at)
        if (!next) return check(response, at, idleMs)
        response.destroy()
        if (method !== 'GET' && method !== 'HEAD')
          throw new DecantError(`${bare(at)}: answers with a redirect to ${bare(next)}: give that place itself`)
        if (hops === MAX_REDIRECTS) throw new DecantError(`${url}: more than ${MAX_REDIRECTS} redirects`)
        at = next
      }
    },
  }
}

/** A URL for messages. */
const bare = (url: URL): string => (url.protocol.startsWith('http') ? `${url.origin}${url.pathname}` : url.protocol)

function redirectOf(response: http.IncomingMessage, at: URL): URL | undefined {
  const { location } = response.headers
  if (![301, 302, 303, 307, 308].includes(response.statusCode!) || location === undefined) return undefined
  if (!URL.canParse(location, at.href)) {
    response.destroy()
    throw new DecantError(`${bare(at)}: answers with a redirect that cannot be read`)
  }
  const next = new URL(location, at)
  next.username = ''
  next.password = ''
  if (next.protocol === 'https:' || (next.protocol === 'http:' && at.protocol === 'http:')) return next
  response.destroy()
  const why = next.protocol === 'http:' ? 'from https to http' : `to ${next.protocol}`
  throw new DecantError(`${bare(at)}: answers with a redirect ${why}, which is not followed`)
}

function check(response: http.IncomingMessage, at: URL, idleMs: number): HttpResponse {
  const status = response.statusCode!
  const url = bare(at)
  if (isPassingStatus(status)) {
    response.destroy()
    const retryAfter = parseRetryAfter(response.headers['retry-after'])
    throw new PassingError(
      `${url}: the server answers ${status} ${response.statusMessage?.slice(0, 100) ?? ''}`.trimEnd(),
      {
        ...(retryAfter !== undefined && { retryAfter }),
      },
    )
  }
  return {
    status,
    headers: response.headers,
    url,
    body: ({ reuse = false } = {}) => readBody(response, { url, idleMs, reuse }),
    discard: () => response.destroy(),
  }
}

interface Sending extends HttpRequest {
  idleMs: number
  agents: Record<string, http.Agent>
  proxy: ProxyServer | undefined
  allowed: ((kind: AddressKind) => boolean) | undefined
}

function send(url: URL, options: Sending): Promise<http.IncomingMessage> {
  const { method, headers, authorization, body, signal, idleMs, agents, allowed, proxy } = options
  const host = url.hostname.replace(/^\[|\]$/g, '')
  if (allowed && (isIP(host) || proxy) && !allowed(kindOfHost(url))) throw refused(url, host)
  // A proxy is asked for the whole URL of http, and for a connection to the host of https (the agent does that).
  const forward = proxy && url.protocol === 'http:' ? proxy : undefined
  const { protocol } = forward ?? url
  const request = (protocol === 'https:' ? https : http).request(url, {
    ...(forward && { protocol, hostname: forward.hostname, port: forward.port, path: url.href }),
    agent: protocol === url.protocol ? agents[protocol]! : https.globalAgent,
    method,
    headers: {
      'accept-encoding': 'identity',
      'user-agent': 'decant',
      ...(forward && { host: url.host }),
      ...headers,
      ...(body && { 'content-length': String(body.bytes) }),
      ...(authorization !== undefined && { authorization }),
      ...(forward?.authorization !== undefined && { 'proxy-authorization': forward.authorization }),
    },
    ...(signal && { signal, ...({ tunnelSignal: signal } satisfies TunnelOptions) }),
    ...(allowed && !proxy && { lookup: guardedLookup(url, allowed) }),
  })
  return new Promise((resolve, reject) => {
    const late = () => request.destroy(new PassingError(`${bare(url)}: no answer within ${idleMs / 1000} s`))
    let timer = setTimeout(late, idleMs)
    const alive = () => {
      clearTimeout(timer)
      timer = setTimeout(late, idleMs)
    }
    let answered = false
    request.once('response', (response) => {
      answered = true
      clearTimeout(timer)
      response.on('error', () => {}) // thrown by the body's iterator, if anyone reads it
      resolve(response)
    })
    request.on('error', (error) => {
      clearTimeout(timer)
      reject(connectionError(error, url, signal))
    })
    if (!body) request.end()
    else
      writeBody(request, body.pieces(), { alive, stopped: () => answered }).catch((error) => {
        request.destroy(error)
        clearTimeout(timer)
        reject(error)
      })
  })
}

/** Sends a body as fast as the connection takes it. A server that answers before all has come does not want the rest. */
async function writeBody(
  request: http.ClientRequest,
  pieces: AsyncIterable<Uint8Array>,
  { alive, stopped }: { alive: () => void; stopped: () => boolean },
): Promise<void> {
  for await (const piece of pieces) {
    if (stopped() || request.destroyed) break
    alive()
    if (request.write(piece)) continue
    await new Promise<void>((resolve) => {
      const done = () => {
        for (const event of ['drain', 'close', 'response']) request.off(event, done)
        resolve()
      }
      for (const event of ['drain', 'close', 'response']) request.on(event, done)
    })
  }
  if (request.destroyed) return
  if (stopped()) request.destroy()
  else {
    alive()
    request.end()
  }
}

async function* readBody(
  response: http.IncomingMessage,
  { url, idleMs, reuse }: { url: string; idleMs: number; reuse: boolean },
): AsyncGenerator<Uint8Array> {
  // Only time spent waiting for the other side counts: a slow disk here is not its fault.
  const beat = idleMs / 8
  let [waiting, waited, got] = [true, 0, 0]
  const timer = setInterval(() => {
    if (waiting) waited += beat
    if (waited >= idleMs)
      response.destroy(new PassingError(`${url}: less than ${ALIVE_BYTES} bytes in ${idleMs / 1000} s`))
  }, beat)
  try {
    const tapped = reuse ? tapBody(response) : undefined
    for await (const piece of tapped ?? (response as AsyncIterable<Uint8Array>)) {
      waiting = false
      got += piece.length
      if (got >= ALIVE_BYTES) [waited, got] = [0, 0]
      yield piece
      waiting = true
    }
    if (!tapped && !response.complete) throw new PassingError(`${url}: the connection broke`)
  } catch (error) {
    if (error instanceof PassingError || (error as Error).name === 'AbortError') throw error
    throw new PassingError(`${url}: the connection broke (${(error as Error).message})`, { cause: error })
  } finally {
    clearInterval(timer)
    response.destroy()
  }
}

function connectionError(error: NodeJS.ErrnoException, url: URL, signal: AbortSignal | undefined): unknown {
  if (signal?.aborted) return signal.reason
  if (error instanceof DecantError) return error
  if (error.code === 'ENOTFOUND')
    return new DecantError(`${bare(url)}: there is no host '${url.hostname}'`, { cause: error })
  if (/^(CERT|ERR_TLS|UNABLE_TO|DEPTH_ZERO|SELF_SIGNED)/.test(error.code ?? ''))
    return new DecantError(`${bare(url)}: the server's certificate is not trusted: ${error.message}`, { cause: error })
  const [inner] = (error as AggregateError).errors ?? [] // every address of a host was tried
  return new PassingError(`${bare(url)}: ${error.message || inner?.message || error.code}`, { cause: error })
}

const refused = (url: URL, address: string): DecantError =>
  new DecantError(`${bare(url)}: a redirect to ${address}, an address of this machine or network, is not followed`)

/** A resolver that gives no address that is not allowed: no connection is begun to it. */
export function guardedLookup(url: URL, allowed: (kind: AddressKind) => boolean): LookupFunction {
  return (hostname, options: LookupOptions, callback) => {
    lookup(hostname, { ...options, all: true }, (error, addresses: LookupAddress[]) => {
      const found = addresses ?? []
      const bad = found.find(({ address }) => !allowed(kindOf(address)))
      if (error || bad) callback(error ?? refused(url, bad!.address), options.all ? [] : '', 0)
      else if (options.all) callback(null, found)
      else callback(null, found[0]!.address, found[0]!.family)
    })
  }
}

export type AddressKind = 'public' | 'private' | 'loopback' | 'link-local'

// The IANA registries of special-purpose addresses; what has no other kind and is not global counts as link-local: never followed.
const KINDS: [AddressKind, string[]][] = [
  ['loopback', ['127.0.0.0/8', '::1/128']],
  ['private', ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', 'fc00::/7']],
  [
    'link-local',
    [
      '169.254.0.0/16',
      '0.0.0.0/8',
      '192.0.0.0/24',
      '198.18.0.0/15',
      '224.0.0.0/4',
      '240.0.0.0/4',
      'fe80::/10',
      'fec0::/10',
      'ff00::/8',
      '::/128',
    ],
  ],
]

const lists = KINDS.map(([kind, nets]) => {
  const list = new BlockList()
  for (const net of nets) {
    const [address, bits] = net.split('/') as [string, string]
    list.addSubnet(address, Number(bits), address.includes(':') ? 'ipv6' : 'ipv4')
  }
  return { kind, list }
})

/** What a host is, where a proxy and not this machine resolves it: names count as public, as it is the proxy that guards the network behind it. */
function kindOfHost({ hostname }: URL): AddressKind {
  const host = hostname.replace(/^\[|\]$/g, '')
  return isIP(host) ? kindOf(host) : host === 'localhost' ? 'loopback' : 'public'
}

/** What an address is: an IPv4 one within an IPv6 one (mapped, NAT64, 6to4) counts as that. */
export function kindOf(address: string): AddressKind {
  const plain = address.replace(/%.*$/, '')
  const family = isIP(plain)
  if (family === 0) return 'link-local'
  const inner = family === 6 ? embedded(plain) : undefined
  if (inner !== undefined) return kindOf(inner)
  return lists.find(({ list }) => list.check(plain, family === 6 ? 'ipv6' : 'ipv4'))?.kind ?? 'public'
}

function embedded(address: string): string | undefined {
  const groups = expand(address)
  const v4 = (high: number, low: number) => `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`
  const zeros = (from: number, to: number) => groups.slice(from, to).every((group) => group === 0)
  if (zeros(0, 5) && (groups[5] === 0xffff || (groups[5] === 0 && (groups[6]! > 0 || groups[7]! > 1))))
    return v4(groups[6]!, groups[7]!)
  if (groups[0] === 0x64 && groups[1] === 0xff9b) return v4(groups[6]!, groups[7]!)
  if (groups[0] === 0x2002) return v4(groups[1]!, groups[2]!)
  return undefined
}

/** The eight groups of an IPv6 address. */
function expand(address: string): number[] {
  const dotted = address.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, a, b, c, d) =>
    [Number(a) * 256 + Number(b), Number(c) * 256 + Number(d)].map((group) => group.toString(16)).join(':'),
  )
  const [head = '', tail] = dotted.split('::')
  const parse = (text: string) => (text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16)))
  const [front, back] = [parse(head), parse(tail ?? '')]
  return [...front, ...new Array(8 - front.length - back.length).fill(0), ...back]
}
