/** Accuracy and calibration of logits against labels. Where no row has a label, all three are null. */
export interface Tally {
  rows: number
  /** Rows with a label; the rest counts these only. */
  labelled: number
  /** Top-1, a share in [0, 1]. */
  accuracy: number | null
  /** Mean -log p(label) at T = 1, nats. */
  nll: number | null
  /** Expected calibration error, 15 bins of equal width (Guo et al. 2017, equation 3), in [0, 1]. */
  ece: number | null
}

const BINS = 15

/** Counts chunk by chunk, in float64, so that a dataset of any size can be measured. */
export function createTally(classes: number) {
  const confidences = new Float64Array(BINS)
  const hits = new Float64Array(BINS)
  let [rows, labelled, correct, nll] = [0, 0, 0, 0]
  return {
    /** Logits float32 [n, classes], labels int32 [n] with -1 = none. */
    add(logits: Float32Array, labels: Int32Array): void {
      rows += labels.length
      for (let row = 0; row < labels.length; row++) {
        const label = labels[row]!
        if (label < 0) continue
        const start = row * classes
        let top = 0
        for (let c = 1; c < classes; c++) if (logits[start + c]! > logits[start + top]!) top = c
        const max = logits[start + top]!
        let sum = 0
        for (let c = 0; c < classes; c++) sum += Math.exp(logits[start + c]! - max)
        labelled++
        nll += Math.log(sum) - (logits[start + label]! - max)
        const confidence = 1 / sum
        const bin = Math.max(0, Math.ceil(confidence * BINS) - 1) // bin m is ((m-1)/15, m/15]
        confidences[bin]! += confidence
        if (top === label) {
          hits[bin]!++
          correct++
        }
      }
    },
    result(): Tally {
      if (labelled === 0) return { rows, labelled, accuracy: null, nll: null, ece: null }
      let gap = 0
      for (let bin = 0; bin < BINS; bin++) gap += Math.abs(hits[bin]! - confidences[bin]!)
      return { rows, labelled, accuracy: correct / labelled, nll: nll / labelled, ece: gap / labelled }
    },
  }
}
