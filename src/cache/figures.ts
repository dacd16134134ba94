import { type Buckets, codecOf } from './codecs/codec.js'
import { targetKind } from './columns.js'
import type { Chunk, Targets } from './reader.js'

/** What the card shows: T from 1/2 to 16 by doubling. */
export const TEMPERATURES = [0.5, 1, 2, 4, 8, 16]
/** Of the reliability diagram, as in Guo et al. 2017 (1706.04599). */
export const BINS = 15

/** What is looked at costs a twentieth to a tenth of a second; a teacher's accuracy is right to half a percent, with 1000 classes to one. Larger datasets are sampled. */
const MOST_VALUES = 2 ** 21
const MOST_ROWS = 2 ** 14
/** A sample is of stretches of rows, evenly spread, as a source may be sorted by class; reading single rows would take a minute. */
const STRETCHES = 256

/** What the card says of the targets. */
export interface Figures {
  /** Rows of the dataset that were looked at, in stretches evenly spread. */
  rows: number
  /** Targets in them: the same, of sequences their valid positions. */
  targets: number
  /** Mean entropy of the soft targets in nats, at each of TEMPERATURES. A tail counts as spread evenly. */
  entropy: number[]
  /** On the rows that have labels; null where none has one. */
  teacher: { labelled: number; accuracy: number; bins: { rows: number; confidence: number; accuracy: number }[] } | null
}

/** @returns undefined where there is nothing to look at */
export async function measureFigures(targets: Targets): Promise<Figures | undefined> {
  const { classes, manifest } = targets
  const positions = manifest.positions ?? 1
  const dense = codecOf(manifest.codec).kind === 'dense'
  const tally = createTally()
  let rows = 0
  for await (const chunk of look(targets, Math.floor(MOST_VALUES / (classes * positions)))) {
    const count = chunk.labels.length
    const softOf = dense ? denseSoftness(chunk.logits, classes) : bucketSoftness(chunk.buckets, classes)
    const tops =
      positions === 1 ? codecOf(manifest.codec).tops(chunk.columns, targetKind(manifest), chunk.labels) : undefined
    const lengths = chunk.columns.length as Int32Array | undefined
    for (let row = 0; row < count; row++) {
      const valid = lengths?.[row] ?? positions
      // a label is a sample's: the positions of a sequence have none
      const label = positions === 1 ? chunk.labels[row]! : -1
      for (let at = 0; at < valid; at++) {
        const target = row * positions + at
        tally.add(softOf(target), { label, top: tops?.[target] })
      }
    }
    rows += count
  }
  return tally.result(rows)
}

async function* look(targets: Targets, most: number): AsyncGenerator<Chunk> {
  const rows = Math.min(targets.rows, MOST_ROWS, Math.max(1, most))
  const stretches = rows === targets.rows ? 1 : Math.min(STRETCHES, rows)
  const length = Math.floor(rows / stretches)
  for (let i = 0; i < stretches; i++) {
    const from = Math.floor((i * targets.rows) / stretches)
    yield* targets.chunks({ from, to: from + length, reuse: true })
  }
}

/** One target: entropy at each temperature, and what the likeliest class is given at T = 1. */
interface Softness {
  entropy: Float64Array
  confidence: number
}

/** One exponential a logit: exp(gap/16) is squared for the next lower temperature. */
function denseSoftness(logits: Float32Array, classes: number): (index: number) => Softness {
  const highest = TEMPERATURES.at(-1)!
  const entropy = new Float64Array(TEMPERATURES.length)
  const sums = new Float64Array(TEMPERATURES.length)
  const products = new Float64Array(TEMPERATURES.length)
  return (index) => {
    const from = index * classes
    let top = 0
    for (let c = 1; c < classes; c++) if (logits[from + c]! > logits[from + top]!) top = c
    const most = logits[from + top]!
    sums.fill(0)
    products.fill(0)
    for (let c = 0; c < classes; c++) {
      const gap = logits[from + c]! - most
      let weight = Math.exp(gap / highest)
      for (let t = TEMPERATURES.length - 1; t >= 0; t--) {
        sums[t]! += weight
        if (weight > 0) products[t]! += weight * gap
        weight *= weight
      }
    }
    // H = log S - Σ w·gap / (T·S) with S = Σ w, w = exp(gap / T)
    for (let t = 0; t < entropy.length; t++)
      entropy[t] = Math.log(sums[t]!) - products[t]! / (TEMPERATURES[t]! * sums[t]!)
    return { entropy, confidence: 1 / sums[TEMPERATURES.indexOf(1)]! }
  }
}

function bucketSoftness({ k, logits, top, logTail }: Buckets, classes: number): (index: number) => Softness {
  const tails = TEMPERATURES.map((temperature) => logTail(temperature))
  const entropy = new Float64Array(TEMPERATURES.length)
  return (target) => {
    let confidence = 0
    TEMPERATURES.forEach((temperature, t) => {
      const at = (i: number) => (i < k ? logits[target * k + i]! / temperature : tails[t]![target]!)
      let most = at(k)
      for (let i = 0; i < k; i++) most = Math.max(most, at(i))
      let [sum, product] = [0, 0]
      for (let i = 0; i <= k; i++) {
        const weight = Math.exp(at(i) - most)
        sum += weight
        // a tail's mass is n equal parts of it
        const each = i < k ? 0 : Math.log(classes - k)
        if (weight > 0) product += weight * (at(i) - most - each)
      }
      entropy[t] = Math.log(sum) - product / sum
      if (temperature === 1) confidence = Math.exp(top[target]! - most) / sum
    })
    return { entropy, confidence }
  }
}

function createTally() {
  const entropy = TEMPERATURES.map(() => 0)
  const bins = Array.from({ length: BINS }, () => ({ rows: 0, confidence: 0, right: 0 }))
  let targets = 0
  return {
    add(soft: Softness, { label, top }: { label: number; top: number | undefined }) {
      if (!Number.isFinite(soft.confidence)) return // NaN or infinity among its logits, which verify tells of
      targets++
      for (let t = 0; t < entropy.length; t++) entropy[t]! += soft.entropy[t]!
      if (label < 0) return
      const bin = bins[Math.min(BINS - 1, Math.floor(soft.confidence * BINS))]!
      bin.rows++
      bin.confidence += soft.confidence
      if (top === label) bin.right++
    },
    result(rows: number): Figures | undefined {
      if (targets === 0) return undefined
      const labelled = bins.reduce((sum, bin) => sum + bin.rows, 0)
      const right = bins.reduce((sum, bin) => sum + bin.right, 0)
      const filled = bins.filter((bin) => bin.rows > 0)
      return {
        rows,
        targets,
        entropy: entropy.map((sum) => sum / targets),
        teacher:
          labelled === 0
            ? null
            : {
                labelled,
                accuracy: right / labelled,
                bins: filled.map(({ rows, confidence, right }) => ({
                  rows,
                  confidence: confidence / rows,
                  accuracy: right / rows,
                })),
              },
      }
    },
  }
}
