import { z } from 'zod'
import { createTally, type Tally, tallySchema } from './tally.js'

/** How good a student is on rows that it did not train on. */
export interface Metrics extends Tally {
  /** Share of the rows whose top class is known to be the teacher's, in [0, 1]. Of codec sampled it may not have been drawn: then it is known where it is the label. */
  agreement: number
  /** Mean KL(teacher ‖ student) at T = 1, nats; over the classes that are known and the rest together where not all are. */
  kl: number
}

/** What the teacher said of n rows where not all classes are known. */
export interface KnownClasses {
  /** classes known of each row */
  k: number
  /** int32 [n, k] */
  index: Int32Array
  /** float32 [n, k], raw */
  logits: Float32Array
  /** [n]: the row's top raw logit, of a known class or another */
  top: ArrayLike<number>
  /** [n]: raw logit of the label, NaN where there is none */
  labelLogit?: ArrayLike<number> | undefined
  /** [n]: log Σ exp(z/T) over the other classes */
  logTail(temperature: number): ArrayLike<number>
}

/** Raw logits of n rows: the student's float32 [n, classes], the teacher's likewise or of some classes; labels int32 [n] with -1 = none. */
export interface MeasuredRows {
  student: Float32Array
  teacher: Float32Array | KnownClasses
  labels: Int32Array
}

/** Measures a student chunk by chunk, in float64 and in memory that does not grow with the rows. */
export function createMeasure(classes: number) {
  const tally = createTally(classes)
  const logQ = new Float64Array(classes)
  const logP = new Float64Array(classes)
  let [rows, agreed, kl] = [0, 0, 0]
  const addDense = (row: number, top: number, teacher: Float32Array) => {
    if (top === logSoftmaxRow(teacher, row, logP)) agreed++
    for (let c = 0; c < classes; c++) kl += Math.exp(logP[c]!) * (logP[c]! - logQ[c]!)
  }
  const addKnown = (
    row: number,
    said: { top: number; label: number },
    known: KnownClasses,
    logTail: ArrayLike<number>,
  ) => {
    const { k, index, logits } = known
    const start = row * k
    let best = start
    for (let i = start; i < start + k; i++) if (logits[i]! > logits[best]!) best = i
    const largest = known.top[row]
    if (
      said.top === index[best]
        ? logits[best] === largest
        : said.top === said.label && known.labelLogit?.[row] === largest
    )
      agreed++
    const max = Math.max(logits[best]!, logTail[row]!)
    let sum = Math.exp(logTail[row]! - max)
    for (let i = start; i < start + k; i++) sum += Math.exp(logits[i]! - max)
    const log = max + Math.log(sum)
    const chosen = new Set<number>()
    for (let i = start; i < start + k; i++) {
      const p = logits[i]! - log
      kl += Math.exp(p) * (p - logQ[index[i]!]!)
      chosen.add(index[i]!)
    }
    const p = logTail[row]! - log
    if (p === Number.NEGATIVE_INFINITY) return // all classes are known
    // below the largest of them: what a sure student leaves to the rest may be less than a float64 can hold
    let most = Number.NEGATIVE_INFINITY
    for (let c = 0; c < classes; c++) if (!chosen.has(c)) most = Math.max(most, logQ[c]!)
    let rest = 0
    for (let c = 0; c < classes; c++) if (!chosen.has(c)) rest += Math.exp(logQ[c]! - most)
    kl += Math.exp(p) * (p - most - Math.log(rest))
  }
  return {
    add({ student, teacher, labels }: MeasuredRows): void {
      tally.add(student, labels)
      rows += labels.length
      const logTail = teacher instanceof Float32Array ? undefined : teacher.logTail(1)
      for (let row = 0; row < labels.length; row++) {
        const top = logSoftmaxRow(student, row, logQ)
        if (teacher instanceof Float32Array) addDense(row, top, teacher)
        else addKnown(row, { top, label: labels[row]! }, teacher, logTail!)
      }
    },
    result: (): Metrics => ({ ...tally.result(), agreement: agreed / rows, kl: kl / rows }),
  }
}

/** {@link createMeasure} of rows that are all there. */
export function measure({ classes, ...rows }: MeasuredRows & { classes: number }): Metrics {
  const measured = createMeasure(classes)
  measured.add(rows)
  return measured.result()
}

/** Writes log softmax of one row into `into`; gives the top class, the first of equals. */
function logSoftmaxRow(logits: Float32Array, row: number, into: Float64Array): number {
  const start = row * into.length
  let top = 0
  for (let c = 1; c < into.length; c++) if (logits[start + c]! > logits[start + top]!) top = c
  const max = logits[start + top]!
  let sum = 0
  for (let c = 0; c < into.length; c++) sum += Math.exp(logits[start + c]! - max)
  const log = Math.log(sum)
  for (let c = 0; c < into.length; c++) into[c] = logits[start + c]! - max - log
  return top
}

/** For metrics that are read from a file. */
export const metricsSchema: z.ZodType<Metrics> = tallySchema.extend({ agreement: z.number(), kl: z.number() })
