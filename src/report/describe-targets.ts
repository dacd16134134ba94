import { softTargets, type Targets } from '../cache/index.js'
// not from its index, which loads tfjs
import { type ConfusedPair, createClassMeans, MAX_MATRIX_CLASSES } from '../student/class-means.js'
import { createTally, type Tally } from '../student/tally.js'

/** What a soft-target dataset says, read in one pass: the teacher's accuracy and calibration on the labels that are there, and more. */
export interface TargetsDescription extends Tally {
  /** By temperature: mean entropy in nats (at most log C), and the mean of the largest soft target. */
  softness: { temperature: number; entropy: number; top: number }[]
  /** Pairs of classes that the teacher finds alike at T = 1, most first. Classes by label, else by the teacher's top class. */
  confused: ConfusedPair[]
}

export const inspectedTemperatures = [1, 2, 4, 8, 20]
const PAIRS = 5

/** @throws FormatError where a shard is not what was written: every hash is checked while it is read */
export async function describeTargets(targets: Targets, signal?: AbortSignal): Promise<TargetsDescription> {
  const { classes } = targets
  const tally = createTally(classes)
  const softness = inspectedTemperatures.map((temperature) => ({ temperature, entropy: 0, top: 0 }))
  const means = classes <= MAX_MATRIX_CLASSES ? createClassMeans(classes) : undefined

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
        if (means && at.temperature === 1) {
          const own = chunk.labels[row]! >= 0 ? chunk.labels[row]! : soft.indexOf(top)
          means.add(own, soft)
        }
      }
    }
  }
  for (const at of softness) {
    at.entropy /= targets.rows
    at.top /= targets.rows
  }
  return { ...tally.result(), softness, confused: means?.pairs(PAIRS) ?? [] }
}
