/** Another project's way to keep a teacher's row, written from its published rule. */
export interface Peer {
  name: string
  /** a row's targets, without what says which row it is */
  bytes(classes: number): number
  /** From the raw logits z [C], what a student is later told: log-probabilities [C] at T, and the classes that it is told apart. */
  keep(z: Float64Array): { head: Int32Array; logProbs(temperature: number): Float64Array }
}

export function logSumExp(values: Float64Array): number {
  const top = values.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY)
  let sum = 0
  for (const value of values) sum += Math.exp(value - top)
  return top + Math.log(sum)
}

/** log softmax of values/T. */
export function logSoftmax(values: Float64Array, temperature = 1): Float64Array {
  const scaled = values.map((value) => value / temperature)
  const log = logSumExp(scaled)
  return scaled.map((value) => value - log)
}

export const topClasses = (z: Float64Array, k: number): Int32Array =>
  Int32Array.from(z.keys())
    .sort((a, b) => z[b]! - z[a]!)
    .slice(0, k)
