import { createHash, randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

// A hub that speaks the Hugging Face hub's own protocol as far as pushing and pulling datasets goes: repositories, commits, Git LFS, resolve.
// Large files lie on a host of their own, which is reached by signed URLs and must never see a token.

interface File {
  size: number
  /** of git's blob */
  oid: string
  content?: Buffer
  /** of LFS */
  sha256?: string
}

interface Commit {
  parent: string | undefined
  title: string
  files: Map<string, File>
}

interface Repo {
  private: boolean
  branches: Map<string, string>
  commits: Map<string, Commit>
}

export interface FakeHub {
  endpoint: string
  /** what clients sent, `METHOD /path`, the LFS host's as `lfs METHOD /path` */
  requests: string[]
  repos: Map<string, Repo>
  /** large files by SHA-256, committed or not */
  lfs: Map<string, Buffer>
  /** the branch's files by path */
  files(repo: string, branch?: string): Map<string, File>
  /** answers in the hub's stead, where it returns true */
  before: ((request: IncomingMessage, response: ServerResponse) => boolean) | undefined
  /** tokens that reached the host of large files */
  leaked: string[]
  close(): Promise<void>
}

export const TOKEN = 'hf_theTokenOfTheTests'

/** @param options.partBytes larger files are sent in parts of this size */
export async function startFakeHub({ partBytes = 2 ** 40 } = {}): Promise<FakeHub> {
  const repos = new Map<string, Repo>()
  const lfs = new Map<string, Buffer>()
  const parts = new Map<string, Buffer>()
  const hub: FakeHub = {
    endpoint: '',
    requests: [],
    repos,
    lfs,
    files: (repo, branch = 'main') => {
      const found = repos.get(repo)!
      return found.commits.get(found.branches.get(branch)!)!.files
    },
    before: undefined,
    leaked: [],
    close: async () => {
      for (const server of [main, large]) {
        server.closeAllConnections()
        await new Promise((resolve) => server.close(resolve))
      }
    },
  }

  const large = createServer(async (request, response) => {
    const url = new URL(request.url!, 'http://large')
    hub.requests.push(`lfs ${request.method} ${url.pathname}`)
    if (request.headers.authorization !== undefined) hub.leaked.push(request.headers.authorization)
    if (hub.before?.(request, response)) return
    if (url.searchParams.get('X-Amz-Signature') !== 'signed') return send(response, 403, { error: 'no signature' })
    const [, oid, part] = url.pathname.split('/') as string[]
    if (request.method === 'PUT') {
      const body = await bodyOf(request)
      if (part !== undefined) parts.set(`${oid}/${part}`, body)
      else if (hash(body) !== oid) return send(response, 400, { error: 'wrong hash' })
      else lfs.set(oid!, body)
      return response.writeHead(200, { etag: `"${hash(body)}"` }).end()
    }
    sendBytes(request, response, lfs.get(oid!)!, { etag: `"of-the-other-host-${oid}"` })
  })

  const main = createServer(async (request, response) => {
    const url = new URL(request.url!, 'http://hub')
    hub.requests.push(`${request.method} ${url.pathname}`)
    if (hub.before?.(request, response)) return
    const path = url.pathname.split('/').slice(1).map(decodeURIComponent)
    const name = path.slice(path[0] === 'api' ? 2 : 1, path[0] === 'api' ? 4 : 3).join('/')
    const rest = path.slice(path[0] === 'api' ? 4 : 3)
    const writer = request.headers.authorization === `Bearer ${TOKEN}`
    if (request.headers.authorization !== undefined && !writer) return send(response, 401, { error: 'Invalid token' })
    if (/\.git\/complete$/.test(url.pathname)) return complete(url, request, response) // signed, as the parts are
    if (url.pathname === '/api/repos/create') {
      const { name, organization, visibility, private: hidden } = await jsonOf(request)
      const full = `${organization}/${name}`
      if (!writer) return send(response, 401, {})
      if (repos.has(full)) return send(response, 409, { error: 'exists' })
      repos.set(full, newRepo(hidden === true || visibility === 'private'))
      return send(response, 200, { url: `${hub.endpoint}/datasets/${full}`, name: full, id: full })
    }
    const repo = repos.get(name.replace(/\.git$/, ''))
    if (!repo || (repo.private && !writer))
      return send(response, writer ? 404 : 401, { error: 'Repository not found' }, { 'x-error-code': 'RepoNotFound' })
    if (request.method === 'POST' && rest[0] !== 'paths-info' && !writer) return send(response, 401, {})
    const commitOf = (revision: string) => {
      const sha = repo.branches.get(revision) ?? revision
      return { sha, commit: repo.commits.get(sha) }
    }
    const [action, revision = 'main'] = rest
    const { sha, commit } = commitOf(revision)
    const missing = () => send(response, 404, { error: 'Invalid rev id' }, { 'x-error-code': 'RevisionNotFound' })

    if (path[0] === 'datasets' && name.endsWith('.git')) return batch(request, response)
    switch (action) {
      case undefined:
      case 'revision': {
        const at = commitOf(action ? revision : 'main')
        if (!at.commit) return missing()
        const siblings = [...at.commit.files.keys()].map((rfilename) => ({ rfilename }))
        return send(response, 200, {
          _id: '1',
          id: name,
          sha: at.sha,
          private: repo.private,
          siblings,
          tags: [],
          downloads: 0,
          likes: 0,
        })
      }
      case 'refs':
        return send(response, 200, {
          branches: [...repo.branches].map(([branch, targetCommit]) => ({
            name: branch,
            ref: `refs/heads/${branch}`,
            targetCommit,
          })),
          converts: [],
          tags: [],
        })
      case 'branch':
        repo.branches.set(revision, repo.branches.get('main')!)
        return send(response, 200, {})
      case 'tree': {
        if (!commit) return missing()
        return tree(commit, rest.slice(2).join('/'), url, response)
      }
      case 'paths-info': {
        if (!commit) return missing()
        const text = (await bodyOf(request)).toString()
        const asked: string[] = text.startsWith('{')
          ? JSON.parse(text).paths
          : new URLSearchParams(text).getAll('paths')
        const found = asked.flatMap((one) => entriesAt(commit, one))
        return send(response, 200, found)
      }
      case 'preupload': {
        const { files } = await jsonOf(request)
        return send(response, 200, {
          files: files.map((file: { path: string; size: number }) => ({
            path: file.path,
            uploadMode: /\.arrow$/.test(file.path) || file.size > 10 * 2 ** 20 ? 'lfs' : 'regular',
            shouldIgnore: false,
          })),
        })
      }
      case 'commit':
        if (!commit) return missing()
        return makeCommit({ repo, branch: revision, sha, commit, lines: (await bodyOf(request)).toString(), response })
      case 'resolve': {
        if (!commit) return missing()
        const file = commit.files.get(rest.slice(2).join('/'))
        if (!file) return send(response, 404, {}, { 'x-error-code': 'EntryNotFound', 'x-repo-commit': sha })
        const headers = { 'x-repo-commit': sha, 'accept-ranges': 'bytes' }
        if (file.content) return sendBytes(request, response, file.content, { ...headers, etag: `"${file.oid}"` })
        return response
          .writeHead(302, {
            ...headers,
            location: signed(`/${file.sha256}`),
            'x-linked-etag': `"${file.sha256}"`,
            'x-linked-size': String(file.size),
          })
          .end()
      }
      default:
        return send(response, 404, { error: `the fake hub does not know ${action}` })
    }
  })

  const signed = (path: string) =>
    `http://localhost:${portOf(large)}${path}?X-Amz-Signature=signed&X-Amz-Credential=secret`

  /** Git LFS, and the hub's own `multipart` for what is large. */
  async function batch(request: IncomingMessage, response: ServerResponse) {
    const { objects } = (await jsonOf(request)) as { objects: { oid: string; size: number }[] }
    const answer = objects.map(({ oid, size }) => {
      if (lfs.has(oid)) return { oid, size }
      if (size <= partBytes) return { oid, size, actions: { upload: { href: signed(`/${oid}`) } } }
      const count = Math.ceil(size / partBytes)
      const hrefs = Array.from({ length: count }, (_, i) => [
        String(i + 1).padStart(5, '0'),
        signed(`/${oid}/${i + 1}`),
      ])
      const href = `${hub.endpoint}${new URL(request.url!, 'http://hub').pathname.replace(/\.git\/.*/, '.git/complete')}?X-Amz-Signature=signed`
      return {
        oid,
        size,
        actions: { upload: { href, header: { chunk_size: String(partBytes), ...Object.fromEntries(hrefs) } } },
      }
    })
    send(response, 200, { transfer: 'basic', objects: answer })
  }

  async function complete(url: URL, request: IncomingMessage, response: ServerResponse) {
    if (url.searchParams.get('X-Amz-Signature') !== 'signed') return send(response, 403, {})
    const { oid, parts: list } = (await jsonOf(request)) as { oid: string; parts: { partNumber: number }[] }
    const whole = Buffer.concat(list.map(({ partNumber }) => parts.get(`${oid}/${partNumber}`)!))
    if (hash(whole) !== oid) return send(response, 400, { error: 'wrong hash' })
    lfs.set(oid, whole)
    return send(response, 200, {})
  }

  function makeCommit(options: {
    repo: Repo
    branch: string
    sha: string
    commit: Commit
    lines: string
    response: ServerResponse
  }) {
    const { repo, branch, sha, commit, lines, response } = options
    const [header, ...operations] = lines.split('\n').map((line) => JSON.parse(line))
    if (header.value.parentCommit && header.value.parentCommit !== sha)
      return send(response, 412, { error: 'A commit has happened since' })
    const files = new Map(commit.files)
    for (const { key, value } of operations) {
      if (key === 'deletedFile') files.delete(value.path)
      else if (key === 'file') files.set(value.path, plainFile(Buffer.from(value.content, 'base64')))
      else if (!lfs.has(value.oid)) return send(response, 400, { error: `LFS object ${value.oid} is not there` })
      else files.set(value.path, { size: value.size, oid: gitHash(Buffer.from(value.oid)), sha256: value.oid })
    }
    const made = addCommit(repo, branch, { parent: sha, title: header.value.summary, files })
    send(response, 200, { success: true, commitOid: made, commitUrl: `${hub.endpoint}/commit/${made}`, hookOutput: '' })
  }

  /** Two entries a page, so that paging is seen. */
  function tree(commit: Commit, folder: string, url: URL, response: ServerResponse) {
    const all = [...commit.files.keys()].filter((path) => folder === '' || path.startsWith(`${folder}/`)).sort()
    if (folder !== '' && all.length === 0)
      return send(response, 404, { error: 'no such folder' }, { 'x-error-code': 'EntryNotFound' })
    const recursive = ['true', 'True', '1'].includes(url.searchParams.get('recursive') ?? '')
    const depth = folder === '' ? 1 : folder.split('/').length + 1
    const paths = new Set(
      all.flatMap((path) => {
        const words = path.split('/')
        const above = words
          .slice(0, -1)
          .map((_, i) => words.slice(0, i + 1).join('/'))
          .filter((one) => one.split('/').length >= depth)
        return recursive ? [...above, path] : [words.slice(0, depth).join('/')]
      }),
    )
    const entries = [...paths].flatMap((path) => entriesAt(commit, path))
    const from = Number(url.searchParams.get('cursor') ?? 0)
    const more = from + 2 < entries.length
    url.searchParams.set('cursor', String(from + 2))
    const link = { link: `<${hub.endpoint}${url.pathname}${url.search}>; rel="next"` }
    send(response, 200, entries.slice(from, from + 2), more ? link : {})
  }

  await Promise.all(
    [main, large].map((server) => new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))),
  )
  hub.endpoint = `http://127.0.0.1:${portOf(main)}`
  return hub
}

const portOf = (server: Server) => (server.address() as AddressInfo).port
const hash = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')
const gitHash = (bytes: Buffer) => createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex')
const plainFile = (content: Buffer): File => ({ size: content.length, oid: gitHash(content), content })

function newRepo(hidden: boolean): Repo {
  const repo: Repo = { private: hidden, branches: new Map(), commits: new Map() }
  addCommit(repo, 'main', {
    parent: undefined,
    title: 'initial commit',
    files: new Map([['.gitattributes', plainFile(Buffer.from('*.arrow filter=lfs\n'))]]),
  })
  return repo
}

function addCommit(repo: Repo, branch: string, commit: Commit): string {
  const sha = createHash('sha1').update(randomUUID()).digest('hex')
  repo.commits.set(sha, commit)
  repo.branches.set(branch, sha)
  return sha
}

/** A file or a folder as `tree` and `paths-info` give it. */
function entriesAt(commit: Commit, path: string): object[] {
  const file = commit.files.get(path)
  if (file) {
    const { size, oid, sha256 } = file
    return [{ type: 'file', oid, size, path, ...(sha256 && { lfs: { oid: sha256, size, pointerSize: 134 } }) }]
  }
  const is = [...commit.files.keys()].some((one) => one.startsWith(`${path}/`))
  return is ? [{ type: 'directory', oid: gitHash(Buffer.from(path)), size: 0, path }] : []
}

const bodies = new WeakMap<IncomingMessage, Promise<Buffer>>()
function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const body = bodies.get(request) ?? request.toArray().then((pieces) => Buffer.concat(pieces))
  bodies.set(request, body)
  return body
}
// biome-ignore lint/suspicious/noExplicitAny: what a client sends, which the tests know
const jsonOf = async (request: IncomingMessage): Promise<any> => JSON.parse((await bodyOf(request)).toString())

function send(response: ServerResponse, status: number, json: object, headers: Record<string, string> = {}): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(json))
}

function sendBytes(
  request: IncomingMessage,
  response: ServerResponse,
  bytes: Buffer,
  headers: Record<string, string>,
): void {
  const [, from, last] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '') ?? []
  const first = Number(from ?? 0)
  const end = Math.min(bytes.length, last ? Number(last) + 1 : bytes.length)
  const part = from === undefined ? bytes : bytes.subarray(first, end)
  response.writeHead(from === undefined ? 200 : 206, {
    'content-type': 'application/octet-stream',
    ...headers,
    'content-length': String(part.length),
    ...(from !== undefined && { 'content-range': `bytes ${first}-${end - 1}/${bytes.length}` }),
  })
  response.end(request.method === 'HEAD' ? undefined : part)
}
