import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import sharp from 'sharp'
import { beforeAll, describe, expect, test } from 'vitest'
import { createAnswers } from '../../src/viewer/answers.js'
import {
  type Classes,
  isWanted,
  type Overview,
  type Sample,
  type SampleHead,
  type Samples,
  TEMPERATURES,
  type What,
} from '../../src/viewer/api.js'
import { decodeMeans } from '../../src/viewer/means.js'
import { openSubject, type Subject } from '../../src/viewer/subject.js'
import { temporaryFolder } from '../student/fixtures.js'
import {
  argmax,
  CLASSES,
  labelOf,
  logitsOf,
  mean,
  NAMES,
  pixelsOf,
  rowsOf,
  SIDE,
  softmax,
  storedPictures,
  studentLogits,
  writeDataset,
  writeStudent,
} from './fixtures.js'

// Every answer against the same computed in float64 from the logits that the datasets are made of.

const ROWS = 240
const all = rowsOf(ROWS)
const signal = new AbortController().signal
let [dense, bucketed, sweep]: Subject[] = []

beforeAll(async () => {
  const dir = await temporaryFolder()
  await writeDataset(join(dir, 'dense'), { rows: ROWS, inputs: storedPictures })
  await writeDataset(join(dir, 'topk'), { rows: ROWS, codec: 'topk:3', names: null })
  await mkdir(join(dir, 'student'))
  await writeStudent(join(dir, 'student'))
  dense = await openSubject({ place: join(dir, 'dense'), student: join(dir, 'student') }, signal)
  bucketed = await openSubject({ place: join(dir, 'topk'), source: false }, signal)
  for (const seed of [1, 2, 3]) {
    const student = join(dir, 'sweep/students', `linear-s${seed}`)
    await mkdir(student, { recursive: true })
    await writeStudent(student, seed === 2 ? 0.5 : null)
  }
  sweep = await openSubject({ place: join(dir, 'sweep'), targets: join(dir, 'dense') }, signal)
  return async () => {
    await sweep!.close()
    await dense!.close()
    await bucketed!.close()
  }
})

async function ask<T>(subject: Subject, path: string): Promise<T> {
  const [place, query] = path.split('?')
  const found = await createAnswers(subject)(place!, new URLSearchParams(query), signal)
  if (!('json' in found)) throw new Error('a picture')
  return JSON.parse(JSON.stringify(found.json)) as T
}

const headOf = (row: number): SampleHead => ({
  row,
  id: `row-${row}`,
  view: 0,
  label: labelOf(row) < 0 ? null : labelOf(row),
  top: argmax(logitsOf(row)),
  confidence: Math.max(...softmax(logitsOf(row), 1)),
  student: argmax(studentLogits(row)),
  preview: null,
})

describe('what', () => {
  test('says what is there', async () => {
    const what = await ask<What>(dense!, '/api/what')
    expect(what).toMatchObject({
      title: 'dense',
      sections: ['overview', 'samples', 'classes', 'students'],
      student: 'linear',
      live: false,
    })
    expect(what.targets).toMatchObject({
      rows: ROWS,
      classes: CLASSES,
      names: NAMES,
      kind: 'dense',
      labelled: true,
      input: 'image',
    })
    const { student } = await ask<What>(sweep!, '/api/what')
    expect(student).toBe('linear-s2') // the one with an accuracy
    const { targets } = await ask<What>(bucketed!, '/api/what')
    expect(targets).toMatchObject({ kind: 'bucketed', codec: 'topk:3', input: null })
    expect(targets!.names[2]).toBe('class 2')
  })
})

describe('overview', () => {
  const labelled = all.filter((row) => labelOf(row) >= 0)
  const hits = labelled.map((row) => Number(argmax(logitsOf(row)) === labelOf(row)))

  test('accuracy and calibration of the labelled rows, by bins of confidence', async () => {
    const { rows, softened, tally, reliability, labels, predictions } = await ask<Overview>(dense!, '/api/overview')
    expect([rows, softened]).toEqual([ROWS, ROWS])
    expect(tally!.accuracy).toBeCloseTo(mean(hits), 12)
    expect(tally!.nll).toBeCloseTo(mean(labelled.map((row) => -Math.log(softmax(logitsOf(row), 1)[labelOf(row)]!))), 9)
    const confidence = labelled.map((row) => Math.max(...softmax(logitsOf(row), 1)))
    const bins = Array.from({ length: 15 }, (_, bin) =>
      labelled.map((_, i) => i).filter((i) => confidence[i]! > bin / 15 && confidence[i]! <= (bin + 1) / 15),
    ).filter((bin) => bin.length > 0)
    expect(reliability.map((bin) => bin.rows)).toEqual(bins.map((bin) => bin.length))
    for (const [i, bin] of bins.entries()) {
      expect(reliability[i]!.confidence).toBeCloseTo(mean(bin.map((row) => confidence[row]!)), 9)
      expect(reliability[i]!.accuracy).toBeCloseTo(mean(bin.map((row) => hits[row]!)), 12)
    }
    const count = (of: number[]) => rowsOf(CLASSES).map((c) => of.filter((one) => one === c).length)
    expect(labels).toEqual(count(all.map(labelOf)))
    expect(predictions).toEqual(count(all.map((row) => argmax(logitsOf(row)))))
  })

  test('entropy and the largest soft target at each temperature', async () => {
    const { byTemperature } = await ask<Overview>(dense!, '/api/overview')
    expect(byTemperature.map(({ temperature }) => temperature)).toEqual(TEMPERATURES)
    for (const { temperature, entropy, top, tail } of byTemperature) {
      const soft = all.map((row) => softmax(logitsOf(row), temperature))
      expect(entropy).toBeCloseTo(mean(soft.map((p) => -p.reduce((sum, q) => sum + q * Math.log(q), 0))), 6)
      expect(top).toBeCloseTo(mean(soft.map((p) => Math.max(...p))), 6)
      expect(tail).toBeNull()
    }
  })

  test('of a top-k dataset the tail, which shares evenly what it has', async () => {
    const { byTemperature, tally } = await ask<Overview>(bucketed!, '/api/overview')
    expect(tally!.accuracy).toBeCloseTo(mean(hits), 12)
    for (const { temperature, entropy, top, tail } of byTemperature) {
      const spread = all.map((row) => {
        const soft = softmax(logitsOf(row), temperature).sort((a, b) => b - a)
        const rest = soft.slice(3).reduce((a, b) => a + b, 0)
        return { soft: [...soft.slice(0, 3), ...soft.slice(3).map(() => rest / 3)], rest }
      })
      // the codec's own error is some parts in a thousand
      expect(tail).toBeCloseTo(mean(spread.map(({ rest }) => rest)), 2)
      expect(top).toBeCloseTo(mean(spread.map(({ soft }) => soft[0]!)), 2)
      expect(entropy).toBeCloseTo(mean(spread.map(({ soft }) => -soft.reduce((sum, q) => sum + q * Math.log(q), 0))), 2)
    }
  })
})

describe('samples', () => {
  test.each([
    '',
    'label=3',
    'predicted=2',
    'label=1&predicted=4',
    'only=wrong',
    'only=uncertain',
    'only=disagree',
    'label=2&only=disagree',
  ])('?%s: page by page, all that are wanted and no others', async (query) => {
    const given = new URLSearchParams(query)
    const wanted = all.map(headOf).filter((head) =>
      isWanted(head, {
        ...(given.has('label') && { label: Number(given.get('label')) }),
        ...(given.has('predicted') && { predicted: Number(given.get('predicted')) }),
        ...(given.has('only') && { only: given.get('only') as 'wrong' }),
      }),
    )
    const found: SampleHead[] = []
    let scanned = 0
    for (let from: number | null = 0; from !== null; ) {
      const page: Samples = await ask<Samples>(dense!, `/api/samples?${query}&from=${from}&limit=7`.replace('?&', '?'))
      expect(page.samples.length).toBeLessThanOrEqual(7)
      found.push(...page.samples)
      scanned += page.scanned
      from = page.next
    }
    expect(scanned).toBe(ROWS)
    expect(wanted.length).toBeGreaterThan(5)
    expect(found.map(({ row }) => row)).toEqual(wanted.map(({ row }) => row))
    const back: SampleHead[] = []
    for (let before: number | null = ROWS; before !== null; ) {
      const page: Samples = await ask<Samples>(
        dense!,
        `/api/samples?${query}&before=${before}&limit=7`.replace('?&', '?'),
      )
      expect(page.next).toBe(before < ROWS ? before : null)
      back.unshift(...page.samples)
      before = page.previous
    }
    expect(back).toEqual(found)
    for (const [i, { confidence, ...head }] of found.entries()) {
      const { confidence: expected, ...rest } = wanted[i]!
      expect(head).toEqual(rest)
      expect(confidence).toBeCloseTo(expected, 9)
    }
  })

  test('a sample has its logits, its student’s, and its picture', async () => {
    const sample = await ask<Sample>(dense!, '/api/samples/11')
    expect(sample).toMatchObject({
      row: 11,
      index: rowsOf(CLASSES),
      logits: logitsOf(11),
      tail: null,
      image: true,
      position: null,
    })
    for (const [c, z] of studentLogits(11).entries()) expect(sample.studentLogits![c]).toBeCloseTo(z, 3)
    const found = await createAnswers(dense!)('/api/samples/11/image', new URLSearchParams(), signal)
    const { data, info } = await sharp((found as { png: Uint8Array }).png)
      .grayscale()
      .raw()
      .toBuffer({ resolveWithObject: true })
    expect([info.height, info.width]).toEqual([SIDE, SIDE])
    expect([...data]).toEqual([...pixelsOf(11)])
  })

  test('a picture whose channels are blue, green and red is shown in its colours', async () => {
    const dir = join(await temporaryFolder(), 'bgr')
    const bgr = Uint8Array.from({ length: 2 * 12 }, (_, i) => i * 10)
    const inputs = { kind: 'image' as const, shape: [2, 2, 3] }
    await writeDataset(dir, { rows: 2, inputs, preprocess: { version: 1, color: 'bgr' }, columns: { input: bgr } })
    const subject = await openSubject({ place: dir }, signal)
    const found = await createAnswers(subject)('/api/samples/1/image', new URLSearchParams(), signal)
    const shown = await sharp((found as { png: Uint8Array }).png)
      .raw()
      .toBuffer()
    expect([...shown]).toEqual([140, 130, 120, 170, 160, 150, 200, 190, 180, 230, 220, 210])
    await subject.close()
  })

  test('of a top-k dataset the known classes, and the tail at each temperature', async () => {
    for (const row of [0, 17, 101]) {
      const z = logitsOf(row)
      const { index, logits, tail, image } = await ask<Sample>(bucketed!, `/api/samples/${row}`)
      const order = rowsOf(CLASSES).sort((a, b) => z[b]! - z[a]!)
      expect(index).toEqual(order.slice(0, 3))
      for (const [i, c] of index.entries()) expect(logits[i]).toBeCloseTo(z[c]!, 2)
      for (const [at, temperature] of TEMPERATURES.entries()) {
        const exact = Math.log(order.slice(3).reduce((sum, c) => sum + Math.exp(z[c]! / temperature), 0))
        expect(tail![at]).toBeCloseTo(exact, 1.5)
      }
      expect(image).toBe(false)
    }
  })
})

describe('classes', () => {
  const similarityAt = async (subject: Subject, stop: number) =>
    decodeMeans(await ask<Classes>(subject, '/api/classes'), stop)

  test.each([...TEMPERATURES.keys()])('mean soft targets of the rows of a class, at stop %i', async (stop) => {
    const { temperature, classes, rows, order, mean: means } = await similarityAt(dense!, stop)
    expect(temperature).toBe(TEMPERATURES[stop])
    expect(classes).toEqual(rowsOf(CLASSES))
    for (const from of classes) {
      const own = all.filter((row) => labelOf(row) === from)
      expect(rows[from]).toBe(own.length)
      const soft = own.map((row) => softmax(logitsOf(row), temperature))
      for (const to of classes) {
        const exact = mean(soft.map((p) => p[to]!))
        expect(Math.abs(means[from * CLASSES + to]! - exact)).toBeLessThan(Math.min(4e-5, 1e-3 * exact))
      }
    }
    // Classes that the teacher finds alike, c and c + 3, stand side by side.
    for (const c of [0, 1, 2]) expect(Math.abs(order.indexOf(c) - order.indexOf(c + 3))).toBe(1)
  })

  test('of a top-k dataset the tail is spread evenly', async () => {
    const { temperature, mean: means } = await similarityAt(bucketed!, 8)
    for (const from of rowsOf(CLASSES)) {
      const soft = all
        .filter((row) => labelOf(row) === from)
        .map((row) => {
          const p = softmax(logitsOf(row), temperature)
          const least = [...p].sort((a, b) => b - a).slice(3)
          return p.map((q) => (least.includes(q) ? mean(least) : q))
        })
      for (const to of rowsOf(CLASSES)) expect(means[from * CLASSES + to]).toBeCloseTo(mean(soft.map((p) => p[to]!)), 2)
      expect(rowsOf(CLASSES).reduce((sum, to) => sum + means[from * CLASSES + to]!, 0)).toBeCloseTo(1, 3)
    }
  })
})

describe('what cannot be answered is refused', () => {
  test.each([
    ['/api/nothing', 'there is no /api/nothing here'],
    ['/api/samples/240', 'there is no row 240: this dataset has 240'],
    ['/api/samples?label=6', "label: expected a whole number from 0 to 5, found '6'"],
    ['/api/samples?label=1&label=2', 'label is given twice'],
    ['/api/samples?limit=0', 'limit: expected 1 or more'],
    ['/api/samples?limit=501', "limit: expected a whole number from 0 to 500, found '501'"],
    ['/api/samples?from=-1', "from: expected a whole number from 0 to 9007199254740991, found '-1'"],
    ['/api/samples?only=all', 'only: expected one of wrong, uncertain, disagree, once'],
    ['/api/samples?sort=id', "'sort' is not known here"],
    ['/api/samples?from=1&before=9', 'from and before: expected one of them'],
    ['/api/classes?temperature=4', "'temperature' is not known here"],
    ['/api/overview?__proto__=1', "'__proto__' is not known here"],
  ])('%s', async (path, message) => {
    await expect(ask(dense!, path)).rejects.toThrow(message)
  })

  test('disagreement without a student, a picture without inputs', async () => {
    await expect(ask(bucketed!, '/api/samples?only=disagree')).rejects.toThrow('there is no student here')
    await expect(ask(bucketed!, '/api/samples/3/image')).rejects.toThrow('row 3 has no picture here')
  })
})
