import { setImmediate as turn } from 'node:timers/promises'
import { codecOf, type Targets } from '../cache/index.js'
import { type Classes, TEMPERATURES } from './api.js'
import { orderByLikeness } from './cluster.js'
import { STEP } from './means.js'
import { once } from './once.js'
import { bytesOf, validTargets, valuesOf } from './overview.js'
import { LOCAL, pickRows, type Reach, readStretches } from './pick-rows.js'
import { readTeacher } from './teacher-rows.js'

export const MAX_CLASSES = 1000
const MAX_PER_CLASS = 100
/** Logits that are kept in memory: 64 MB. */
const KEPT = 2 ** 24
/** Where the classes' order is found: high enough to see more than the diagonal. */
const ORDER_STOP = TEMPERATURES.indexOf(4)
/** Exponentials between two turns of other requests. */
const EXPONENTIALS = 2e6
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

/** Mean soft targets by class at every stop of a slider, found when they are first asked for. */
export function createClasses(options: ClassesOptions): () => Promise<Classes> {
  return once(async () => {
    const sample = await readSample(options)
    const { classes, rows } = sample
    const stops = stopsFor(classes.length)
    const means = await meansOf(sample, { all: options.targets.classes, stops, signal: options.signal })
    return {
      classes,
      rows,
      order: orderOf(means[stops.indexOf(ORDER_STOP)]!, classes.length),
      stops,
      means: encodeMeans(means),
    }
  })
}

/** A thousand classes at twelve temperatures are 24 MB. */
function stopsFor(classes: number): number[] {
  const step = classes <= 200 ? 1 : classes <= 500 ? 2 : 4
  return [...TEMPERATURES.keys()].filter((stop) => stop % step === 0 || stop === TEMPERATURES.length - 1)
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

/** Mean soft targets between the classes shown, [n, n] for each stop. */
async function meansOf(
  { classes, rows, own, width, logits, index, logTail }: Sample,
  { all, stops, signal }: { all: number; stops: number[]; signal: AbortSignal },
): Promise<Float32Array[]> {
  const n = classes.length
  const means = stops.map(() => new Float32Array(n * n))
  const place = new Int32Array(all).fill(-1)
  classes.forEach((c, i) => {
    place[c] = i
  })
  const chains = chainsOf(stops)
  const [x, e] = [new Float64Array(width), new Float64Array(width)]
  const every = Math.ceil(EXPONENTIALS / (width * stops.length))
  for (const [s, from] of own.entries()) {
    if (s % every === 0) await turn()
    signal.throwIfAborted()
    if (from < 0) continue
    const start = s * width
    let max = Number.NEGATIVE_INFINITY
    for (let i = 0; i < width; i++) max = Math.max(max, logits[start + i]!)
    for (let i = 0; i < width; i++) x[i] = logits[start + i]! - max
    const share = 1 / rows[from]!
    for (const chain of chains) {
      for (const [halvings, at] of chain.entries()) {
        const temperature = TEMPERATURES[stops[at]!]!
        let sum = 0
        for (let i = 0; i < width; i++) {
          e[i] = halvings === 0 ? Math.exp(x[i]! / temperature) : e[i]! * e[i]!
          sum += e[i]!
        }
        // What each class that is not kept has; taken from those that are.
        const rest = logTail ? Math.exp(logTail[s * TEMPERATURES.length + stops[at]!]! - max / temperature) : 0
        const each = logTail ? rest / (all - width) : 0
        const mean = means[at]!
        const scale = share / (sum + rest)
        if (index) for (let to = 0; to < n; to++) mean[from * n + to]! += each * scale
        for (let i = 0; i < width; i++) {
          const to = place[index ? index[start + i]! : i]!
          if (to >= 0) mean[from * n + to]! += (e[i]! - each) * scale
        }
      }
    }
  }
  return means
}

/** Stops by doublings of T, the highest first: exp(z/T) is the square of exp(z/2T), and a square costs less. Places in `stops`. */
function chainsOf(stops: number[]): number[][] {
  const chains: number[][] = []
  for (const [at, stop] of [...stops.entries()].reverse()) {
    const chain = chains.find((one) => TEMPERATURES[stops[one.at(-1)!]!] === 2 * TEMPERATURES[stop]!)
    if (chain) chain.push(at)
    else chains.push([at])
  }
  return chains
}

function orderOf(mean: Float32Array, n: number): number[] {
  return orderByLikeness(
    mean.map((p, at) => p + mean[(at % n) * n + Math.floor(at / n)]!),
    n,
  )
}

/** Base64 of means by stop, as {@link Classes} has them. */
export function encodeMeans(means: readonly Float32Array[]): string {
  const n2 = means[0]?.length ?? 0
  const bytes = new DataView(new ArrayBuffer(2 * n2 * means.length))
  means.forEach((mean, s) => {
    mean.forEach((p, i) => {
      // Rounding may leave a little less than 0, or more than 1; somebody's logits NaN, which is nothing, too.
      const root = Math.sqrt(p > 0 ? Math.max(0, -Math.log(p)) : Number.POSITIVE_INFINITY)
      bytes.setUint16(2 * (s * n2 + i), Math.min(65_535, Math.round(root / STEP)), true)
    })
  })
  return Buffer.from(bytes.buffer).toString('base64')
}
