import { DecantError } from '../errors.js'

export interface Schedule {
  kind: 'constant' | 'cosine'
  /** Steps over which the rate grows linearly to the base rate; 0 for none. */
  warmup: number
}

/** Learning rate of step 0, 1, … of `steps`. */
export function learningRateAt(step: number, options: { schedule: Schedule; base: number; steps: number }): number {
  const { schedule, base, steps } = options
  const { kind, warmup } = schedule
  if (step < warmup) return (base * (step + 1)) / warmup
  switch (kind) {
    case 'constant':
      return base
    case 'cosine': // Loshchilov and Hutter 2017, equation 5, one cycle down to 0
      return (base / 2) * (1 + Math.cos((Math.PI * (step - warmup)) / Math.max(1, steps - warmup)))
    default:
      throw new DecantError(`schedule '${kind}': expected constant or cosine`)
  }
}
