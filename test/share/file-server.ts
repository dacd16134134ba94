import { createHash } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { mkdir, readFile, rename, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'

/** What a server may do to one request instead of answering it. */
export type Fault =
  | { kind: 'status'; status: number; headers?: Record<string, string> }
  /** breaks the connection after so many bytes of the body */
  | { kind: 'cut'; after: number }
  /** a wrong byte in the middle */
  | { kind: 'flip' }
  /** answers as for another range, with those bytes */
  | { kind: 'shift' }
  /** another length in the head than the file has */
  | { kind: 'length'; bytes: number }
  /** goes on sending for ever */
  | { kind: 'endless' }
  /** sends some bytes, and then next to nothing */
  | { kind: 'trickle'; after: number }
  /** sends the file as it was not */
  | { kind: 'other'; content: Buffer; etag?: string }

export interface Asked {
  method: string
  name: string
  range: string | undefined
  headers: IncomingMessage['headers']
}

export interface FileServer {
  url: string
  asked: Asked[]
  /** bytes of bodies that were sent */
  sent: number
  close(): Promise<void>
}

/** A web server of the files in a folder on loopback: GET and HEAD with Range, ETag and If-Match, PUT, DELETE; faults as they are asked for. */
export async function serveFolder(
  dir: string,
  fault: (asked: Asked) => Fault | undefined = () => undefined,
): Promise<FileServer> {
  const state = { asked: [] as Asked[], sent: 0 }
  const server = createServer((request, response) => {
    const name = request.url!.slice(1)
    const asked = { method: request.method!, name, range: request.headers.range, headers: request.headers }
    state.asked.push(asked)
    answer(dir, { request, response, name, fault: fault(asked), state }).catch(() => response.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return Object.assign(state, {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise<void>((resolve) => {
        server.closeAllConnections()
        server.close(() => resolve())
      }),
  })
}

async function answer(
  dir: string,
  {
    request,
    response,
    name,
    fault,
    state,
  }: {
    request: IncomingMessage
    response: ServerResponse
    name: string
    fault: Fault | undefined
    state: { sent: number }
  },
): Promise<void> {
  const path = join(dir, name)
  if (fault?.kind === 'status') {
    response.writeHead(fault.status, fault.headers).end()
    return
  }
  if (request.method === 'PUT') {
    if (fault?.kind === 'cut') {
      request.once('data', () => request.destroy())
      return
    }
    await mkdir(dirname(path), { recursive: true })
    const temporary = `${path}.${process.pid}.tmp`
    await pipeline(request, createWriteStream(temporary))
    await rename(temporary, path)
    response.writeHead(201).end()
    return
  }
  if (request.method === 'DELETE') {
    await rm(path, { force: true })
    response.writeHead(204).end()
    return
  }
  const found = fault?.kind === 'other' ? fault.content : await readFile(path).catch(() => undefined)
  if (!found) {
    response.writeHead(404).end()
    return
  }
  const etag =
    (fault?.kind === 'other' && fault.etag) || `"${createHash('sha256').update(found).digest('hex').slice(0, 16)}"`
  if (request.headers['if-match'] !== undefined && request.headers['if-match'] !== etag) {
    response.writeHead(412).end()
    return
  }
  const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? []
  const from = Number(first ?? 0)
  const to = Math.min(Number(last ?? found.length - 1) + 1, found.length)
  const shift = fault?.kind === 'shift' ? 1 : 0
  const body = Buffer.from(found.subarray(from + shift, to))
  const size = fault?.kind === 'length' ? fault.bytes : found.length
  if (fault?.kind === 'flip' && body.length > 0) body[body.length >> 1]! ^= 1
  const endless = fault?.kind === 'endless'
  response.writeHead(first === undefined ? 200 : 206, {
    etag,
    ...(endless ? {} : { 'content-length': request.method === 'HEAD' ? size : body.length }),
    ...(first !== undefined && { 'content-range': `bytes ${from + shift}-${to - 1}/${size}` }),
  })
  if (request.method === 'HEAD') {
    response.end()
    return
  }
  if (fault?.kind === 'cut' || fault?.kind === 'trickle') {
    const part = body.subarray(0, fault.after)
    state.sent += part.length
    if (fault.kind === 'cut') response.write(part, () => response.destroy())
    else {
      response.write(part)
      const timer = setInterval(() => response.write(' '), 50)
      response.on('close', () => clearInterval(timer))
    }
    return
  }
  state.sent += body.length
  if (!endless) {
    response.end(body)
    return
  }
  const more = () => {
    while (!response.destroyed && response.write(body)) state.sent += body.length
  }
  response.on('drain', more)
  more()
}
