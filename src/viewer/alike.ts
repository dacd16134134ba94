import type { Similarity } from './means.js'

export interface Pair {
  /** classes */
  from: number
  to: number
  /** mean soft target that `from` gives to `to`, the way back, and both's mean */
  there: number
  back: number
  mass: number
}

/** The pairs of classes that give each other most, most first. */
export function alikePairs({ classes, mean }: Similarity, most: number): Pair[] {
  const n = classes.length
  const best: Pair[] = []
  for (let a = 0; a < n; a++) {
    for (let b = a + 1; b < n; b++) {
      const [there, back] = [mean[a * n + b]!, mean[b * n + a]!]
      const mass = (there + back) / 2
      if (best.length === most && mass <= best[most - 1]!.mass) continue
      const pair =
        there >= back
          ? { from: classes[a]!, to: classes[b]!, there, back, mass }
          : { from: classes[b]!, to: classes[a]!, there: back, back: there, mass }
      let at = best.length
      while (at > 0 && best[at - 1]!.mass < mass) at--
      best.splice(at, 0, pair)
      best.length = Math.min(best.length, most)
    }
  }
  return best
}
