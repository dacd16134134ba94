import { DecantError, UnavailableError } from '../../errors.js'
import { parseJson } from '../../json.js'
import { withoutSecrets } from '../credentials.js'
import type { HttpClient, HttpRequest, HttpResponse } from '../http-client.js'
import { isPassing, isPassingStatus, PassingError, type RetryOptions, retry } from '../retry.js'
import type { StoredFile } from '../store.js'
import { ContentBlob } from './content-blob.js'

// The hub's own protocol for reading (https://huggingface.co/docs/hub/api): which commit a revision is, which files it has.

export interface Hub {
  client: HttpClient
  /** without a slash at the end */
  endpoint: string
  /** `org/name` */
  repo: string
  token: string | undefined
  /** for messages */
  uri: string
  retry: RetryOptions
}

/** Answers hold a thousand files at most; each is some hundred bytes. */
const MAX_ANSWER_BYTES = 16 * 2 ** 20
/** With a thousand files a page more than MAX_SHARDS. */
const MAX_PAGES = 2000

const bearer = ({ token }: Hub) => (token === undefined ? {} : { authorization: `Bearer ${token}` })

/** The commit that a branch or tag is now; undefined where there is no such repository, or it does not show itself. */
export async function findCommit(hub: Hub, revision: string, signal?: AbortSignal): Promise<string | undefined> {
  const answer = await ask(hub, `/api/datasets/${hub.repo}/revision/${encodeURIComponent(revision)}`, { signal })
  if (answer === undefined) return undefined
  const { sha } = answer.json as { sha?: unknown }
  if (typeof sha !== 'string' || !/^[0-9a-f]{40}$/.test(sha)) throw strange(hub, 'a commit')
  return sha
}

/** All files below `prefix` at a commit. */
export async function listTree(
  hub: Hub,
  { commit, prefix, signal }: { commit: string; prefix: string; signal?: AbortSignal | undefined },
): Promise<StoredFile[]> {
  const files: StoredFile[] = []
  const path = `/api/datasets/${hub.repo}/tree/${commit}`
  const folder = prefix === '' ? '' : `/${prefix.slice(0, -1).split('/').map(encodeURIComponent).join('/')}`
  let next: string | undefined = `${path}${folder}?recursive=true`
  for (let pages = 0; next !== undefined; pages++) {
    if (pages === MAX_PAGES) throw new DecantError(`${hub.uri}: more than ${MAX_PAGES} pages of files`)
    const answer: Answer | undefined = await ask(hub, next, { signal })
    if (answer === undefined) break // no such folder
    files.push(...filesIn(hub, answer.json, prefix))
    next = nextPage(hub, answer.link, path)
  }
  return files
}

/** One file at a commit. */
export async function findFile(
  hub: Hub,
  { commit, path, prefix, signal }: { commit: string; path: string; prefix: string; signal?: AbortSignal | undefined },
): Promise<StoredFile | undefined> {
  const answer = await ask(hub, `/api/datasets/${hub.repo}/paths-info/${commit}`, { signal, body: { paths: [path] } })
  return answer && filesIn(hub, answer.json, prefix).find(({ name }) => prefix + name === path)
}

function filesIn(hub: Hub, json: unknown, prefix: string): StoredFile[] {
  if (!Array.isArray(json)) throw strange(hub, 'a list of files')
  return json.flatMap((entry: Partial<TreeEntry>) => {
    const { type, path, size, oid, lfs } = entry ?? {}
    if (type !== 'file') return []
    const sha256 = lfs?.oid
    const bytes = lfs?.size ?? size
    if (typeof path !== 'string' || !Number.isSafeInteger(bytes) || bytes! < 0 || typeof oid !== 'string')
      throw strange(hub, 'a list of files')
    if (sha256 !== undefined && !/^[0-9a-f]{64}$/.test(sha256)) throw strange(hub, "a file's SHA-256")
    if (!path.startsWith(prefix)) return []
    return [{ name: path.slice(prefix.length), bytes: bytes!, etag: `"${sha256 ?? oid}"`, ...(sha256 && { sha256 }) }]
  })
}

interface TreeEntry {
  type: string
  path: string
  size: number
  oid: string
  lfs: { oid: string; size: number }
}

/** The `next` of a Link header (RFC 8288): a page of the same listing, or it is not gone to. */
function nextPage({ endpoint }: Hub, link: string | undefined, path: string): string | undefined {
  const target = /<([^>]+)>;\s*rel="?next"?/.exec(link ?? '')?.[1]
  if (target === undefined || !URL.canParse(target, endpoint)) return undefined
  const url = new URL(target, endpoint)
  const here = new URL(endpoint + path)
  if (url.origin !== here.origin || !url.pathname.startsWith(here.pathname)) return undefined
  return url.href.slice(new URL(endpoint).href.replace(/\/$/, '').length)
}

interface Answer {
  json: unknown
  link: string | undefined
}

/** undefined: there is no such thing */
function ask(
  hub: Hub,
  path: string,
  { signal, body }: { signal?: AbortSignal | undefined; body?: object },
): Promise<Answer | undefined> {
  const text = body && Buffer.from(JSON.stringify(body))
  return retry(
    async () => {
      const response = await hub.client.request(hub.endpoint + path, {
        ...bearer(hub),
        ...(signal && { signal }),
        ...(text && {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: {
            bytes: text.length,
            pieces: async function* () {
              yield text
            },
          },
        }),
      })
      const { status, headers } = response
      // Without a token a private repository answers as one that is not there does.
      if (status === 404 || (status === 401 && hub.token === undefined)) {
        response.discard()
        return undefined
      }
      if (status !== 200) {
        response.discard()
        throw refusal(hub, status)
      }
      const { link } = headers
      return { json: parse(hub, await readAnswer(hub, response)), link: Array.isArray(link) ? link.join(', ') : link }
    },
    { ...hub.retry, ...(signal && { signal }) },
  )
}

async function readAnswer(hub: Hub, response: HttpResponse): Promise<Buffer> {
  const pieces: Uint8Array[] = []
  let bytes = 0
  for await (const piece of response.body()) {
    bytes += piece.length
    if (bytes > MAX_ANSWER_BYTES) throw strange(hub, 'a shorter answer')
    pieces.push(piece)
  }
  return Buffer.concat(pieces)
}

function parse(hub: Hub, bytes: Buffer): unknown {
  try {
    return parseJson(bytes.toString(), hub.uri)
  } catch {
    throw strange(hub, 'JSON')
  }
}

const strange = (hub: Hub, expected: string) =>
  new DecantError(`${hub.uri}: the answer of ${hub.endpoint} is not ${expected}`)

const TOKEN = 'HF_TOKEN, or the file that hf auth login writes'

/** What a status of the hub means for who asked. */
export function refusal({ uri, token }: Pick<Hub, 'uri' | 'token'>, status: number, said = ''): DecantError {
  switch (status) {
    case 401:
      return token === undefined
        ? new DecantError(`${uri}: the hub asks for a token: ${TOKEN}`)
        : new DecantError(`${uri}: the hub does not take the token: check ${TOKEN}`)
    case 403:
      return new DecantError(
        `${uri}: the token does not permit this (or the dataset is gated: ask for access on its page)`,
      )
    case 404:
      return new DecantError(`${uri}: there is no such dataset, or it is private: its token is ${TOKEN}`)
    case 412:
    case 409:
      return new DecantError(`${uri}: somebody else has changed it meanwhile; run the same command again`)
    default:
      return new DecantError(`${uri}: the hub answers ${status}${said && `: ${said}`}`)
  }
}

/** A failure of @huggingface/hub in our words. Its messages have URLs in them that are signed. */
export function explainUpload(error: unknown, hub: Hub): unknown {
  if (error instanceof DecantError) return error
  const { statusCode, message, name, code } = error as Error & { statusCode?: number; code?: string }
  const said = withoutSecrets(message ?? '', [hub.token])
    .replace(/\s+/g, ' ')
    .slice(0, 300)
  if (typeof statusCode === 'number') {
    if (isPassingStatus(statusCode)) return new PassingError(`${hub.uri}: the hub answers ${statusCode}`)
    return refusal(hub, statusCode, said)
  }
  const cause = (error as { cause?: NodeJS.ErrnoException }).cause
  if (isPassing(error) || isPassing(cause) || /^UND_ERR/.test(cause?.code ?? code ?? ''))
    return new PassingError(`${hub.uri}: ${cause ? withoutSecrets(cause.message) : said}`)
  if (/InvalidApiResponse/.test(name) || message === 'fetch failed')
    return new DecantError(`${hub.uri}: ${cause ? withoutSecrets(cause.message) : said}`)
  return error
}

type HubPackage = typeof import('@huggingface/hub')

export async function loadHubPackage(
  load: () => Promise<HubPackage> = () => import('@huggingface/hub'),
): Promise<HubPackage> {
  return load().catch(() => {
    throw new UnavailableError('hf:// needs a package that is not installed: npm install @huggingface/hub')
  })
}

/**
 * fetch for @huggingface/hub, by the client of all stores: its proxies, its limits. Passing failures are repeated (a body is a Blob, which can be
 * read again), and the hashes that the hub is told are those of `known`, what the manifest says: a file that has changed since is not sent.
 */
export function uploadFetch(hub: Hub, known: Map<string, string>): typeof fetch {
  return async (input, init = {}) => {
    const url = String(input)
    if (url.endsWith('/info/lfs/objects/batch')) checkHashes(hub, String(init.body), known)
    const signal = init.signal ?? undefined
    return retry(
      async () => {
        const sending = bodyOf(init.body)
        try {
          const response = await hub.client.request(url, {
            method: (init.method ?? 'GET') as 'GET' | 'POST' | 'PUT',
            headers: Object.fromEntries(new Headers(init.headers)),
            body: sending?.body,
            signal,
          })
          const { status, headers } = response
          const answer = await readAnswer(hub, response) // all of it, wanted or not: the connection is free then
          return new Response(status === 204 ? null : answer, { status, headers: headers as Record<string, string> })
        } catch (error) {
          sending?.undo()
          signal?.throwIfAborted()
          if (error instanceof PassingError) throw new PassingError(`${hub.uri}: ${error.message}`, error.options)
          throw error
        }
      },
      { ...hub.retry, ...(signal && { signal }) },
    )
  }
}

/** What is sent, counted while it is: a file's bytes by the one who waits for them. */
function bodyOf(
  body: NonNullable<Parameters<typeof fetch>[1]>['body'],
): { body: HttpRequest['body']; undo: () => void } | undefined {
  if (body === null || body === undefined) return undefined
  const blob = body instanceof Blob ? body : new Blob([body as string])
  const onSent = blob instanceof ContentBlob ? blob.onSent : undefined
  let sent = 0
  async function* pieces() {
    for await (const piece of blob.stream()) {
      yield piece
      sent += piece.length
      onSent?.(piece.length)
    }
  }
  return { body: { bytes: blob.size, pieces }, undo: () => onSent?.(-sent) }
}

function checkHashes(hub: Hub, body: string, known: Map<string, string>): void {
  const { objects } = JSON.parse(body) as { objects: { oid: string; size: number }[] }
  const expected = new Set(known.values())
  const wrong = objects.find(({ oid }) => !expected.has(oid))
  if (wrong)
    throw new DecantError(
      `${hub.uri}: a file of ${wrong.size} bytes has SHA-256 ${wrong.oid} and not what the manifest says: decant verify finds it`,
    )
}
