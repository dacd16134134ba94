import { type Buckets, type CodecName, codecOf } from './codecs/codec.js'
import { TAIL_RANGE } from './codecs/tail.js'
import { rowKeys } from './codecs/uniforms.js'
import { type IdColumn, idColumn } from './ids.js'
import type { Fidelity } from './manifest.js'

/** What a codec is judged at: the range that its tail is known for, and what students are trained at between. */
const TEMPERATURES = [TAIL_RANGE.low, 1, 2, 4, 8, TAIL_RANGE.high]
/** Relative errors of a tail lighter than this say nothing: it hardly counts. */
const LEAST_TAIL = 1e-4

/**
 * How far a codec's targets are from what it was given, in float64: at each temperature mean and worst row of
 * - `klBuckets`: KL to the exact soft targets over the buckets that the codec keeps apart (dense: over the classes);
 * - `klClasses`: KL over all classes, a tail's mass spread evenly as nothing else is known of it;
 * - `tailError`: |kept / exact - 1| of the tail's mass, over rows where it is 1e-4 or more; null where there is no such row.
 * @param logits [n, C] raw, n ≥ 1
 * @param ids of the rows, which codec sampled draws by; made up where they are left out
 */
export function measureFidelity(options: {
  logits: Float32Array
  classes: number
  codec: CodecName
  ids?: IdColumn
}): Fidelity {
  const { logits, classes, codec } = options
  const rows = logits.length / classes
  const { kind, encode, decode } = codecOf(codec)
  const keys = rowKeys({ ids: options.ids ?? idColumn(Array.from({ length: rows }, (_, i) => String(i))) })
  const target = { classes, labelled: false }
  const kept = decode(encode({ logits, classes, keys }), target)
  const temperatures = TEMPERATURES.map((temperature) => {
    const [buckets, all, tail] = [createSpread(), createSpread(), createSpread()]
    const measureRow =
      kind === 'dense'
        ? denseMeasure(kept as Float32Array, temperature)
        : bucketMeasure(kept as Buckets, { classes, temperature })
    for (let row = 0; row < rows; row++) {
      const exact = logSoftmax(logits.subarray(row * classes, (row + 1) * classes), temperature)
      const measured = measureRow(row, exact)
      buckets.add(measured.klBuckets)
      all.add(measured.klClasses)
      if (measured.tailError !== undefined) tail.add(measured.tailError)
    }
    return { temperature, klBuckets: buckets.result()!, klClasses: all.result()!, tailError: tail.result() }
  })
  return { rows, temperatures }
}

interface RowMeasure {
  klBuckets: number
  klClasses: number
  tailError?: number
}

type MeasureRow = (row: number, exact: Float64Array) => RowMeasure

function denseMeasure(kept: Float32Array, temperature: number): MeasureRow {
  return (row, exact) => {
    const classes = exact.length
    const found = logSoftmax(kept.subarray(row * classes, (row + 1) * classes), temperature)
    let kl = 0
    for (let c = 0; c < classes; c++) kl += Math.exp(exact[c]!) * (exact[c]! - found[c]!)
    return { klBuckets: Math.max(0, kl), klClasses: Math.max(0, kl) }
  }
}

function bucketMeasure(
  { k, index, logits, logTail }: Buckets,
  { classes, temperature }: { classes: number; temperature: number },
): MeasureRow {
  const tails = logTail(temperature)
  return (row, exact) => {
    const kept = Float64Array.from({ length: k + 1 }, (_, i) =>
      i < k ? logits[row * k + i]! / temperature : tails[row]!,
    )
    const found = logSoftmax(kept, 1)
    const isHead = new Uint8Array(classes)
    let kl = 0
    for (let i = 0; i < k; i++) {
      const c = index[row * k + i]!
      isHead[c] = 1
      kl += Math.exp(exact[c]!) * (exact[c]! - found[i]!)
    }
    let [tail, within] = [0, 0]
    for (let c = 0; c < classes; c++) {
      if (isHead[c]) continue
      const p = Math.exp(exact[c]!)
      tail += p
      if (p > 0) within += p * exact[c]!
    }
    const between = tail > 0 ? tail * (Math.log(tail) - found[k]!) : 0
    // KL over the classes = KL over the buckets + the tail's own, from even: Σ p·(log p/tail + log n)
    const inside = tail > 0 ? within + tail * (Math.log(classes - k) - Math.log(tail)) : 0
    return {
      klBuckets: Math.max(0, kl + between),
      klClasses: Math.max(0, kl + between + inside),
      ...(tail >= LEAST_TAIL && { tailError: Math.abs(Math.exp(found[k]!) / tail - 1) }),
    }
  }
}

/** log softmax(z/T) of one row, in float64. */
function logSoftmax(z: Float32Array | Float64Array, temperature: number): Float64Array {
  let top = Number.NEGATIVE_INFINITY
  for (const value of z) if (value > top) top = value
  let sum = 0
  for (const value of z) sum += Math.exp((value - top) / temperature)
  const log = Math.log(sum)
  return Float64Array.from(z, (value) => (value - top) / temperature - log)
}

/** Mean and largest of what is added; null where nothing was. */
/** What counts for a divergence or an error that overflows: JSON has no infinity. */
const MOST = 1e30

function createSpread() {
  let [sum, worst, count] = [0, 0, 0]
  return {
    add(value: number) {
      const finite = Number.isNaN(value) ? MOST : Math.min(value, MOST)
      sum += finite
      worst = Math.max(worst, finite)
      count++
    },
    result: () => (count > 0 ? { mean: sum / count, worst } : null),
  }
}
