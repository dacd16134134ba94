import { z } from 'zod'
import { createRisk } from './risk.js'

/** Accuracy and calibration of logits against labels. Where no row has a label, all but the counts are null. */
export interface Tally {
  rows: number
  /** Rows with a label; the rest counts these only. */
  labelled: number
  /** Top-1, a share in [0, 1]. */
  accuracy: number | null
  /** Share of the rows whose label is among the five largest logits; null where there are no more than five classes, too. */
  top5: number | null
  /** Mean -log p(label) at T = 1, nats. */
  nll: number | null
  /** Expected calibration error, 15 bins of equal width (Guo et al. 2017, equation 3), in [0, 1]. */
  ece: number | null
  /** Mean Σ_c (p_c - [c = label])², in [0, 2] (Brier 1950). */
  brier: number | null
  /** Area under the risk-coverage curve, in [0, 1] (Geifman et al. 2019): the mean error rate of the surest n rows over all n. Papers print it ×1000. */
  aurc: number | null
  reliability: Reliability | null
  perClass: PerClass | null
}

/** By bin of confidence, ((m-1)/15, m/15] for m = 1..15; null where a bin is empty. */
export interface Reliability {
  rows: number[]
  /** Mean largest probability. */
  confidence: (number | null)[]
  accuracy: (number | null)[]
}

/** By class of the label; null where a class has no row. */
export interface PerClass {
  rows: number[]
  accuracy: (number | null)[]
}

const BINS = 15

/** Counts chunk by chunk, in float64 and in memory that does not grow with the rows. */
export function createTally(classes: number) {
  const bins = { rows: new Float64Array(BINS), confidence: new Float64Array(BINS), hits: new Float64Array(BINS) }
  const own = { rows: new Float64Array(classes), hits: new Float64Array(classes) }
  const risk = createRisk()
  let [rows, labelled, correct, amongFive, nll, brier] = [0, 0, 0, 0, 0, 0]
  return {
    /** Logits float32 [n, classes], labels int32 [n] with -1 = none. */
    add(logits: Float32Array, labels: Int32Array): void {
      rows += labels.length
      for (let row = 0; row < labels.length; row++) {
        const label = labels[row]!
        if (label < 0) continue
        const start = row * classes
        const ofLabel = logits[start + label]!
        let [top, above] = [0, 0]
        for (let c = 0; c < classes; c++) {
          const z = logits[start + c]!
          if (z > logits[start + top]!) top = c
          if (z > ofLabel || (z === ofLabel && c < label)) above++ // of equals the first counts as the larger
        }
        const max = logits[start + top]!
        let [others, squares] = [0, 0]
        for (let c = 0; c < classes; c++) {
          if (c === top) continue
          const e = Math.exp(logits[start + c]! - max)
          others += e
          squares += e * e
        }
        const sum = 1 + others
        const hit = top === label
        labelled++
        nll += Math.log1p(others) - (ofLabel - max)
        brier += (1 + squares) / (sum * sum) - (2 * Math.exp(ofLabel - max)) / sum + 1
        if (hit) correct++
        if (above < 5) amongFive++
        const bin = Math.max(0, Math.ceil(BINS / sum) - 1) // bin m is ((m-1)/15, m/15]
        bins.rows[bin]!++
        bins.confidence[bin]! += 1 / sum
        bins.hits[bin]! += Number(hit)
        own.rows[label]!++
        own.hits[label]! += Number(hit)
        risk.add(others / sum, !hit)
      }
    },
    result(): Tally {
      if (labelled === 0) return { rows, ...nothing }
      let gap = 0
      for (let bin = 0; bin < BINS; bin++) gap += Math.abs(bins.hits[bin]! - bins.confidence[bin]!)
      return {
        rows,
        labelled,
        accuracy: correct / labelled,
        top5: classes > 5 ? amongFive / labelled : null,
        nll: nll / labelled,
        ece: gap / labelled,
        brier: brier / labelled,
        aurc: risk.area(),
        reliability: {
          rows: [...bins.rows],
          confidence: means(bins.confidence, bins.rows),
          accuracy: means(bins.hits, bins.rows),
        },
        perClass: { rows: [...own.rows], accuracy: means(own.hits, own.rows) },
      }
    },
  }
}

const nothing: Omit<Tally, 'rows'> = {
  labelled: 0,
  accuracy: null,
  top5: null,
  nll: null,
  ece: null,
  brier: null,
  aurc: null,
  reliability: null,
  perClass: null,
}

const means = (sums: Float64Array, rows: Float64Array) => Array.from(sums, (sum, i) => (rows[i] ? sum / rows[i] : null))

const shares = z.array(z.number().min(0).max(1).nullable())
const counts = z.array(z.int().min(0))

/** For metrics that are read from a file. */
export const tallySchema = z.strictObject({
  rows: z.int().min(0),
  labelled: z.int().min(0),
  accuracy: z.number().nullable(),
  top5: z.number().nullable(),
  nll: z.number().nullable(),
  ece: z.number().nullable(),
  brier: z.number().nullable(),
  aurc: z.number().nullable(),
  reliability: z.strictObject({ rows: counts, confidence: shares, accuracy: shares }).nullable(),
  perClass: z.strictObject({ rows: counts, accuracy: shares }).nullable(),
})
