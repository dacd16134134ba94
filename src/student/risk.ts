/** float32 bits less the last 12: eleven digits of the mantissa. Uncertainty is at most 1, whose bits are the largest. */
const DROPPED = 12
const bitsOf = new Uint32Array(1)
const floatOf = new Float32Array(bitsOf.buffer)
const bucketOf = (uncertainty: number) => {
  floatOf[0] = uncertainty
  return bitsOf[0]! >>> DROPPED
}

/**
 * The area under the risk-coverage curve in memory that does not grow with the rows (2 MB): rows are counted by their uncertainty,
 * 1 - the largest probability, in buckets 0.05 % wide, and rows of one bucket are ties. Sums, not differences, give the uncertainty, so
 * that the very sure rows, whose probability rounds to 1, keep their order.
 */
export function createRisk() {
  const rows = new Uint32Array(bucketOf(1) + 1)
  const errors = new Uint32Array(rows.length)
  return {
    /** `uncertainty` in [0, 1]. */
    add(uncertainty: number, wrong: boolean): void {
      const bucket = bucketOf(uncertainty)
      rows[bucket]!++
      if (wrong) errors[bucket]!++
    },
    /** The mean over n of the error rate of the surest n rows; of ties, the mean over their orders. */
    area(): number {
      let [before, wrong, sum] = [0, 0, 0]
      for (let bucket = 0; bucket < rows.length; bucket++) {
        const n = rows[bucket]!
        const rate = errors[bucket]! / n
        for (let i = 1; i <= n; i++) sum += (wrong + rate * i) / (before + i)
        before += n
        wrong += errors[bucket]!
      }
      return sum / before
    },
  }
}
