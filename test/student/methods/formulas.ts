import { drawn } from './beside.js'

// The methods straight from their formulas, in float64, a batch as plain arrays. Rows of weight 0 are left out before.

export interface Batch {
  s: number[][]
  t: number[][]
  /** -1 = none */
  labels: number[]
  T: number
  alpha: number
  /** 0, 1, … */
  epoch: number
  parameters: Record<string, number>
}
export type Formula = (batch: Batch) => number

const sum = (x: number[]) => x.reduce((a, b) => a + b, 0)
const mean = (x: number[]) => sum(x) / x.length
const transpose = (x: number[][]) => x[0]!.map((_, c) => x.map((row) => row[c]!))
const dot = (x: number[], y: number[]) => sum(x.map((a, i) => a * y[i]!))

export const logSoftmax = (z: number[], T: number) => {
  const top = Math.max(...z)
  const log = Math.log(sum(z.map((x) => Math.exp((x - top) / T))))
  return z.map((x) => (x - top) / T - log)
}
export const softmax = (z: number[], T: number) => logSoftmax(z, T).map(Math.exp)

/** KL(p ‖ q) from their logarithms. */
export const kl = (logP: number[], logQ: number[]) =>
  sum(logP.map((l, c) => (l === -Infinity ? 0 : Math.exp(l) * (l - logQ[c]!))))

const rows = ({ s, t }: Batch, each: (s: number[], t: number[]) => number) => mean(s.map((z, i) => each(z, t[i]!)))
/** Over the rows that have a label; 0 where none has. */
const labelled = ({ s, t, labels }: Batch, each: (s: number[], t: number[], label: number) => number) => {
  const values = s.flatMap((z, i) => (labels[i]! < 0 ? [] : [each(z, t[i]!, labels[i]!)]))
  return values.length > 0 ? mean(values) : 0
}
const ce = (batch: Batch) => labelled(batch, (s, _, label) => -logSoftmax(s, 1)[label]!)
const mix = (batch: Batch, term: number) => (1 - batch.alpha) * ce(batch) + batch.alpha * term

const pearson = (x: number[], y: number[]) => {
  const [a, b] = [x.map((v) => v - mean(x)), y.map((v) => v - mean(y))]
  return dot(a, b) / (Math.sqrt(dot(a, a)) * Math.sqrt(dot(b, b)) + 1e-8)
}
const standardise = (z: number[]) => {
  const gaps = z.map((v) => v - mean(z))
  const std = Math.sqrt(dot(gaps, gaps) / (z.length - 1))
  return gaps.map((v) => v / (std + 1e-7))
}
const apart = (a: number[][], b: number[][]) =>
  sum(a.flatMap((x, i) => a.map((y, j) => (dot(x, y) - dot(b[i]!, b[j]!)) ** 2)))

export const formulas: Record<string, Formula> = {
  ce,
  kd: (b) => mix(b, b.T ** 2 * rows(b, (s, t) => kl(logSoftmax(t, b.T), logSoftmax(s, b.T)))),
  rkl: (b) => mix(b, b.T ** 2 * rows(b, (s, t) => kl(logSoftmax(s, b.T), logSoftmax(t, b.T)))),
  jsd: (b) => {
    const { beta } = b.parameters as { beta: number }
    if (beta === 0) return formulas.kd!(b)
    if (beta === 1) return formulas.rkl!(b)
    const each = (s: number[], t: number[]) => {
      const [logQ, logP] = [logSoftmax(s, b.T), logSoftmax(t, b.T)]
      const logM = logP.map((l, c) => Math.log(beta * Math.exp(l) + (1 - beta) * Math.exp(logQ[c]!)))
      return beta * kl(logP, logM) + (1 - beta) * kl(logQ, logM)
    }
    return mix(b, b.T ** 2 * rows(b, each))
  },
  tvd: (b) => {
    const each = (s: number[], t: number[]) => {
      const [q, p] = [softmax(s, b.T), softmax(t, b.T)]
      return sum(p.map((x, c) => Math.abs(x - q[c]!))) / 2
    }
    return mix(b, b.T * rows(b, each))
  },
  'logit-mse': (b) =>
    mix(
      b,
      rows(b, (s, t) => mean(s.map((z, c) => (z - t[c]!) ** 2))),
    ),
  ls: (b) => {
    const { epsilon } = b.parameters as { epsilon: number }
    return labelled(b, (s, _, label) => {
      return -sum(logSoftmax(s, 1).map((l, c) => ((1 - epsilon) * (c === label ? 1 : 0) + epsilon / s.length) * l))
    })
  },
  'tf-kd': (b) => {
    const { correct } = b.parameters as { correct: number }
    const each = (s: number[], _: number[], label: number) => {
      const u = s.map((__, c) => (c === label ? correct : (1 - correct) / (s.length - 1)))
      return kl(logSoftmax(u, b.T), logSoftmax(s, 1))
    }
    return mix(b, labelled(b, each))
  },
  cwtm: (b) => {
    const confidence = b.t.map((z, i) => (b.labels[i]! < 0 ? 0 : Math.max(...softmax(z, b.T))))
    const total = sum(b.s.map((z, i) => (b.labels[i]! < 0 ? 0 : -confidence[i]! * logSoftmax(z, 1)[b.labels[i]!]!)))
    return total / sum(confidence)
  },
  dkpp: (b) => {
    const keys = drawn([b.s.length, b.s[0]!.length])
    const permuted = b.t.map((z, i) => {
      const top = z.indexOf(Math.max(...z))
      const others = z.map((_, c) => c).filter((c) => c !== top)
      const order = others.toSorted((a, c) => keys[i]![c]! - keys[i]![a]!)
      const given = [...z]
      for (const [j, c] of others.entries()) given[c] = z[order[j]!]!
      return given
    })
    return mix(b, b.T ** 2 * rows({ ...b, t: permuted }, (s, t) => kl(logSoftmax(t, b.T), logSoftmax(s, b.T))))
  },
  dkd: (b) => {
    const { tckd, nckd, warmup } = b.parameters as { tckd: number; nckd: number; warmup: number }
    const each = (s: number[], t: number[], label: number) => {
      const binary = (z: number[]) => {
        const others = logSoftmax(z, b.T).filter((_, c) => c !== label)
        return [logSoftmax(z, b.T)[label]!, Math.log(sum(others.map(Math.exp)))]
      }
      const others = (z: number[]) =>
        logSoftmax(
          z.filter((_, c) => c !== label),
          b.T,
        )
      return tckd * kl(binary(t), binary(s)) + nckd * kl(others(t), others(s))
    }
    return ce(b) + b.alpha * Math.min((b.epoch + 1) / warmup, 1) * b.T ** 2 * labelled(b, each)
  },
  dist: (b) => {
    const { inter, intra, square } = b.parameters as { inter: number; intra: number; square: number }
    const [s, t] = [b.s.map((z) => softmax(z, b.T)), b.t.map((z) => softmax(z, b.T))]
    const by = (x: number[][], y: number[][]) => 1 - mean(x.map((row, i) => pearson(row, y[i]!)))
    const term = inter * by(s, t) + intra * by(transpose(s), transpose(t))
    return ce(b) + b.alpha * (square ? b.T ** 2 : 1) * term
  },
  'std-kd': (b) => {
    const each = (s: number[], t: number[]) => kl(logSoftmax(standardise(t), b.T), logSoftmax(standardise(s), b.T))
    return b.parameters.ce! * ce(b) + b.alpha * b.T ** 2 * rows(b, each)
  },
  mlkd: (b) => {
    const { spread, class: ofClass, batch } = b.parameters as { spread: number; class: number; batch: number }
    const at = (T: number) => {
      const [s, t] = [b.s.map((z) => softmax(z, T)), b.t.map((z) => softmax(z, T))]
      const kd = T ** 2 * rows(b, (s, t) => kl(logSoftmax(t, T), logSoftmax(s, T)))
      return kd + (ofClass * apart(transpose(t), transpose(s))) / s[0]!.length + (batch * apart(t, s)) / s.length
    }
    const low = b.T * (1 - spread)
    // 2, 3, 4, 5, 6 where T is 4 and the spread a half
    const temperatures = spread === 0 ? [b.T] : [0, 1, 2, 3, 4].map((i) => low + (i * (b.T * (1 + spread) - low)) / 4)
    return b.parameters.ce! * ce(b) + b.alpha * sum(temperatures.map(at))
  },
}

/** The derivative of f at 0 by differences of fourth order. */
export const derivative = (f: (d: number) => number, h: number): number =>
  (8 * (f(h) - f(-h)) - (f(2 * h) - f(-2 * h))) / (12 * h)

/** The gradient with respect to s by differences. */
export function gradientOf(formula: Formula, batch: Batch, h = 1e-3): number[][] {
  return batch.s.map((row, i) =>
    row.map((_, c) => {
      const at = (d: number) => formula({ ...batch, s: batch.s.with(i, row.with(c, row[c]! + d)) })
      return derivative(at, h)
    }),
  )
}
