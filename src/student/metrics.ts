import { createTally, type Tally } from './tally.js'

/** How good a student is on rows that it did not train on. */
export interface Metrics extends Tally {
  /** Share of the rows whose top class is the teacher's, in [0, 1]. */
  agreement: number
  /** Mean KL(teacher ‖ student) at T = 1, nats. */
  kl: number
}

/** Measures raw logits against the teacher's and the labels, in float64. Logits are float32 [rows, classes], labels int32 [rows] with -1 = none. */
export function measure(options: {
  student: Float32Array
  teacher: Float32Array
  labels: Int32Array
  classes: number
}): Metrics {
  const { student, teacher, labels, classes } = options
  const rows = labels.length
  const tally = createTally(classes)
  tally.add(student, labels)
  const logQ = new Float64Array(classes)
  const logP = new Float64Array(classes)
  let [agreed, kl] = [0, 0]
  for (let row = 0; row < rows; row++) {
    const top = logSoftmaxRow(student, row, logQ)
    if (top === logSoftmaxRow(teacher, row, logP)) agreed++
    for (let c = 0; c < classes; c++) kl += Math.exp(logP[c]!) * (logP[c]! - logQ[c]!)
  }
  return { ...tally.result(), agreement: agreed / rows, kl: kl / rows }
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
