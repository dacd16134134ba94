import { DecantError, MismatchError, UnavailableError } from '../../errors.js'
import { createHttpClient, type HttpClient, type HttpResponse } from '../http-client.js'
import { isPassing, type RetryOptions, retry } from '../retry.js'
import { checkName, RefusedError, type Store, type StoredFile } from '../store.js'

export interface HttpStoreOptions {
  retry?: RetryOptions
  idleMs?: number
  /** The value of the header Authorization, for this server alone. */
  authorization?: string
  /** where proxies are looked for */
  env?: NodeJS.ProcessEnv
  /** whose connections are used */
  client?: HttpClient
}

/** A folder of a web server: read by Range, written by PUT where the server takes that. `url` ends in '/'. */
export function openHttpStore(url: string, options: HttpStoreOptions = {}): Store {
  const { retry: again = {}, idleMs, authorization } = options
  const client = options.client ?? createHttpClient({ idleMs, env: options.env })
  const urlOf = (name: string) => new URL(checkName(name), url).href
  const repeat = <T>(work: () => Promise<T>, signal?: AbortSignal) => retry(work, signal ? { ...again, signal } : again)
  const common = (signal?: AbortSignal) => ({ authorization, signal })

  return {
    uri: url.replace(/\/$/, ''),

    async list() {
      throw new UnavailableError(`${url}: a web server does not list its files`)
    },

    head: (name, signal) =>
      repeat(async () => {
        const response = await client.request(urlOf(name), { ...common(signal), method: 'HEAD' })
        response.discard()
        if (response.status === 405) return headByRange(name, signal)
        if (isMissing(response)) return undefined
        expectStatus(response, 200)
        return describe(name, response, Number(response.headers['content-length']))
      }, signal),

    async *read(name, { from, to, etag }, { signal, onBytes, reuse } = {}) {
      if (from >= to) return
      const response = await repeat(async () => {
        const response = await client.request(urlOf(name), {
          ...common(signal),
          headers: { range: `bytes=${from}-${to - 1}`, ...(etag?.startsWith('"') && { 'if-match': etag }) },
        })
        try {
          checkRange(response, { from, to, etag })
        } catch (error) {
          response.discard()
          throw error
        }
        return response
      }, signal)
      let left = to - from
      try {
        for await (const piece of response.body({ reuse })) {
          const part = piece.length > left ? piece.subarray(0, left) : piece
          left -= part.length
          onBytes?.(part.length)
          yield part
          if (left === 0) return
        }
      } catch (error) {
        signal?.throwIfAborted()
        if (!isPassing(error)) throw error // else the caller goes on from there
      }
    },

    write: (name, { bytes, read }, { signal, onBytes } = {}) =>
      repeat(async () => {
        let sent = 0
        async function* pieces() {
          for await (const piece of read(0, bytes)) {
            yield piece
            sent += piece.length
            onBytes?.(piece.length)
          }
        }
        try {
          const response = await client.request(urlOf(name), {
            ...common(signal),
            method: 'PUT',
            headers: { 'content-type': 'application/octet-stream' },
            body: { bytes, pieces },
          })
          response.discard()
          expectStatus(response, 200, 201, 204)
        } catch (error) {
          onBytes?.(-sent)
          throw error
        }
      }, signal),

    delete: (name, signal) =>
      repeat(async () => {
        const response = await client.request(urlOf(name), { ...common(signal), method: 'DELETE' })
        response.discard()
        if (!isMissing(response)) expectStatus(response, 200, 202, 204)
      }, signal),
  }

  /** For servers that know no HEAD. */
  async function headByRange(name: string, signal?: AbortSignal): Promise<StoredFile | undefined> {
    const response = await client.request(urlOf(name), { ...common(signal), headers: { range: 'bytes=0-0' } })
    response.discard()
    if (isMissing(response)) return undefined
    if (response.status === 416) return describe(name, response, 0)
    expectStatus(response, 200, 206)
    const bytes =
      response.status === 206 ? parseContentRange(response)?.size : Number(response.headers['content-length'])
    return describe(name, response, bytes ?? Number.NaN)
  }
}

const isMissing = ({ status }: HttpResponse) => status === 404 || status === 410

function describe(name: string, response: HttpResponse, bytes: number): StoredFile {
  if (!Number.isSafeInteger(bytes) || bytes < 0)
    throw new DecantError(`${response.url}: the server does not say how long the file is`)
  checkEncoding(response)
  const { etag } = response.headers
  return { name, bytes, ...(etag !== undefined && { etag }) }
}

/** A server that sends more or other bytes than were asked for is not believed. */
function checkRange(
  response: HttpResponse,
  { from, to, etag }: { from: number; to: number; etag?: string | undefined },
) {
  const { status, headers, url } = response
  if (status === 412) throw changed(url)
  if (status === 416) throw new MismatchError(`${url}: the file is shorter than the ${to} bytes that were expected`, [])
  expectStatus(response, 200, 206)
  checkEncoding(response)
  if (etag !== undefined && headers.etag !== undefined && weak(headers.etag) !== weak(etag)) throw changed(url)
  if (status === 200) {
    if (from > 0) throw new UnavailableError(`${url}: the server sends whole files only (it does not answer to Range)`)
    return
  }
  const found = parseContentRange(response)
  if (found?.from !== from || found.to > to || found.to <= from)
    throw new DecantError(
      `${url}: asked for bytes ${from}-${to - 1}, the server answers with '${headers['content-range']?.slice(0, 100) ?? 'no range'}'`,
    )
}

/** RFC 9110, 8.8.3: W/"x" says that the content means the same; the hash will tell whether it is the same. */
const weak = (etag: string) => etag.replace(/^W\//, '')

const changed = (url: string) =>
  new MismatchError(`${url}: the file changed while it was read; run the same command again`, [])

function parseContentRange({ headers }: HttpResponse): { from: number; to: number; size: number } | undefined {
  const [, from, last, size] = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15}|\*)$/.exec(headers['content-range'] ?? '') ?? []
  return from === undefined ? undefined : { from: Number(from), to: Number(last) + 1, size: Number(size) }
}

function checkEncoding({ headers, url }: HttpResponse): void {
  const encoding = headers['content-encoding']
  if (encoding !== undefined && encoding !== 'identity')
    throw new DecantError(`${url}: the server sends the file encoded (${encoding.slice(0, 40)}), expected it as it is`)
}

function expectStatus({ status, url }: HttpResponse, ...expected: number[]): void {
  if (expected.includes(status)) return
  throw new RefusedError(
    `${url}: ${REASONS[status] ?? `the server answers ${status}, expected ${expected.join(' or ')}`}`,
    status,
  )
}

const REASONS: Record<number, string> = {
  401: 'the server asks for credentials, and there are none for it, or they are wrong',
  403: 'the server does not permit this',
  404: 'there is no such file',
  405: 'the server does not do this (writing needs PUT and DELETE)',
  409: 'the server cannot write this here: a folder above it is missing',
  410: 'there is no such file any more',
  413: 'the server takes no file of this size',
  507: 'the server is out of space',
}
