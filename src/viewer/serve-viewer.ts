import type { AddressInfo } from 'node:net'
import { createAdaptorServer } from '@hono/node-server'
import { Hono } from 'hono'
import { streamSSE } from 'hono/streaming'
import { DecantError } from '../errors.js'
import { createAnswers, Refused } from './answers.js'
import { type PageBundle, readBundle } from './bundle.js'
import { guard, securityHeaders } from './guard.js'
import { follow } from './live.js'
import { openSubject, type SubjectOptions } from './subject.js'

export interface ViewerOptions extends SubjectOptions {
  /** Of 127.0.0.1; default: a free one. */
  port?: number | undefined
  /** How often a folder that something runs in is looked at, in ms; default 1000. */
  every?: number
  /** The page's files; default: the package's own. */
  bundle?: PageBundle
  /** A bug in answering: its page is told that there was one, and no more. */
  onError?: (error: unknown) => void
}

export interface Viewer {
  url: string
  close(): Promise<void>
}

/**
 * Serves the page that shows a soft-target dataset, a sweep or a student, on 127.0.0.1 only and to its own page only. It reads what the page
 * shows, and writes nothing.
 * @throws DecantError where there is nothing to show, or the port is taken
 */
export async function serveViewer(options: ViewerOptions): Promise<Viewer> {
  const bundle = options.bundle ?? (await readBundle())
  const closing = new AbortController()
  const closed = closing.signal
  const open = async () => {
    const subject = await openSubject(options, closed)
    return { subject, answer: createAnswers(subject) }
  }
  let shown = open()
  /** What is shown now: an export that has ended meanwhile is opened as what it has become. */
  const current = async () => {
    const before = shown
    const { subject } = await before
    if ((await subject.stale()) && shown === before) {
      shown = open()
      await subject.close()
    }
    return shown
  }
  await shown

  let port = 0
  const app = new Hono()
  app.use(async ({ header }, next) => {
    for (const [name, value] of Object.entries(securityHeaders)) header(name, value)
    await next()
  })
  app.use(guard(() => port))
  const file = (path: string, type: string, text: string) =>
    app.get(path, ({ body }) => body(text, 200, { 'Content-Type': `${type}; charset=utf-8` }))
  file('/', 'text/html', bundle.html)
  file('/page.js', 'text/javascript', bundle.js)
  file('/page.css', 'text/css', bundle.css)
  app.get('/api/live', async (context) => {
    const { live } = (await current()).subject
    if (!live) throw new Refused(404, 'nothing runs here')
    const signal = AbortSignal.any([closed, context.req.raw.signal])
    return streamSSE(context, async (stream) => {
      for await (const event of follow(live, signal, options.every))
        await stream.writeSSE({ data: JSON.stringify(event) })
    })
  })
  app.get('/api/*', async ({ req, json, body }) => {
    const { answer } = await current()
    const signal = AbortSignal.any([closed, req.raw.signal])
    const found = await answer(req.path, new URL(req.url).searchParams, signal)
    if ('json' in found) return json(found.json)
    return body(found.png as Uint8Array<ArrayBuffer>, 200, { 'Content-Type': 'image/png' })
  })
  app.notFound(({ json }) => json({ error: 'there is no such page here' }, 404))
  app.onError((error, { json }) => {
    if (error instanceof Refused) return json({ error: error.message }, error.status)
    if (error instanceof DecantError) return json({ error: error.message }, 500)
    if (!closed.aborted && error.name !== 'AbortError') options.onError?.(error)
    return json({ error: 'decant has a bug here; its terminal says more' }, 500)
  })

  const server = createAdaptorServer({ fetch: app.fetch })
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error: NodeJS.ErrnoException) =>
        reject(
          error.code === 'EADDRINUSE'
            ? new DecantError(`port ${options.port} is taken: choose another with --port, or leave it out`)
            : error,
        ),
      )
      server.listen(options.port ?? 0, '127.0.0.1', resolve)
    })
  } catch (error) {
    await (await shown).subject.close()
    throw error
  }
  port = (server.address() as AddressInfo).port
  return {
    url: `http://127.0.0.1:${port}/`,
    async close() {
      closing.abort()
      server.close()
      if ('closeAllConnections' in server) server.closeAllConnections()
      await (await shown).subject.close()
    },
  }
}
