import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { Sample, Samples, What } from '../../src/viewer/api.js'
import { writePage } from '../../src/viewer/write-page.js'
import { temporaryFolder } from '../student/fixtures.js'
import { bundle, logitsOf, NAMES, storedPictures, writeDataset, writeStudent } from './fixtures.js'

const signal = new AbortController().signal

/** What a page of one file has inside. */
function answersIn(page: string): Record<string, unknown> {
  const [, data] = /<script type="application\/json" id="data">(.*?)<\/script>/s.exec(page)!
  return JSON.parse(data!)
}

test('the page as one file has its answers inside, and asks nobody', async () => {
  const dir = await temporaryFolder()
  await writeDataset(join(dir, 'targets'), { rows: 120, inputs: storedPictures })
  await mkdir(join(dir, 'student'))
  await writeStudent(join(dir, 'student'))
  const path = join(dir, 'page.html')
  const options = { place: join(dir, 'targets'), student: join(dir, 'student'), path, bundle }
  const written = await writePage({ ...options, samples: 12 }, signal)
  const page = await readFile(path, 'utf8')
  expect(written.bytes).toBe(Buffer.byteLength(page))

  const answers = answersIn(page)
  const { samples, next } = answers['/api/samples'] as Samples
  expect(next).toBeNull()
  expect(samples).toHaveLength(written.samples)
  expect(samples.length).toBeGreaterThan(6)
  expect(samples.length).toBeLessThanOrEqual(12)
  const rows = samples.map(({ row }) => row)
  expect(rows).toEqual([...new Set(rows)].sort((a, b) => a - b))
  for (const only of [
    samples.some(({ label, top }) => label !== null && label !== top),
    samples.some(({ confidence }) => confidence < 0.5),
    samples.some(({ student, top }) => student !== top),
  ])
    expect(only).toBe(true)
  for (const row of rows) {
    expect((answers[`/api/samples/${row}`] as Sample).logits).toEqual(logitsOf(row))
    expect(answers[`/api/samples/${row}/image`]).toMatch(/^data:image\/png;base64,/)
  }
  expect(Object.keys(answers)).toEqual(
    expect.arrayContaining(['/api/what', '/api/overview', '/api/classes', '/api/students']),
  )
})

test('hostile names stay text, and nothing of this machine is told', async () => {
  const dir = await temporaryFolder()
  await writeDataset(join(dir, 'targets'), { rows: 30 })
  const path = join(dir, 'page.html')
  await writePage({ place: join(dir, 'targets'), source: false, path, bundle }, signal)
  const page = await readFile(path, 'utf8')
  const answers = answersIn(page)
  expect((answers['/api/what'] as What).targets!.names).toEqual(NAMES)
  expect(page).not.toContain('<script>alert')
  expect(page.match(/<script/g)).toHaveLength(2)
  expect(page).toMatch(
    /<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'sha256-[^']+'; /,
  )
  expect(page).not.toContain(dir)
  expect(page).not.toMatch(/https?:/)
})
