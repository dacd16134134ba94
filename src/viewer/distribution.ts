import { softTargets } from '../cache/soften.js'
import { type Sample, TEMPERATURES } from './api.js'

/** One class of a sample at a temperature. */
export interface Slot {
  class: number
  logit: number
  /** the teacher's soft target, and the student's */
  p: number
  student: number | null
  studentLogit: number | null
}

export interface Distribution {
  /** the classes that are known one by one, most likely first: an order that no temperature changes */
  slots: Slot[]
  /** all the others together; null where there are none */
  tail: { classes: number; p: number; student: number | null } | null
  /** in nats, over all classes; those of the tail share evenly what they have, as the overview takes it */
  entropy: number
}

/**
 * A sample's soft targets at one of TEMPERATURES, in float64. Of bucketed codecs the tail has log Σ exp(z/T) at the stops, so
 * p = exp(z/T - log(Σ_kept exp(z/T) + exp(tail))).
 */
export function softenSample(sample: Sample, stop: number, classes: number): Distribution {
  const temperature = TEMPERATURES[stop]!
  const { index, logits, studentLogits } = sample
  const tailLog = sample.tail?.[stop] ?? Number.NEGATIVE_INFINITY
  // One softmax over the kept classes and the tail: z/T at temperature 1, as the tail is in that scale already.
  const soft = softTargets([...logits.map((z) => z / temperature), tailLog], 1)
  const student = studentLogits && softTargets(studentLogits, temperature)
  const slots = index
    .map((c, i) => ({
      class: c,
      logit: logits[i]!,
      p: soft[i]!,
      student: student?.[c] ?? null,
      studentLogit: studentLogits?.[c] ?? null,
    }))
    .sort((a, b) => b.logit - a.logit)
  const rest = classes - index.length
  const tail =
    rest > 0 && sample.tail
      ? {
          classes: rest,
          p: soft[index.length]!,
          student: student && Math.max(0, 1 - slots.reduce((sum, slot) => sum + slot.student!, 0)),
        }
      : null
  const apart = soft.reduce((sum, p) => (p > 0 ? sum - p * Math.log(p) : sum), 0)
  return { slots, tail, entropy: apart + (tail ? tail.p * Math.log(tail.classes) : 0) }
}
