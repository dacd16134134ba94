/** Two classes and the mean soft target that samples of either give to the other. */
export interface ConfusedPair {
  classes: [number, number]
  mass: number
}

/** The matrix of class by class means is left out beyond this: 4,096² float64 are 134 MB. */
export const MAX_MATRIX_CLASSES = 4096

/** Means of soft targets by class, float64 [classes, classes]. */
export function createClassMeans(classes: number) {
  const mass = new Float64Array(classes * classes)
  const rows = new Float64Array(classes)
  const mean = (from: number, to: number) => (rows[from]! > 0 ? mass[from * classes + to]! / rows[from]! : 0)
  return {
    rows,
    /** One sample of class `own`: its soft targets [classes]. */
    add(own: number, soft: ArrayLike<number>): void {
      rows[own]!++
      for (let c = 0; c < classes; c++) mass[own * classes + c]! += soft[c]!
    },
    /** What samples of class `from` give to class `to`; 0 where there are none. */
    mean,
    /** The pairs that are most alike, most first. */
    pairs(most: number): ConfusedPair[] {
      const best: ConfusedPair[] = []
      for (let a = 0; a < classes; a++) {
        for (let b = a + 1; b < classes; b++) {
          const pair: ConfusedPair = { classes: [a, b], mass: (mean(a, b) + mean(b, a)) / 2 }
          if (best.length === most && pair.mass <= best[most - 1]!.mass) continue
          best.push(pair)
          best.sort((x, y) => y.mass - x.mass)
          best.length = Math.min(best.length, most)
        }
      }
      return best
    },
  }
}
