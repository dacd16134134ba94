import sharp from 'sharp'
import { random } from '../../src/random.js'
import {
  type Classes,
  isWanted,
  type Overview,
  type Sample,
  type SampleHead,
  type SampleQuery,
  type Samples,
  type Students,
  TEMPERATURES,
  type What,
} from '../../src/viewer/api.js'
import { encodeMeans } from '../../src/viewer/classes.js'
import { argmax, mean, softmax } from './fixtures.js'

export interface FixtureOptions {
  rows: number
  classes: number
  /** classes that are kept; all where not given */
  kept?: number
  student?: boolean
  input?: 'image' | 'text' | 'features'
  names?: string[]
  labelled?: boolean
  live?: boolean
}

export interface Fixture {
  what: What
  logits: number[][]
  studentLogits: number[][]
  labels: number[]
  /** the answer to a path below /api, undefined where there is none */
  answer(path: string): unknown
  /** all answers by path, as a page of one file has them */
  all(): Promise<Record<string, unknown>>
  image(row: number): Promise<Buffer>
}

const NAMES = ['T-shirt/top', 'Trouser', 'Pullover', 'Dress', 'Coat', 'Sandal', 'Shirt', 'Sneaker', 'Bag', 'Ankle boot']

/** What a viewer's server would say of a small dataset of logits: classes on a ring, neighbours alike. */
export function makeFixture(options: FixtureOptions): Fixture {
  const { rows, classes, kept, student = false, input = 'image', labelled = true, live = false } = options
  const names = options.names ?? (classes === 10 ? NAMES : Array.from({ length: classes }, (_, c) => `class ${c}`))
  const stream = random('viewer fixture', rows, classes)
  const labels = Array.from({ length: rows }, () => stream.below(classes))
  const draw = (label: number, sharpness: number) =>
    Array.from({ length: classes }, (_, c) => {
      const apart = Math.min(Math.abs(c - label), classes - Math.abs(c - label))
      return sharpness / (1 + apart) + stream.normal() * 1.3
    })
  const logits = labels.map((label) => draw(label, 7).map((z) => Math.fround(z)))
  const studentLogits = labels.map((label) => draw(label, 5))
  const soft = logits.map((z) => softmax(z, 1))
  const head = (row: number): SampleHead => ({
    row,
    id: `sample-${row}`,
    view: 0,
    label: labelled ? labels[row]! : null,
    top: argmax(logits[row]!),
    confidence: Math.max(...soft[row]!),
    student: student ? argmax(studentLogits[row]!) : null,
    preview: input === 'image' ? null : input === 'text' ? `The text of sample ${row}, which goes on.` : '0.1, 0.2, …',
  })
  const heads = labels.map((_, row) => head(row))
  const what: What = {
    title: 'fixture',
    place: '/data/fixture',
    sections: [
      'overview',
      'samples',
      'classes',
      ...(student ? (['students'] as const) : []),
      ...(live ? (['live'] as const) : []),
    ],
    targets: {
      rows,
      classes,
      names,
      codec: kept ? `topk:${kept}` : 'f16',
      kind: kept ? 'bucketed' : 'dense',
      positions: 1,
      views: 1,
      labelled,
      input,
      teacher: { file: 'teacher.onnx', sha256: 'ab'.repeat(32) },
      license: 'MIT',
      bytes: rows * classes * 2,
      manifest: 'cd'.repeat(32),
    },
    student: student ? 'mlp:64' : null,
    live,
  }
  const tailOf = (z: number[], order: number[], temperature: number) =>
    Math.log(order.slice(kept).reduce((sum, c) => sum + Math.exp(z[c]! / temperature), 0))
  const sample = (row: number): Sample => {
    const z = logits[row]!
    const order = z.map((_, c) => c).sort((a, b) => z[b]! - z[a]!)
    const index = kept ? order.slice(0, kept) : z.map((_, c) => c)
    return {
      ...heads[row]!,
      position: null,
      positions: 1,
      index,
      logits: index.map((c) => z[c]!),
      tail: kept ? TEMPERATURES.map((t) => tailOf(z, order, t)) : null,
      studentLogits: student ? studentLogits[row]! : null,
      text: input === 'text' ? `The text of sample ${row}, which goes on. `.repeat(20) : null,
      features: input === 'features' ? z.slice(0, 8) : null,
      image: input === 'image',
    }
  }
  const samples = ({ from = 0, before, limit = 60, ...query }: SampleQuery): Samples => {
    const wanted = heads.filter((one) => isWanted(one, query))
    if (before !== undefined) {
      const found = wanted.filter(({ row }) => row < before)
      return {
        samples: found.slice(-limit),
        next: before < rows ? before : null,
        previous: found.length > limit ? found.at(-limit)!.row : null,
        scanned: before,
      }
    }
    const found = wanted.filter(({ row }) => row >= from)
    return {
      samples: found.slice(0, limit),
      next: found[limit]?.row ?? null,
      previous: from > 0 ? from : null,
      scanned: rows - from,
    }
  }
  const overview = (): Overview => {
    const right = heads.map((one, row) => one.top === labels[row])
    const bins = Array.from({ length: 15 }, (_, bin) =>
      heads.filter(({ confidence }) => Math.min(14, Math.floor(confidence * 15)) === bin),
    )
    const some = logits.slice(0, 200)
    return {
      rows,
      softened: some.length,
      tally: labelled
        ? {
            accuracy: mean(right.map(Number)),
            top5: classes > 5 ? 0.99 : null,
            nll: 0.31,
            ece: 0.021,
            brier: 0.12,
            aurc: 0.017,
          }
        : null,
      reliability: labelled
        ? bins.map((bin) => ({
            confidence: mean(bin.map(({ confidence }) => confidence)),
            accuracy: mean(bin.map(({ row }) => Number(right[row]))),
            rows: bin.length,
          }))
        : [],
      byTemperature: TEMPERATURES.map((temperature) => {
        const at = some.map((z) => softmax(z, temperature))
        return {
          temperature,
          entropy: mean(at.map((p) => -p.reduce((sum, x) => sum + (x > 0 ? x * Math.log(x) : 0), 0))),
          top: mean(at.map((p) => Math.max(...p))),
          tail: kept
            ? mean(
                at.map((p) =>
                  [...p]
                    .sort((a, b) => b - a)
                    .slice(kept)
                    .reduce((a, b) => a + b, 0),
                ),
              )
            : null,
        }
      }),
      fidelity: [1, 4, 20].map((temperature) => ({
        temperature,
        klBuckets: 2e-6 / temperature,
        klClasses: 3e-6 / temperature,
        tailError: kept ? 0.004 : null,
      })),
      labels: labelled ? names.map((_, c) => labels.filter((label) => label === c).length) : null,
      predictions: names.map((_, c) => heads.filter(({ top }) => top === c).length),
    }
  }
  const similarity = (): Classes => {
    const list = names.map((_, c) => c)
    const own = list.map((c) => logits.filter((_, row) => labels[row] === c).slice(0, 20))
    const meansAt = (temperature: number) =>
      own.flatMap((some) => {
        const soft = some.map((z) => softmax(z, temperature))
        return list.map((to) => mean(soft.map((p) => p[to]!)))
      })
    const stops = classes > 200 ? [0, 24, 43] : [...TEMPERATURES.keys()]
    return {
      classes: list,
      rows: own.map(({ length }) => length),
      order: list,
      stops,
      means: encodeMeans(stops.map((stop) => Float32Array.from(meansAt(TEMPERATURES[stop]!)))),
    }
  }
  const answer = (path: string): unknown => {
    const { pathname, searchParams } = new URL(path, 'http://page')
    const row = /^\/api\/samples\/(\d+)$/.exec(pathname)?.[1]
    if (row !== undefined) return Number(row) < rows ? sample(Number(row)) : undefined
    switch (pathname) {
      case '/api/what':
        return what
      case '/api/overview':
        return overview()
      case '/api/samples': {
        const given = Object.fromEntries(searchParams)
        const query = Object.fromEntries(Object.entries(given).map(([key, v]) => [key, key === 'only' ? v : Number(v)]))
        return samples(query)
      }
      case '/api/classes':
        return similarity()
      case '/api/students':
        return student ? makeStudents() : undefined
    }
    return undefined
  }
  const image = (row: number) => {
    const side = 28
    const dots = random('viewer picture', row % 50)
    const pixels = Uint8Array.from({ length: side * side }, (_, i) => {
      const [x, y] = [i % side, Math.floor(i / side)]
      return Math.hypot(x - 14, y - 14) < 8 + (labels[row]! % 5) ? 120 + (dots.uint32() % 120) : 0
    })
    return sharp(pixels, { raw: { width: side, height: side, channels: 1 } })
      .png()
      .toBuffer()
  }
  return {
    what,
    logits,
    studentLogits,
    labels,
    answer,
    image,
    async all() {
      const answers: Record<string, unknown> = {}
      const paths = what.sections.map((section) => `/api/${section}`)
      const some = samples({ limit: 24 })
      paths.push('/api/what')
      paths.push(...some.samples.map(({ row }) => `/api/samples/${row}`))
      for (const path of paths) answers[path] = answer(path)
      answers['/api/samples'] = { ...some, next: null, previous: null }
      for (const { row } of some.samples) {
        answers[`/api/samples/${row}/image`] = `data:image/png;base64,${(await image(row)).toString('base64')}`
      }
      return answers
    },
  }
}

/** A sweep of two kinds of student, two methods, three temperatures, two seeds, and the control. */
export function makeStudents(epochs = 6): Students {
  const students: Students['students'] = []
  for (const [kind, student] of ['mlp:64', 'cnn:16,32'].entries()) {
    for (const [way, method] of ['kd', 'dist', 'ce'].entries()) {
      for (const temperature of method === 'ce' ? [1] : [1, 4, 12]) {
        for (const seed of [1, 2]) {
          const accuracy =
            0.84 +
            kind * 0.04 +
            (way === 2 ? 0 : 0.012 + 0.004 * way - 0.0007 * (temperature - 5) ** 2 * 0.2) +
            seed * 0.001
          students.push({
            id: `${student} ${method} ${temperature} ${seed}`,
            student,
            method,
            temperature,
            alpha: method === 'ce' ? 0 : 0.9,
            seed,
            metrics: {
              accuracy,
              nll: 0.5 - accuracy / 4,
              ece: 0.02 + way / 100,
              agreement: accuracy + 0.02,
              kl: 0.3 - way / 20,
            },
            epochs: Array.from({ length: epochs }, (_, e) => ({
              epoch: e + 1,
              loss: 1.4 / (e + 1 + kind) + 0.3 - way / 20,
              accuracy: accuracy - 0.2 / (e + 1.5),
            })),
          })
        }
      }
    }
  }
  return {
    students,
    controls: [
      { student: 'mlp:64', accuracy: 0.8415 },
      { student: 'cnn:16,32', accuracy: 0.8815 },
    ],
  }
}
