import { codecOf, softTargets, type Targets } from '../cache/index.js'
// not from its index, which loads tfjs
import { type ConfusedPair, createClassMeans, MAX_MATRIX_CLASSES } from '../student/class-means.js'
import { spreadTail } from '../student/spread-tail.js'
import { createTally, type Tally } from '../student/tally.js'

/**
 * What a soft-target dataset says, read in one pass: the teacher's accuracy and calibration on the labels that are there, and more. Of a
 * sequence every position counts as a row. Where not all classes are kept, the others are taken to share evenly what they have.
 */
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

  const { positions = 1, codec } = targets.manifest
  const dense = codecOf(codec).kind === 'dense'
  let count = 0
  for await (const chunk of targets.chunks({ verify: true, reuse: true, ...(signal && { signal }) })) {
    // A label is a sample's: the positions of a sequence have none.
    const labels = positions === 1 ? chunk.labels : new Int32Array(chunk.rows * positions).fill(-1)
    const of = (i: number) => chunk.logits.subarray(i * classes, (i + 1) * classes)
    const spread = (temperature: number) => spreadTail(chunk.buckets, { classes, temperature })
    const raw = dense ? of : spreadTail(chunk.buckets, { classes, temperature: 1, labels })
    const softAt = (temperature: number): ((i: number) => Float64Array) => {
      if (dense) return (i) => softTargets(of(i), temperature)
      const logits = spread(temperature)
      return (i) => softTargets(logits(i), 1)
    }
    const lengths = chunk.columns.length as Int32Array | undefined
    const valid = Array.from(labels.keys()).filter(
      (i) => i % positions < (lengths?.[Math.floor(i / positions)] ?? positions),
    )
    count += valid.length
    for (const i of valid) tally.add(raw(i), labels.subarray(i, i + 1))
    for (const at of softness) {
      const softOf = softAt(at.temperature)
      for (const i of valid) {
        const soft = softOf(i)
        let entropy = 0
        let top = 0
        for (const p of soft) {
          if (p > 0) entropy -= p * Math.log(p)
          if (p > top) top = p
        }
        at.entropy += entropy
        at.top += top
        if (means && at.temperature === 1) means.add(labels[i]! >= 0 ? labels[i]! : soft.indexOf(top), soft)
      }
    }
  }
  for (const at of softness) {
    at.entropy /= count
    at.top /= count
  }
  return { ...tally.result(), softness, confused: means?.pairs(PAIRS) ?? [] }
}
