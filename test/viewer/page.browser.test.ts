import { writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Classes, isWanted, type SampleHead, type Samples, TEMPERATURES } from '../../src/viewer/api.js'
import { readBundle, writeAsOneFile } from '../../src/viewer/bundle.js'
import { decodeMeans } from '../../src/viewer/means.js'
import { temporaryFolder } from '../helpers/folder.js'
import { launch, listen, noChromium, type Opened, openFixture, screenshot } from './browser.js'
import { softmax } from './fixtures.js'
import { makeFixture } from './page-answers.js'

// What runs in the page is text: the project has no types of the DOM.

const fixture = makeFixture({ rows: 400, classes: 10, student: true })
const bucketed = makeFixture({ rows: 60, classes: 100, kept: 8 })
const SECTIONS = ['overview', 'samples', 'samples/12', 'classes', 'students']
const axe = createRequire(import.meta.url).resolve('axe-core/axe.min.js')

/** class → [its p, the width of its bar as a share of the column] */
const barsOf = (page: Page) =>
  page.evaluate<Record<string, [number, number]>>(`Object.fromEntries(
    [...document.querySelectorAll('tr[data-class]')].map((row) => {
      const bar = row.querySelector('.teacher-bar')
      return [row.dataset.class, [Number(row.dataset.p), bar.getBoundingClientRect().width / bar.parentElement.getBoundingClientRect().width]]
    }))`)

const rowsShown = (page: Page) =>
  page.evaluate<number[]>(
    `[...document.querySelectorAll('.grid a')].map((a) => Number(/samples\\/(\\d+)/.exec(a.getAttribute('href'))[1]))`,
  )

const settled = (page: Page) => page.locator('.wait, [aria-busy=true]').waitFor({ state: 'detached' })

describe.skipIf(noChromium)("the viewer's page in Chromium", () => {
  let browser: Browser
  beforeAll(async () => {
    browser = await launch()
  })
  afterAll(() => browser?.close())

  const close = ({ page }: Opened) => page.context().close()

  it('moves the bars with the temperature to softmax(z/T)', async () => {
    const opened = await openFixture(browser, fixture, { hash: '#samples/12' })
    const { page, asked, said } = opened
    const slider = page.getByRole('slider', { name: 'Temperature T' })
    await slider.waitFor()
    const before = asked.length
    for (const stop of [24, 0, 8, 31, 43]) {
      await slider.fill(String(stop))
      expect(await slider.getAttribute('aria-valuetext')).toBe(`T = ${TEMPERATURES[stop]!.toFixed(stop > 34 ? 1 : 2)}`)
      const wanted = softmax(fixture.logits[12]!, TEMPERATURES[stop]!)
      const bars = await barsOf(page)
      expect(Object.keys(bars)).toHaveLength(10)
      for (const [c, [p, width]] of Object.entries(bars)) {
        expect(p).toBeCloseTo(wanted[Number(c)]!, 12)
        if (p > 0.01) expect(width).toBeCloseTo(p, 2)
      }
    }
    expect(asked).toHaveLength(before)
    expect(said).toEqual([])
    await close(opened)
  })

  it("moves the kept classes' bars and the tail's by the teacher's whole softmax", async () => {
    const opened = await openFixture(browser, bucketed, { hash: '#samples/7' })
    const { page } = opened
    const slider = page.getByRole('slider', { name: 'Temperature T' })
    await slider.waitFor()
    for (const stop of [0, 8, 24, 43]) {
      await slider.fill(String(stop))
      const wanted = softmax(bucketed.logits[7]!, TEMPERATURES[stop]!)
      const { tail, ...bars } = await barsOf(page)
      expect(Object.keys(bars)).toHaveLength(8)
      for (const [c, [p]] of Object.entries(bars)) expect(p).toBeCloseTo(wanted[Number(c)]!, 12)
      const rest = wanted.reduce((sum, p, c) => (String(c) in bars ? sum : sum + p), 0)
      expect(tail![0]).toBeCloseTo(rest, 12)
    }
    await close(opened)
  })

  it('shows the rows that the filters ask for, and walks over them', async () => {
    const opened = await openFixture(browser, fixture, { hash: '#samples' })
    const { page } = opened
    const heads = (fixture.answer('/api/samples?limit=400') as Samples).samples
    const wanted = (filter: (head: SampleHead) => boolean) => heads.filter(filter).map(({ row }) => row)
    const expectRows = (rows: number[]) => expect.poll(() => rowsShown(page)).toEqual(rows.slice(0, 60))
    await expectRows(wanted(() => true))
    await page.getByRole('link', { name: 'Next' }).click()
    await expectRows(wanted(({ row }) => row >= 60))
    await page.getByRole('link', { name: 'Previous' }).click()
    await expectRows(wanted(() => true))
    await page.getByLabel('Label').selectOption('3')
    await expectRows(wanted((head) => isWanted(head, { label: 3 })))
    await page.getByText('wrong', { exact: true }).click()
    const list = wanted((head) => isWanted(head, { label: 3, only: 'wrong' }))
    await expectRows(list)
    expect(list.length).toBeGreaterThan(1)
    await page.locator('.grid a').first().click()
    await page.getByRole('heading', { name: `Row ${list[0]}` }).waitFor()
    await page.keyboard.press('ArrowRight')
    await page.getByRole('heading', { name: `Row ${list[1]}` }).waitFor()
    await page.keyboard.press('ArrowLeft')
    await page.getByRole('heading', { name: `Row ${list[0]}` }).waitFor()
    await page.keyboard.press('ArrowLeft')
    await page.getByText('No earlier sample').waitFor()
    await page.keyboard.press('Escape')
    await expectRows(list)
    await page.getByLabel('Label').selectOption('')
    await page.getByText('uncertain', { exact: true }).click()
    await expectRows(wanted(({ confidence }) => confidence < 0.5))
    await page.getByText('student differs', { exact: true }).click()
    await expectRows(wanted(({ top, student }) => top !== student))
    await page.getByLabel('Predicted').selectOption('5')
    await expectRows(wanted((head) => isWanted(head, { predicted: 5, only: 'disagree' })))
    await page.getByRole('textbox', { name: 'Row' }).fill('77')
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { name: 'Row 77' }).waitFor()
    await close(opened)
  })

  it.each([
    [360, 'light'],
    [1280, 'dark'],
  ] as const)('at %i px, %s: nothing overflows, and axe finds nothing serious', async (width, colorScheme) => {
    for (const section of SECTIONS) {
      const opened = await openFixture(browser, fixture, {
        hash: `#${section}`,
        viewport: { width, height: 800 },
        colorScheme,
        reducedMotion: 'reduce',
      })
      const { page, said } = opened
      await settled(page)
      expect(
        await page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth'),
        section,
      ).toBe(0)
      await page.addScriptTag({ path: axe })
      const found = await page.evaluate<{ id: string; impact: string; nodes: string[] }[]>(
        `axe.run().then(({ violations }) => violations.map(({ id, impact, nodes }) => ({ id, impact, nodes: nodes.map(({ html, failureSummary }) => html.slice(0, 120) + failureSummary) })))`,
      )
      expect(
        found.filter(({ impact }) => impact !== 'minor'),
        section,
      ).toEqual([])
      expect(said, section).toEqual([])
      await screenshot(page, `${section.replace('/', '-')}-${width}-${colorScheme}`)
      await close(opened)
    }
  })

  it('is walked over by the keyboard alone', async () => {
    const opened = await openFixture(browser, fixture, { hash: '#overview' })
    const { page } = opened
    await settled(page)
    const focused = () => page.evaluate<string>('document.activeElement.textContent')
    await page.keyboard.press('Tab')
    expect(await focused()).toContain('Skip')
    await page.keyboard.press('Tab')
    await page.keyboard.press('Tab')
    expect(await focused()).toBe('Overview')
    await page.keyboard.press('?')
    await page.getByRole('dialog', { name: 'Keys' }).waitFor()
    await page.keyboard.press('Escape')
    await page.keyboard.press('2')
    await page.getByRole('heading', { name: 'Samples' }).waitFor()
    expect(await focused()).toBe('Samples')
    await page.locator('.grid').waitFor()
    const onCard = () => page.evaluate<boolean>(`document.activeElement.matches('.grid a')`)
    for (let n = 0; n < 20 && !(await onCard()); n++) await page.keyboard.press('Tab')
    await page.keyboard.press('ArrowRight')
    await page.keyboard.press('ArrowDown')
    await page.keyboard.press('ArrowUp')
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { name: 'Row 1', exact: true }).waitFor()
    const slider = page.getByRole('slider', { name: 'Temperature T' })
    await page.keyboard.press('+')
    expect(await slider.inputValue()).toBe('25')
    await slider.focus()
    await page.keyboard.press('ArrowLeft')
    await page.keyboard.press('ArrowLeft')
    expect(await slider.inputValue()).toBe('23')
    await page.getByRole('heading', { name: 'Row 1', exact: true }).waitFor()
    await page.keyboard.press('Escape')
    await page.locator('.grid').waitFor()
    await page.keyboard.press('3')
    const map = page.getByRole('application', { name: 'Similarity of 10 classes' })
    await map.focus()
    await page.keyboard.press('ArrowDown')
    await page.keyboard.press('ArrowRight')
    const { classes, order, mean } = decodeMeans(fixture.answer('/api/classes') as Classes, 23)
    const [from, to] = [order[1]!, order[2]!]
    const told = await page.locator('.readout').textContent()
    expect(told).toContain(fixture.what.targets!.names[classes[from]!])
    expect(told).toContain(mean[from * 10 + to]!.toFixed(4))
    await page.keyboard.press('Enter')
    await page.locator('.filters').waitFor()
    expect(await page.evaluate('location.hash')).toBe(`#samples?label=${from}&predicted=${to}`)
    await page.keyboard.press('4')
    const sort = page.getByRole('button', { name: 'log loss' })
    await sort.focus()
    await page.keyboard.press('Enter')
    expect(await page.locator('th[aria-sort=ascending]').textContent()).toContain('log loss')
    await close(opened)
  })

  it('says what went wrong and tries again', async () => {
    let broken = true
    const opened = await openFixture(browser, fixture, {
      hash: '#overview',
      answer: (path) =>
        broken && path === '/api/overview'
          ? { status: 500, body: '{"error":"data/00000.arrow: expected 12 bytes, found 3"}' }
          : undefined,
    })
    const { page } = opened
    const alert = page.getByRole('alert')
    expect(await alert.textContent()).toContain('data/00000.arrow: expected 12 bytes, found 3')
    broken = false
    await page.getByRole('button', { name: 'Try again' }).click()
    await page.getByText('calibration error').waitFor()
    await page.route('**/api/**', (route) => route.abort())
    await page.keyboard.press('3')
    await page.getByText('Start decant view again').waitFor()
    await close(opened)
  })

  it('shows a thousand classes without a thousand lines', async () => {
    const many = makeFixture({ rows: 1000, classes: 1000 })
    const opened = await openFixture(browser, many, { hash: '#overview' })
    const { page } = opened
    await page.getByRole('button', { name: 'Show all 1,000' }).waitFor()
    const elements = () => page.evaluate<number>('document.querySelectorAll("*").length')
    expect(await elements()).toBeLessThan(900)
    await page.keyboard.press('3')
    await page.getByRole('application', { name: 'Similarity of 1,000 classes' }).waitFor()
    expect(await elements()).toBeLessThan(400)
    await screenshot(page, 'classes-1000')
    await page.evaluate('location.hash = "samples/5"')
    const slider = page.getByRole('slider', { name: 'Temperature T' })
    await slider.waitFor()
    // Bars of the first classes, and one of all others; each move of the slider is drawn within a blink.
    const slowest = await page.evaluate<number>(`(async () => {
      const slider = document.querySelector('input[type=range]')
      let slowest = 0
      for (let stop = 0; stop < 44; stop++) {
        const began = performance.now()
        slider.value = stop
        slider.dispatchEvent(new Event('input', { bubbles: true }))
        await new Promise((done) => requestAnimationFrame(() => setTimeout(done)))
        slowest = Math.max(slowest, performance.now() - began)
      }
      return slowest
    })()`)
    expect(slowest).toBeLessThan(1000)
    const bars = await barsOf(page)
    const sum = Object.values(bars).reduce((total, [p]) => total + p, 0)
    expect(sum).toBeCloseTo(1, 9)
    await close(opened)
  })

  it('shows hostile names as text', async () => {
    const names = ['<img src=x onerror=alert(1)>', '\u202eevil', 'x'.repeat(3000), 'a', 'b', 'c', 'd', 'e', 'f', 'g']
    const hostile = makeFixture({ rows: 40, classes: 10, names })
    for (const section of ['overview', 'samples', 'samples/3', 'classes']) {
      const opened = await openFixture(browser, hostile, { hash: `#${section}`, viewport: { width: 360, height: 800 } })
      const { page, said } = opened
      await settled(page)
      expect(await page.locator('img[onerror]').count()).toBe(0)
      expect(
        await page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth'),
        section,
      ).toBe(0)
      expect(said).toEqual([])
      await close(opened)
    }
  })

  it.each(['text', 'features'] as const)('shows samples of %s', async (input) => {
    const opened = await openFixture(browser, makeFixture({ rows: 20, classes: 10, input }), { hash: '#samples' })
    const { page, asked, said } = opened
    await page.locator('.grid.texts .preview').first().waitFor()
    await page.locator('.grid a').nth(3).click()
    await page.getByRole('region', { name: input === 'text' ? 'Text' : 'Features' }).waitFor()
    expect(asked.filter((path) => path.endsWith('/image'))).toEqual([])
    expect(said).toEqual([])
    await close(opened)
  })

  it('is one file that asks for nothing', async () => {
    const path = join(temporaryFolder(), 'page.html')
    await writeFile(path, writeAsOneFile(await readBundle(), await fixture.all()))
    const page = await browser.newPage({ viewport: { width: 1280, height: 900 } })
    const opened: Opened = { page, asked: [], said: [] }
    listen(opened)
    page.on('request', (request) => !request.url().startsWith('data:') && opened.asked.push(request.url()))
    const url = pathToFileURL(path).href
    await page.goto(url)
    await page.getByText('calibration error').waitFor()
    await page.keyboard.press('2')
    await page.getByText('wrong', { exact: true }).click()
    const heads = (fixture.answer('/api/samples?limit=24') as Samples).samples
    const wrong = heads.filter((head) => isWanted(head, { only: 'wrong' })).map(({ row }) => row)
    await expect.poll(() => rowsShown(page)).toEqual(wrong)
    await page.getByText('all', { exact: true }).click()
    await page.locator('.grid a').first().click()
    await page.getByRole('heading', { name: 'Row 0' }).waitFor()
    await page.keyboard.press('ArrowRight')
    await page.getByRole('heading', { name: 'Row 1', exact: true }).waitFor()
    await page.keyboard.press('ArrowLeft')
    await page.getByRole('heading', { name: 'Row 0' }).waitFor()
    await page.getByRole('slider', { name: 'Temperature T' }).fill('43')
    const bars = await barsOf(page)
    expect(bars[0]![0]).toBeCloseTo(softmax(fixture.logits[0]!, 20)[0]!, 12)
    const wide = `document.querySelector('.picture').decode().then(() => document.querySelector('.picture').naturalWidth)`
    expect(await page.evaluate(wide)).toBe(28)
    await page.keyboard.press('3')
    await page.getByRole('application').waitFor()
    await page.keyboard.press('4')
    await page.getByRole('region', { name: 'Table of students' }).waitFor()
    expect(opened.asked).toEqual([url])
    expect(opened.said).toEqual([])
    await page.context().close()
  })
})
