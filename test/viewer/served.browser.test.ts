import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import {
  createTargets,
  idColumn,
  openTargets,
  type Plan,
  type Rows,
  type TargetsWriter,
} from '../../src/cache/index.js'
import { type Students, TEMPERATURES } from '../../src/viewer/api.js'
import { serveViewer } from '../../src/viewer/serve-viewer.js'
import { CREATED, labelOf, logitsOf, makePlan, makeRows, writeTargets } from '../cache/datasets.js'
import { temporaryFolder } from '../helpers/folder.js'
import { launch, listen, noChromium, type Opened, openFixture, screenshot } from './browser.js'
import { softmax, writeDataset } from './fixtures.js'
import { makeFixture, makeStudents } from './page-answers.js'

describe.skipIf(noChromium)('decant view in Chromium', () => {
  let browser: Browser
  beforeAll(async () => {
    browser = await launch()
  })
  afterAll(() => browser?.close())

  async function open(place: string, hash = '', options: { source?: false } = { source: false }): Promise<Opened> {
    const errors: unknown[] = []
    const viewer = await serveViewer({ place, ...options, onError: (error) => errors.push(error) })
    const page = await browser.newPage({ viewport: { width: 1280, height: 900 } })
    onTestFinished(async () => {
      await page.context().close()
      await viewer.close()
      expect(errors).toEqual([])
    })
    const opened: Opened = { page, asked: [], said: [] }
    listen(opened)
    page.on('request', (request) => {
      const { pathname, search } = new URL(request.url())
      if (pathname.startsWith('/api/')) opened.asked.push(pathname + search)
    })
    await page.goto(viewer.url + hash)
    return opened
  }

  it('shows a dataset: figures, samples at any temperature, classes', async () => {
    const dir = temporaryFolder()
    await writeTargets(dir, makePlan({ classes: 6, rows: 100 }))
    const { page, said } = await open(dir, '#overview')
    await page.getByText('calibration error').waitFor()
    await page.keyboard.press('2')
    await page.locator('.grid a').nth(7).click()
    const slider = page.getByRole('slider', { name: 'Temperature T' })
    for (const stop of [0, 8, 43]) {
      await slider.fill(String(stop))
      const wanted = softmax(logitsOf(7, 6), TEMPERATURES[stop]!)
      const found = await page.evaluate<[string, string][]>(
        `[...document.querySelectorAll('tr[data-class]')].map(({ dataset }) => [dataset.class, dataset.p])`,
      )
      expect(found).toHaveLength(6)
      for (const [c, p] of found) expect(Number(p)).toBeCloseTo(wanted[Number(c)]!, 9)
    }
    await page.keyboard.press('3')
    await page.getByRole('application', { name: 'Similarity of 6 classes' }).waitFor()
    expect(said).toEqual([])
  })

  it('shows the first of a million rows at once, and any other, and reads no more than that', async () => {
    const dir = temporaryFolder()
    const rows = 1_000_000
    const plan = makePlan({ classes: 4, rows, rowsPerShard: 250_000, rowsPerBatch: 50_000 })
    const writer = await createTargets(dir, plan)
    await writeMany(writer, plan)
    const began = performance.now()
    const { page, asked, said } = await open(dir, '#samples')
    await page.locator('.grid a').first().waitFor()
    expect(performance.now() - began).toBeLessThan(10_000)
    expect(await page.locator('.grid a').count()).toBe(60)
    expect(asked).toEqual(['/api/what', '/api/samples?limit=60'])
    await page.getByRole('textbox', { name: 'Row' }).fill('999999')
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { name: 'Row 999999' }).waitFor()
    await page.locator('tr[data-class="3"]').waitFor()
    expect(asked.slice(2)).toEqual(['/api/samples/999999'])
    await page.keyboard.press('Escape')
    await page.getByText('wrong', { exact: true }).click()
    await page.getByText('No sample is like that').or(page.getByText('Look further')).first().waitFor()
    await page.keyboard.press('1')
    await page.getByText('calibration error').waitFor()
    expect(said).toEqual([])
  })

  it('shows a sequence position by position, and takes one of many classes by its number', async () => {
    const dir = temporaryFolder()
    const [rows, L, classes] = [6, 4, 1500]
    const z = (at: number) => Array.from({ length: classes }, (_, c) => Math.fround(((at * 31 + c * 17) % 97) / 12))
    await writeDataset(dir, {
      ...{ rows, classes, names: null, positions: L, preprocess: null },
      inputs: { kind: 'tokens', shape: [L] },
      labels: new Int32Array(rows).fill(-1),
      logits: Float32Array.from(Array.from({ length: rows * L }, (_, at) => z(at)).flat()),
      columns: {
        input: Int32Array.from({ length: rows * L }, (_, i) => (i % L === 3 ? -1 : 100 + i)),
        length: new Int32Array(rows).fill(3),
      },
    })
    const { page, said } = await open(dir, '#samples/2', {})
    const position = page.getByRole('spinbutton', { name: 'Position' })
    await position.waitFor()
    expect(await position.inputValue()).toBe('2')
    expect(await page.getByRole('region', { name: 'Text' }).textContent()).toBe('108 109 110')
    const barsAre = (logits: number[]) =>
      expect
        .poll(async () => {
          const found = await page.evaluate<[string, string][]>(
            `[...document.querySelectorAll('tr[data-class]:not(.together)')].map(({ dataset }) => [dataset.class, dataset.p])`,
          )
          const wanted = softmax(logits, 4)
          return found.length > 0 && Math.max(...found.map(([c, p]) => Math.abs(Number(p) - wanted[Number(c)]!)))
        })
        .toBeLessThan(1e-9)
    await barsAre(z(2 * L + 2))
    await position.fill('0')
    await position.press('Enter')
    await barsAre(z(2 * L))
    await page.keyboard.press('Escape')
    await page.getByLabel('Predicted').waitFor()
    await screenshot(page, 'samples-tokens')
    await page.getByLabel('Predicted').fill('1499')
    await page.keyboard.press('Enter')
    await expect.poll(() => page.evaluate('location.hash')).toBe('#samples?predicted=1499')
    expect(said).toEqual([])
  })

  it('follows an export until it is a dataset', async () => {
    const dir = temporaryFolder()
    const plan = makePlan({ classes: 5, rows: 120 })
    const writer = await createTargets(dir, plan)
    const writeShard = async (shard: number) => {
      await writer.beginShard(shard)
      await writer.append(makeRows(plan, shard * 40, (shard + 1) * 40))
      await writer.endShard()
    }
    await writeShard(0)
    const { page, said } = await open(dir)
    await page.getByRole('heading', { name: 'Live' }).waitFor()
    const progress = page.getByRole('progressbar', { name: 'Export' })
    expect(await progress.getAttribute('value')).toBe('40')
    expect(await progress.getAttribute('max')).toBe('120')
    await writeShard(1)
    await expect.poll(() => progress.getAttribute('value'), { timeout: 10_000 }).toBe('80')
    await screenshot(page, 'live-export')
    await writeShard(2)
    await writer.finish({ created: CREATED })
    await page.getByRole('link', { name: 'Overview' }).click({ timeout: 20_000 })
    await page.getByText('calibration error').waitFor()
    expect(said).toEqual([])
    const targets = await openTargets(dir)
    expect((await targets.row(3)).label ?? -1).toBe(labelOf(3, 5))
    await targets.close()
  })

  it('lets the curves of a training grow', async () => {
    const growing = (epochs: number): Students => {
      const all = makeStudents(epochs)
      return { ...all, students: all.students.map((row, n) => (n === 0 ? { ...row, metrics: null } : row)) }
    }
    const said = [
      { type: 'students', students: growing(2), done: false },
      { type: 'students', students: makeStudents(5), done: true },
    ]
    let asked = 0
    const opened = await openFixture(browser, makeFixture({ rows: 20, classes: 10, student: true, live: true }), {
      hash: '#live',
      stream: (path) => {
        if (path !== '/api/live') return undefined
        const event = said[Math.min(asked++, said.length - 1)]
        // The connection ends here, and the page opens it again after this time.
        return `retry: 300\ndata: ${JSON.stringify(event)}\n\n`
      },
    })
    const { page } = opened
    const curves = page.getByRole('img', { name: 'Training loss' })
    await page.getByText('Training: 1 student at work').waitFor()
    await curves.filter({ hasText: 'after epoch 2' }).waitFor()
    await screenshot(page, 'live-training')
    await curves.filter({ hasText: 'after epoch 5' }).waitFor()
    await page.getByText('Training is done.').waitFor()
    await page.context().close()
  })
})

/** A million rows are made fast: the first class is every fourth row's, and right. */
async function writeMany(writer: TargetsWriter, plan: Plan): Promise<void> {
  const { classes, rowsPerShard, rowsPerBatch, source } = plan
  for (let shard = 0; shard * rowsPerShard < source.rows; shard++) {
    await writer.beginShard(shard)
    for (let from = shard * rowsPerShard; from < (shard + 1) * rowsPerShard; from += rowsPerBatch) {
      const index = Array.from({ length: rowsPerBatch }, (_, i) => from + i)
      const rows: Rows = {
        rows: rowsPerBatch,
        ids: idColumn(index.map(String)),
        labels: Int32Array.from(index, (row) => row % classes),
        logits: Float32Array.from({ length: rowsPerBatch * classes }, (_, at) =>
          at % classes === (from + Math.floor(at / classes)) % classes ? 3 : 0,
        ),
      }
      await writer.append(rows)
    }
    await writer.endShard()
  }
  await writer.finish({ created: CREATED })
}
