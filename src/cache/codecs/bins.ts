import { halfOf, halfValues } from './half.js'

/** Bins of a row. */
export const BINS = 8
/** The widest fine position of a class in its bin, in bits. */
export const MOST_BITS = 7
/** Cells c, from widest·(c/48)² to widest·((c + 1)/48)², narrow where the likely classes are: bins end where cells do. */
export const CELLS = 48
const EDGES = CELLS + 1
/** The temperatures at which the soft targets are to be right, and so between them, by halves from 16 on; 1/2T² is what an error costs. */
const TEMPERATURES = [16, 8, 4, 2, 1]

/** How the gaps of one row are cut. */
export interface Bins {
  /** [8] where each bin ends, float16 values; the first begins at 0, each other one where the last one ends */
  ends: Float64Array
  /** [8] bits of a fine position */
  widths: Uint8Array
  /** [48] bin of each cell */
  binOf: Uint8Array
}

/** One row to cut. */
export interface Gapped {
  /** [C] cell of each class */
  cells: Uint8Array
  widest: number
  /** bits for all fine positions together, at least C: the top class is then told from the others of its bin */
  budget: number
}

/** The cell of each gap in 0..widest. */
export function cellsOf(gaps: Float32Array, widest: number, cells: Uint8Array): void {
  const scale = widest > 0 ? (CELLS * CELLS) / widest : 0
  for (let c = 0; c < gaps.length; c++) cells[c] = Math.min(CELLS - 1, Math.sqrt(gaps[c]! * scale))
}

/**
 * Chooses bins and widths by which the row's soft targets stay right. To second order, an error e of the logits is a KL of Var(e)/2T² under
 * softmax(z/T), and where a position has steps of h, e² is h²/12 on average. A bin of n classes, of width h and weight w = Σ_T Σ_c softmax(z/T)_c/2T²
 * thus costs w·h²/12·4^-b with b bits for each of its classes. By Lagrange, cost + price·bits is made least over all ways to cut the cells into
 * eight bins (dynamic programming); then the budget is spent bit by bit.
 * One instance holds the tables for any number of rows; what it returns is good until the next.
 */
export function createBinning(): (row: Gapped) => Bins {
  // of the cells before an edge: classes, and their weight
  const count = new Float64Array(EDGES)
  const weight = new Float64Array(EDGES)
  const edge = new Float64Array(EDGES)
  const terms = new Float64Array(CELLS)
  const sums = TEMPERATURES.map(() => new Float64Array(CELLS))
  /** [to, from] of a bin with the bits that are worth their price */
  const cost = new Float64Array(EDGES * EDGES)
  /** [b][to] of the best b bins that end there, and where the last of them begins */
  const best = Array.from({ length: BINS + 1 }, () => new Float64Array(EDGES))
  const start = Array.from({ length: BINS + 1 }, () => new Uint8Array(EDGES))
  const cuts = new Uint8Array(BINS + 1)
  const bins: Bins = { ends: new Float64Array(BINS), widths: new Uint8Array(BINS), binOf: new Uint8Array(CELLS) }

  const classesIn = (from: number, to: number) => count[to]! - count[from]!
  const errorIn = (from: number, to: number) => ((weight[to]! - weight[from]!) * (edge[to]! - edge[from]!) ** 2) / 12

  function sumUp({ cells, widest }: Gapped): void {
    count.fill(0)
    for (let c = 0; c < cells.length; c++) count[cells[c]! + 1]!++
    for (let j = 0; j < EDGES; j++) edge[j] = halfValues[halfOf(widest * (j / CELLS) ** 2)]!
    for (let j = 0; j < CELLS; j++) terms[j] = Math.exp(-(edge[j]! + edge[j + 1]!) / 2 / TEMPERATURES[0]!)
    weight.fill(0)
    for (const [t, T] of TEMPERATURES.entries()) {
      let sum = 0
      for (let j = 0; j < CELLS; j++) {
        sums[t]![j] = count[j + 1]! * terms[j]!
        sum += sums[t]![j]!
        terms[j]! *= terms[j]! // at T/2
      }
      for (let j = 0; j < CELLS; j++) weight[j + 1]! += sums[t]![j]! / sum / (2 * T * T)
    }
    for (let j = 0; j < CELLS; j++) {
      count[j + 1]! += count[j]!
      weight[j + 1]! += weight[j]!
    }
  }

  /**
   * The price at which about the budget is spent: that of the best steps h_c for each class c if they took no more bits than their entropy, which
   * are h_c² ∝ price/w_c. Those of bins cost about a bit more, of which the price is the square.
   */
  function priceOf({ cells: { length }, budget }: Gapped): number {
    let sum = 0
    for (let j = 0; j < CELLS; j++) {
      const n = classesIn(j, j + 1)
      const share = (errorIn(j, j + 1) * length ** 2) / n ** 3
      if (n > 0 && share > 1e-30) sum += n * Math.log2(share)
    }
    return 2 ** (sum / length - 2 * (budget / length + 3) + 1.4)
  }

  function cut(price: number): void {
    for (let to = 1; to < EDGES; to++)
      for (let from = 0; from < to; from++) {
        const bits = price * classesIn(from, to)
        let [left, width] = [errorIn(from, to), 0]
        for (; 0.75 * left > bits && width < MOST_BITS; width++) left *= 0.25
        cost[to * EDGES + from] = left + bits * width
      }
    for (let to = 0; to < EDGES; to++) best[1]![to] = to === 0 ? Number.POSITIVE_INFINITY : cost[to * EDGES]!
    for (let b = 2; b <= BINS; b++) {
      const [last, now, from] = [best[b - 1]!, best[b]!, start[b]!]
      for (let to = 0; to < EDGES; to++) {
        // an empty bin, which costs nothing; else the further a bin ends the later it begins, as good as always
        let [least, at] = [last[to]!, to]
        for (let i = to === 0 ? 0 : Math.min(from[to - 1]!, to), row = to * EDGES; i < to; i++) {
          const sum = last[i]! + cost[row + i]!
          if (sum < least) {
            least = sum
            at = i
          }
        }
        now[to] = least
        from[to] = at
      }
    }
    cuts[BINS] = CELLS
    for (let b = BINS; b > 0; b--) cuts[b - 1] = start[b]![cuts[b]!]!
  }

  /** The budget's bits, one more to the bin where it saves most for each of its classes, as long as there are bits for all of them. */
  function spend(budget: number): void {
    const { widths } = bins
    widths.fill(0)
    for (let left = budget, bin = 0; bin >= 0; ) {
      widths[bin]!++
      left -= classesIn(cuts[bin]!, cuts[bin + 1]!)
      bin = -1
      for (let b = 0, most = 0; b < BINS; b++) {
        const n = classesIn(cuts[b]!, cuts[b + 1]!)
        if (n === 0 || n > left || widths[b] === MOST_BITS) continue
        const gain = errorIn(cuts[b]!, cuts[b + 1]!) / 4 ** widths[b]! / n
        if (gain > most) [most, bin] = [gain, b]
      }
    }
  }

  return (row) => {
    sumUp(row)
    cut(priceOf(row))
    spend(row.budget)
    for (let b = 0; b < BINS; b++) {
      bins.ends[b] = edge[cuts[b + 1]!]!
      bins.binOf.fill(b, cuts[b]!, cuts[b + 1]!)
    }
    return bins
  }
}
