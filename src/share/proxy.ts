import * as http from 'node:http'
import * as https from 'node:https'
import { BlockList, isIP, type Socket } from 'node:net'
import { DecantError } from '../errors.js'
import { PassingError } from './retry.js'

// Proxies as curl, Python's requests and Go know them: HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY, in small letters before capital ones.
// What lies on this machine is asked without one. The proxy's name and password go to the proxy and into nothing else.

export interface ProxyServer {
  protocol: 'http:' | 'https:'
  hostname: string
  port: number
  authorization: string | undefined
}

/**
 * The proxy that the environment names for a URL.
 * @throws DecantError where it is no URL of http or https
 */
export function proxyFor(url: URL, env: NodeJS.ProcessEnv = process.env): ProxyServer | undefined {
  const named = (name: string) => env[name] || env[name.toUpperCase()]
  const scheme = url.protocol === 'https:' ? 'https_proxy' : 'http_proxy'
  const [name, text] = named(scheme) ? [scheme, named(scheme)!] : ['all_proxy', named('all_proxy')]
  if (!text || isExempt(url, named('no_proxy') ?? '')) return undefined
  const full = text.includes('://') ? text : `http://${text}`
  const proxy = URL.canParse(full) ? new URL(full) : undefined
  if (proxy?.protocol !== 'http:' && proxy?.protocol !== 'https:')
    throw new DecantError(`${name.toUpperCase()}: expected a URL such as http://host:3128`)
  const { username, password } = proxy
  const userinfo = `${decode(username)}:${decode(password)}`
  return {
    protocol: proxy.protocol,
    hostname: proxy.hostname.replace(/^\[|\]$/g, ''),
    port: Number(proxy.port) || (proxy.protocol === 'https:' ? 443 : 80),
    authorization: username || password ? `Basic ${Buffer.from(userinfo).toString('base64')}` : undefined,
  }
}

/** A percent that stands for itself is taken so. */
function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8)
loopback.addAddress('::1', 'ipv6')

const isIn = (list: BlockList, host: string) => isIP(host) !== 0 && list.check(host, isIP(host) === 6 ? 'ipv6' : 'ipv4')

/** Entries are hosts, with all below them, `*`, addresses and networks (10.0.0.0/8), each perhaps with a port. */
function isExempt(url: URL, list: string): boolean {
  const host = url.hostname.replace(/^\[|\]$/g, '').toLowerCase()
  if (host === 'localhost' || isIn(loopback, host)) return true
  const port = url.port || (url.protocol === 'https:' ? '443' : '80')
  return list
    .toLowerCase()
    .split(/[\s,]+/)
    .some((entry) => {
      const [, name, only] = /^\[?(.*?)\]?(?::(\d{1,5}))?$/.exec(isIP(entry) === 6 ? `[${entry}]` : entry)!
      if (!name || (only !== undefined && only !== port)) return false
      if (name === '*') return true
      const [address, bits] = name.split('/')
      if (bits !== undefined && isIP(address!) !== 0) {
        const nets = new BlockList()
        const family = isIP(address!) === 6 ? 'ipv6' : 'ipv4'
        if (Number(bits) <= (family === 'ipv6' ? 128 : 32)) nets.addSubnet(address!, Number(bits), family)
        return isIn(nets, host)
      }
      const bare = name.replace(/^\*?\./, '')
      return host === bare || host.endsWith(`.${bare}`)
    })
}

/** For messages. */
const say = ({ protocol, hostname, port }: ProxyServer) => `${protocol}//${hostname}:${port}`

export const refusedByProxy = (proxy: ProxyServer, target: string, status: number): DecantError =>
  new DecantError(
    status === 407
      ? `${target}: the proxy ${say(proxy)} asks for a name and a password, or does not take them: http://name:password@… in the variable that names it`
      : `${target}: the proxy ${say(proxy)} answers ${status}`,
  )

/** Beside a request's own options: node keeps `signal` to itself, and a request that is stopped ends only when it has a connection, or has none. */
export interface TunnelOptions {
  tunnelSignal?: AbortSignal | undefined
}

/** Makes an agent's connections go through the proxies that the environment names, where it names one for their host. */
export function tunnelThroughProxies(
  agent: https.Agent,
  { env = process.env, idleMs }: { env?: NodeJS.ProcessEnv | undefined; idleMs: number },
): void {
  const connect = agent.createConnection.bind(agent)
  agent.createConnection = (options, callback) => {
    const host = isIP(options.host ?? '') === 6 ? `[${options.host}]` : options.host
    const target = new URL(`https://${host}:${options.port ?? 443}`)
    const proxy = proxyFor(target, env)
    if (!proxy) return connect(options, callback)
    openTunnel(proxy, target, { idleMs, signal: (options as TunnelOptions).tunnelSignal }).then(
      (socket) => callback!(null, connect({ ...options, socket } as typeof options)!),
      (error) => (callback as (error: Error) => void)(error),
    )
    return undefined
  }
}

function openTunnel(
  proxy: ProxyServer,
  target: URL,
  { idleMs, signal }: { idleMs: number; signal: AbortSignal | undefined },
): Promise<Socket> {
  const { protocol, hostname, port, authorization } = proxy
  const path = `${target.hostname}:${target.port || 443}`
  const request = (protocol === 'https:' ? https : http).request({
    ...{ host: hostname, port, method: 'CONNECT', path, agent: false },
    headers: { host: path, ...(authorization !== undefined && { 'proxy-authorization': authorization }) },
    ...(signal && { signal }),
  })
  const late = () =>
    request.destroy(new PassingError(`${target.origin}: the proxy ${say(proxy)} does not answer in ${idleMs / 1000} s`))
  const timer = setTimeout(late, idleMs)
  return new Promise<Socket>((resolve, reject) => {
    request.once('connect', (response, socket) => {
      if (response.statusCode === 200) return resolve(socket as Socket)
      socket.destroy()
      reject(refusedByProxy(proxy, target.origin, response.statusCode!))
    })
    request.once('response', (response) => {
      response.destroy()
      reject(refusedByProxy(proxy, target.origin, response.statusCode!))
    })
    request.once('error', reject)
    request.end()
  }).finally(() => clearTimeout(timer))
}
