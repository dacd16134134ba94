import { DecantError } from '../errors.js'

/** Warm-up is in steps, over which the rate grows linearly to the base rate; 0 for none. */
export type Schedule =
  | { kind: 'constant' | 'cosine'; warmup: number }
  /** The rate is multiplied by `factor` after each of these epochs. */
  | { kind: 'step'; warmup: number; milestones: number[]; factor: number }

/** Learning rate of step 0, 1, … of `steps`. */
export function learningRateAt(
  step: number,
  options: { schedule: Schedule; base: number; steps: number; perEpoch: number },
): number {
  const { schedule, base, steps, perEpoch } = options
  const { kind, warmup } = schedule
  if (step < warmup) return (base * (step + 1)) / warmup
  switch (kind) {
    case 'constant':
      return base
    case 'cosine': // Loshchilov and Hutter 2017, equation 5, one cycle down to 0
      return (base / 2) * (1 + Math.cos((Math.PI * (step - warmup)) / Math.max(1, steps - warmup)))
    case 'step':
      return base * schedule.factor ** schedule.milestones.filter((epoch) => step >= epoch * perEpoch).length
    default:
      throw new DecantError(`schedule '${kind}': expected constant, cosine or step`)
  }
}
