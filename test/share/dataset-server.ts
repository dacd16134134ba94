import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'

export interface Served {
  url: string
  /** Every request so far, as `GET data/00000.arrow 0-99`. */
  requests: string[]
  /** Bytes of files that were sent. */
  sent: number
  close(): void
}

export interface Answer {
  name: string
  bytes: Buffer
  etag: string
}

/**
 * A web server of a dataset's folder, on loopback: HEAD, Range, ETag, If-Match. `bend` may answer itself (true), or change what is answered:
 * the file, its ETag, the bytes of the range.
 */
export async function serveDataset(
  dir: string,
  bend: (request: IncomingMessage, response: ServerResponse, answer: Answer) => boolean = () => false,
): Promise<Served> {
  const files = new Map<string, Answer>()
  const served: Served = { url: '', requests: [], sent: 0, close: () => {} }
  const server = createServer((request, response) => {
    const name = request.url!.slice(1)
    const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '')
    served.requests.push([request.method, name, ...(range ? [`${range[1]}-${range[2]}`] : [])].join(' '))
    const known = files.get(name) ?? readAnswer(dir, name)
    if (!known) return void response.writeHead(404).end()
    files.set(name, known)
    const answer = { ...known }
    if (bend(request, response, answer)) return
    const { bytes, etag } = answer
    const match = request.headers['if-match']
    if (match !== undefined && match !== etag) return void response.writeHead(412).end()
    const [from, to] = range ? [Number(range[1]), Math.min(bytes.length, Number(range[2]) + 1)] : [0, bytes.length]
    if (from >= to) return void response.writeHead(416).end()
    const headers = { etag, 'content-length': to - from, 'content-range': `bytes ${from}-${to - 1}/${bytes.length}` }
    response.writeHead(range ? 206 : 200, headers)
    if (request.method === 'HEAD') return void response.end()
    served.sent += to - from
    response.end(bytes.subarray(from, to))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  served.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  served.close = () => {
    server.closeAllConnections()
    server.close()
  }
  return served
}

function readAnswer(dir: string, name: string): Answer | undefined {
  try {
    const bytes = readFileSync(join(dir, name))
    return { name, bytes, etag: `"${createHash('sha256').update(bytes).digest('hex').slice(0, 16)}"` }
  } catch {
    return undefined
  }
}
