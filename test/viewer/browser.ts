import { existsSync, mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'
import { type PageBundle, readBundle } from '../../src/viewer/bundle.js'
import type { Fixture } from './page-answers.js'

// Debian's chromium, or what DECANT_CHROMIUM names: then the tests say what is wrong with it.
const given = process.env.DECANT_CHROMIUM
const executablePath = given ?? '/usr/bin/chromium'
export const noChromium = given === undefined && !existsSync(executablePath)
if (noChromium) console.warn(`SKIPPED, pages in a browser: no ${executablePath}; name one with DECANT_CHROMIUM`)

export function launch(): Promise<Browser> {
  const args = ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-component-update']
  return chromium.launch({ executablePath, args })
}

/** Where tests leave pictures of the page, for people: runs/ is not in git, CI keeps it. */
export function screenshot(page: Page, name: string): Promise<Buffer> {
  const folder = resolve(import.meta.dirname, '../../runs/screenshots')
  mkdirSync(folder, { recursive: true })
  return page.screenshot({ path: join(folder, `${name}.png`) })
}

export interface Opened {
  page: Page
  /** paths below /api that were asked for */
  asked: string[]
  /** what the page said on its console, and its errors */
  said: string[]
}

const ORIGIN = 'http://viewer.test'
let bundle: Promise<PageBundle> | undefined

/** The page with a fixture's answers behind it; `answer` may stand in for some of them. */
export async function openFixture(
  browser: Browser,
  fixture: Fixture,
  options: BrowserContextOptions & {
    hash?: string
    answer?: (path: string) => { status: number; body: string } | undefined
    /** the text of an event stream */
    stream?: (path: string) => string | undefined
  } = {},
): Promise<Opened> {
  const { hash = '', answer, stream, ...context } = options
  bundle ??= readBundle()
  const files = await bundle
  const page = await browser.newPage({ viewport: { width: 1280, height: 900 }, ...context })
  const opened: Opened = { page, asked: [], said: [] }
  listen(opened)
  await page.route('**/*', async (route) => {
    const { pathname, search } = new URL(route.request().url())
    const path = pathname + search
    if (pathname === '/') return route.fulfill({ contentType: 'text/html', body: files.html })
    if (pathname === '/page.js') return route.fulfill({ contentType: 'text/javascript', body: files.js })
    if (pathname === '/page.css') return route.fulfill({ contentType: 'text/css', body: files.css })
    opened.asked.push(path)
    const instead = answer?.(path)
    if (instead) return route.fulfill({ contentType: 'application/json', ...instead })
    const events = stream?.(path)
    if (events !== undefined) return route.fulfill({ contentType: 'text/event-stream', body: events })
    const picture = /^\/api\/samples\/(\d+)\/image$/.exec(pathname)?.[1]
    if (picture) return route.fulfill({ contentType: 'image/png', body: await fixture.image(Number(picture)) })
    const found = fixture.answer(path)
    return found === undefined
      ? route.fulfill({
          status: 404,
          contentType: 'application/json',
          body: JSON.stringify({ error: `nothing at ${path}` }),
        })
      : route.fulfill({ contentType: 'application/json', body: JSON.stringify(found) })
  })
  await page.goto(`${ORIGIN}/${hash}`)
  return opened
}

export function listen({ page, said }: Opened): void {
  page.on('console', (message) => said.push(message.text()))
  page.on('pageerror', (error) => said.push(error.message))
}
