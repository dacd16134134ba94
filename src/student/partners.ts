import { random } from '../random.js'
import type { Dataset } from './dataset.js'

/**
 * A second row for each: `class`, any of the same class, itself not excluded (as in the code of Yun et al. 2020); `view`, another
 * view of the same sample. A row that has no such partner is its own.
 */
export type PartnerKind = 'class' | 'view'

export interface Partners {
  /** The partners of `rows`, drawn from (seed, epoch) and the rows alone. */
  draw(rows: Uint32Array, epoch: number): Uint32Array
}

export function createPartners(options: {
  kind: PartnerKind
  dataset: Pick<Dataset, 'labels' | 'samples'>
  /** Those that may be drawn. */
  rows: Uint32Array
  seed: number
}): Partners {
  const { kind, dataset, rows, seed } = options
  const groupOf = kind === 'class' ? dataset.labels : dataset.samples
  const groups = new Map<number, number[]>()
  for (const row of rows) {
    const group = groupOf[row]!
    if (group < 0) continue // no label
    const others = groups.get(group)
    if (others) others.push(row)
    else groups.set(group, [row])
  }
  const pick = (row: number, below: (n: number) => number): number => {
    const group = groups.get(groupOf[row]!)
    if (!group) return row
    if (kind === 'class') return group[below(group.length)]!
    if (group.length === 1) return row
    const others = group.filter((other) => other !== row)
    return others[below(others.length)]!
  }
  return {
    draw(rows, epoch) {
      const { below } = random(seed, 'partner', epoch)
      return rows.map((row) => pick(row, below))
    },
  }
}
