import { codecOf, type Targets } from '../cache/index.js'
import { type Classes, TEMPERATURES } from './api.js'
import { orderByLikeness } from './cluster.js'
import { once } from './once.js'
import { bytesOf, validTargets, valuesOf } from './overview.js'
import { LOCAL, pickRows, type Reach, readStretches } from './pick-rows.js'
import { readTeacher } from './teacher-rows.js'

export const MAX_CLASSES = 1000
const MAX_PER_CLASS = 100
/** Logits that are kept in memory: 64 MB. */
const KEPT = 2 ** 24
/** Where the classes' order is found: high enough to see more than the diagonal. */
const ORDER_TEMPERATURE = TEMPERATURES.indexOf(4)
/** Answers kept: a slider goes back and forth. 1000² numbers are 8 MB. */
const ANSWERS = 8

interface ClassesOptions {
  targets: Targets
  /** by label, else by the teacher's first class */
  labelled: boolean
  /** classes shown */
  most: number
  reach?: Reach
  signal: AbortSignal
}

/** Rows whose classes are known, with what the teacher said of each. */
interface Sample {
  /** classes shown, those of the most rows first */
  classes: number[]
  rows: number[]
  /** [S], which of `classes` each is of */
  own: Int32Array
  /** values of each: C, or k */
  width: number
  /** [S, width] raw logits */
  logits: Float32Array
  /** [S, k], and [S, TEMPERATURES]: log of the tail's mass; of bucketed codecs */
  index?: Int32Array
  logTail?: Float32Array
}

/** Mean soft targets by class, at any of TEMPERATURES: rows are read once, and softened for each temperature that is asked for. */
export function createClasses(options: ClassesOptions): (temperature: number) => Promise<Classes> {
  const { classes } = options.targets
  const sample = once(() => readSample(options))
  let order: number[] | undefined
  const answers = new Map<number, Classes>()
  return async (at) => {
    const rows = await sample()
    order ??= orderOf(rows, classes)
    const answer = answers.get(at) ?? {
      temperature: TEMPERATURES[at]!,
      classes: rows.classes,
      rows: rows.rows,
      order,
      mean: Array.from(meansOf(rows, classes, at), (p) => Math.round(p * 1e7) / 1e7),
    }
    answers.delete(at)
    answers.set(at, answer)
    for (const oldest of answers.keys()) if (answers.size > ANSWERS) answers.delete(oldest)
    return answer
  }
}

async function readSample(options: ClassesOptions): Promise<Sample> {
  const { targets, labelled, reach = LOCAL, signal } = options
  const { classes, manifest } = targets
  const { positions = 1 } = manifest
  const bucketed = codecOf(manifest.codec).kind === 'bucketed'
  const width = valuesOf(targets)
  const most = Math.max(1, Math.floor(KEPT / (width + (bucketed ? TEMPERATURES.length : 0))))
  // Twice as many as are kept: classes are not of equal size.
  const wanted = Math.min(most, 2 * MAX_PER_CLASS * classes) / positions
  const picked = pickRows(
    targets.rows,
    Math.max(16, Math.floor(Math.min(wanted, reach.bytes / bytesOf(targets)))),
    reach.places,
  )

  const own: number[] = []
  const kept = { logits: [] as Float32Array[], index: [] as Int32Array[], logTail: [] as Float32Array[] }
  const count = new Float64Array(classes)
  for await (const chunk of readStretches(targets, picked, signal)) {
    const teacher = readTeacher(chunk, manifest)
    const some = validTargets(chunk, positions).flatMap((i) => {
      const label = labelled ? chunk.labels[i]! : teacher.top(i)
      if (label < 0 || label >= classes || count[label]! >= MAX_PER_CLASS || own.length >= most) return []
      count[label]!++
      own.push(label)
      return [i]
    })
    if (some.length === 0) continue
    const tails = bucketed ? TEMPERATURES.map((temperature) => teacher.logTail(temperature)!) : []
    for (const i of some) {
      const { index, logits } = teacher.known(i)
      kept.logits.push(logits.slice())
      if (!index) continue
      kept.index.push(index.slice())
      kept.logTail.push(Float32Array.from(tails, (tail) => tail[i]!))
    }
  }
  const shown = Array.from(count.keys())
    .filter((c) => count[c]! > 0)
    .sort((a, b) => count[b]! - count[a]! || a - b)
    .slice(0, options.most)
    .sort((a, b) => a - b)
  const place = new Int32Array(classes).fill(-1)
  shown.forEach((c, i) => {
    place[c] = i
  })
  return {
    classes: shown,
    rows: shown.map((c) => count[c]!),
    own: Int32Array.from(own, (c) => place[c]!),
    width,
    logits: joined(Float32Array, kept.logits, width),
    ...(bucketed && {
      index: joined(Int32Array, kept.index, width),
      logTail: joined(Float32Array, kept.logTail, TEMPERATURES.length),
    }),
  }
}

function joined<T extends Float32Array | Int32Array>(make: new (n: number) => T, parts: T[], width: number): T {
  const all = new make(parts.length * width)
  parts.forEach((part, i) => {
    all.set(part, i * width)
  })
  return all
}

/** Mean soft targets between the classes shown, float64 [n, n]. */
function meansOf({ classes, rows, own, width, logits, index, logTail }: Sample, all: number, at: number): Float64Array {
  const temperature = TEMPERATURES[at]!
  const n = classes.length
  const sums = new Float64Array(n * n)
  const place = new Int32Array(all).fill(-1)
  classes.forEach((c, i) => {
    place[c] = i
  })
  const e = new Float64Array(width)
  for (const [s, from] of own.entries()) {
    if (from < 0) continue
    const start = s * width
    let max = Number.NEGATIVE_INFINITY
    for (let i = 0; i < width; i++) if (logits[start + i]! > max) max = logits[start + i]!
    let sum = 0
    for (let i = 0; i < width; i++) {
      e[i] = Math.exp((logits[start + i]! - max) / temperature)
      sum += e[i]!
    }
    // What each class that is not kept has; taken from those that are.
    const rest = logTail ? Math.exp(logTail[s * TEMPERATURES.length + at]! - max / temperature) : 0
    const each = logTail ? rest / (all - width) : 0
    sum += rest
    if (index) for (let to = 0; to < n; to++) sums[from * n + to]! += each / sum
    for (let i = 0; i < width; i++) {
      const to = place[index ? index[start + i]! : i]!
      if (to >= 0) sums[from * n + to]! += (e[i]! - each) / sum
    }
  }
  for (let from = 0; from < n; from++) for (let to = 0; to < n; to++) sums[from * n + to]! /= rows[from]!
  return sums
}

function orderOf(sample: Sample, all: number): number[] {
  const n = sample.classes.length
  const means = meansOf(sample, all, ORDER_TEMPERATURE)
  const alike = means.map((mean, at) => mean + means[(at % n) * n + Math.floor(at / n)]!)
  return orderByLikeness(alike, n)
}
