import { softTargets, type Targets } from '../cache/index.js'
import { createTally, type Tally } from '../student/tally.js'

/** What a soft-target dataset says, read in one pass: the teacher's accuracy and calibration on the labels that are there, and more. */
export interface TargetsDescription extends Tally {
  /** By temperature: mean entropy in nats (at most log C), and the mean of the largest soft target. */
  softness: { temperature: number; entropy: number; top: number }[]
  /** Pairs of classes that the teacher finds alike, most first. */
  confused: ConfusedPair[]
}

/** `mass`: mean soft target at T = 1 that samples of either class give to the other. Classes by label, else by the teacher's top class. */
export interface ConfusedPair {
  classes: [number, number]
  mass: number
}

export const inspectedTemperatures = [1, 2, 4, 8, 20]
const PAIRS = 5
/** The matrix of class by class means is left out beyond this: 4,096² float64 are 134 MB. */
const MAX_MATRIX_CLASSES = 4096

/** @throws FormatError where a shard is not what was written: every hash is checked while it is read */
export async function describeTargets(targets: Targets, signal?: AbortSignal): Promise<TargetsDescription> {
  const { classes } = targets
  const tally = createTally(classes)
  const softness = inspectedTemperatures.map((temperature) => ({ temperature, entropy: 0, top: 0 }))
  const mass = classes <= MAX_MATRIX_CLASSES ? new Float64Array(classes * classes) : undefined
  const rowsOf = new Float64Array(classes)

  for await (const chunk of targets.chunks({ verify: true, ...(signal && { signal }) })) {
    tally.add(chunk.logits, chunk.labels)
    for (let row = 0; row < chunk.rows; row++) {
      const logits = chunk.logits.subarray(row * classes, (row + 1) * classes)
      for (const at of softness) {
        const soft = softTargets(logits, at.temperature)
        let entropy = 0
        let top = 0
        for (const p of soft) {
          if (p > 0) entropy -= p * Math.log(p)
          if (p > top) top = p
        }
        at.entropy += entropy
        at.top += top
        if (mass && at.temperature === 1) {
          const own = chunk.labels[row]! >= 0 ? chunk.labels[row]! : soft.indexOf(top)
          rowsOf[own]!++
          for (let c = 0; c < classes; c++) mass[own * classes + c]! += soft[c]!
        }
      }
    }
  }
  for (const at of softness) {
    at.entropy /= targets.rows
    at.top /= targets.rows
  }
  return { ...tally.result(), softness, confused: mass ? confusedPairs(mass, rowsOf) : [] }
}

function confusedPairs(mass: Float64Array, rowsOf: Float64Array): ConfusedPair[] {
  const classes = rowsOf.length
  const share = (from: number, to: number) => (rowsOf[from]! > 0 ? mass[from * classes + to]! / rowsOf[from]! : 0)
  const best: ConfusedPair[] = []
  for (let a = 0; a < classes; a++) {
    for (let b = a + 1; b < classes; b++) {
      const pair: ConfusedPair = { classes: [a, b], mass: (share(a, b) + share(b, a)) / 2 }
      if (best.length === PAIRS && pair.mass <= best[PAIRS - 1]!.mass) continue
      best.push(pair)
      best.sort((x, y) => y.mass - x.mass)
      best.length = Math.min(best.length, PAIRS)
    }
  }
  return best
}
