/** How good a student is on rows that it did not train on. Where no row has a label, what needs labels is null. */
export interface Metrics {
  rows: number
  /** rows that have a label: accuracy, nll and ece are over these */
  labelled: number
  /** top-1, a share in [0, 1] */
  accuracy: number | null
  /** mean -log p(label), nats */
  nll: number | null
  /** expected calibration error, 15 bins of equal width (Guo et al. 2017, equation 3), in [0, 1] */
  ece: number | null
  /** share of the rows whose top class is the teacher's */
  agreement: number
  /** mean KL(teacher ‖ student) at T = 1, nats */
  kl: number
}

const BINS = 15

/** Measures raw logits against the teacher's and the labels, in float64. Logits are float32 [rows, classes], labels int32 [rows] with -1 = none. */
export function measure(options: {
  student: Float32Array
  teacher: Float32Array
  labels: Int32Array
  classes: number
}): Metrics {
  const { student, teacher, labels, classes } = options
  const rows = labels.length
  const logQ = new Float64Array(classes)
  const logP = new Float64Array(classes)
  const bins = Array.from({ length: BINS }, () => ({ confidence: 0, correct: 0 }))
  let [labelled, correct, nll, agreed, kl] = [0, 0, 0, 0, 0]
  for (let row = 0; row < rows; row++) {
    const top = logSoftmaxRow(student, row, logQ)
    agreed += top === logSoftmaxRow(teacher, row, logP) ? 1 : 0
    for (let c = 0; c < classes; c++) kl += Math.exp(logP[c]!) * (logP[c]! - logQ[c]!)
    const label = labels[row]!
    if (label < 0) continue
    labelled++
    nll -= logQ[label]!
    const confidence = Math.exp(logQ[top]!)
    const bin = bins[Math.max(0, Math.ceil(confidence * BINS) - 1)]! // bin m is ((m-1)/15, m/15]
    bin.confidence += confidence
    if (top === label) {
      bin.correct++
      correct++
    }
  }
  const gap = bins.reduce((sum, bin) => sum + Math.abs(bin.correct - bin.confidence), 0)
  const share = (sum: number) => (labelled > 0 ? sum / labelled : null)
  return {
    rows,
    labelled,
    accuracy: share(correct),
    nll: share(nll),
    ece: share(gap),
    agreement: agreed / rows,
    kl: kl / rows,
  }
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
