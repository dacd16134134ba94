import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { type Browser, chromium } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { sweepPage } from '../../src/report/sweep-page.js'
import { tabulate } from '../../src/student/index.js'
import { temporaryFolder } from '../helpers/folder.js'
import { hostile, makeSweep } from './sweep-fixture.js'

// What runs in the page is text: the project has no types of the DOM.

// Debian's chromium, or what DECANT_CHROMIUM names: then the tests say what is wrong with it.
const given = process.env.DECANT_CHROMIUM
const executablePath = given ?? '/usr/bin/chromium'
const missing = given === undefined && !existsSync(executablePath)
if (missing) console.warn(`SKIPPED, pages in a browser: no ${executablePath}; name one with DECANT_CHROMIUM`)

describe.skipIf(missing)('report.html in Chromium', () => {
  let browser: Browser
  beforeAll(async () => {
    const args = ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-component-update']
    browser = await chromium.launch({ executablePath, args })
  })
  afterAll(() => browser?.close())

  async function open(width: number, colorScheme: 'light' | 'dark') {
    const path = join(temporaryFolder(), 'report.html')
    await writeFile(path, sweepPage(makeSweep()))
    const page = await browser.newPage({ viewport: { width, height: 800 }, colorScheme })
    const [requests, said]: [string[], string[]] = [[], []]
    page.on('request', (request) => requests.push(request.url()))
    page.on('console', (message) => said.push(message.text()))
    page.on('pageerror', (error) => said.push(error.message))
    page.on('dialog', (dialog) => said.push(`dialog: ${dialog.message()}`))
    const url = pathToFileURL(path).href
    await page.goto(url)
    return { page, url, requests, said }
  }

  it.each([
    [360, 'light'],
    [360, 'dark'],
    [1280, 'light'],
  ] as const)('at %i px, %s: nothing overflows, is asked for or goes wrong', async (width, scheme) => {
    const { page, url, requests, said } = await open(width, scheme)
    const found = await page.evaluate<{
      overflow: number
      outside: string[]
      smallest: number
      ink: number
      paper: number
    }>(`{
      const root = document.documentElement
      const outside = [...document.querySelectorAll('svg, figure, p, h1, h2, .facts div, .scroll')].filter((element) => {
        const { left, right } = element.getBoundingClientRect()
        return left < -0.5 || right > root.clientWidth + 0.5
      })
      const texts = [...document.querySelectorAll('figure > svg text')].map((text) => text.getBoundingClientRect().height)
      const { color, backgroundColor } = getComputedStyle(document.body)
      const red = (colour) => Number(/\\d+/.exec(colour)[0])
      ;({
        overflow: root.scrollWidth - root.clientWidth,
        outside: outside.map(({ outerHTML }) => outerHTML.slice(0, 80)),
        smallest: Math.min(...texts),
        ink: red(color),
        paper: red(backgroundColor),
      })
    }`)
    expect(found.overflow).toBe(0)
    expect(found.outside).toEqual([])
    expect(found.smallest).toBeGreaterThan(8)
    expect(found.ink > found.paper).toBe(scheme === 'dark')
    expect(requests).toEqual([url])
    expect(said).toEqual([])
    await page.close()
  })

  it('has its marks inside the charts: one a point, a band a control, a cell a pair of classes', async () => {
    const { page } = await open(1280, 'light')
    const rows = tabulate(makeSweep().students).filter(({ student, control }) => student === 'mlp:64' && !control)
    const marks = await page.evaluate(`{
      const count = (id, selector) => document.querySelector('svg[aria-labelledby^="' + id + '-title"]').querySelectorAll(selector).length
      const outside = [...document.querySelectorAll('figure > svg')].flatMap((svg) => {
        const box = svg.getBoundingClientRect()
        return [...svg.querySelectorAll('.mark, .bar, .heat rect')].filter((mark) => {
          const { left, right, top, bottom, width } = mark.getBoundingClientRect()
          return !(width > 0 && left > box.left - 1 && right < box.right + 1 && top > box.top - 1 && bottom < box.bottom + 1)
        })
      })
      ;({
        points: count('temperature-0', '.mark'),
        bars: count('temperature-0', '.bar'),
        band: count('temperature-0', '.band.control'),
        cells: count('similarity', '.heat rect'),
        curves: count('curves-0', '.line'),
        classes: count('classes-0', '.mark'),
        models: count('size', '.mark'),
        outside: outside.map(({ outerHTML }) => outerHTML.slice(0, 100)),
      })
    }`)
    expect(marks).toEqual({
      points: rows.length,
      bars: rows.length,
      band: 1,
      cells: 49,
      curves: 6,
      classes: 21,
      models: 5,
      outside: [],
    })
    await page.close()
  })

  it('gives every chart and table its name to who cannot see it, and shows hostile names as text', async () => {
    const { page } = await open(360, 'light')
    const charts = await page.getByRole('img').all()
    expect(charts).toHaveLength(10)
    await page.getByRole('img', { name: 'mlp:64: accuracy against temperature' }).waitFor()
    await page.getByRole('region', { name: 'Table of all students' }).waitFor()
    const pairs = await page.locator('.pairs').textContent()
    expect(pairs).toContain(hostile.replace('\u202e', ' ').slice(0, 40))
    await page.close()
  })
})
