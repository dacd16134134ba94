import { interval } from '../student/interval.js'
import type { Metrics } from '../student/metrics.js'

/** What one student is measured at, or, of several seeds, mean ± 95 % interval. What is not known is left out. */
export function renderMetrics(metrics: readonly Metrics[]): string {
  return figures
    .flatMap(({ name, of, scale, digits, unit }) => {
      const values = metrics.map(of).filter((value) => value !== null)
      if (values.length < metrics.length) return []
      const { mean, half } = interval(values)
      const spread = half === null ? '' : ` ± ${(half * scale).toFixed(digits)}`
      return [`${name} ${(mean * scale).toFixed(digits)}${spread}${unit}`]
    })
    .join(', ')
}

const share = { scale: 100, digits: 2, unit: ' %' }
const plain = { scale: 1, digits: 4, unit: '' }
const figures: { name: string; of(metrics: Metrics): number | null; scale: number; digits: number; unit: string }[] = [
  { name: 'accuracy', of: ({ accuracy }) => accuracy, ...share },
  { name: 'top-5', of: ({ top5 }) => top5, ...share },
  { name: 'NLL', of: ({ nll }) => nll, ...plain },
  { name: 'ECE', of: ({ ece }) => ece, ...share },
  { name: 'Brier', of: ({ brier }) => brier, ...plain },
  { name: 'AURC', of: ({ aurc }) => aurc, scale: 1000, digits: 2, unit: '/1000' },
  { name: 'agreement with the teacher', of: ({ agreement }) => agreement, ...share },
  { name: 'KL', of: ({ kl }) => kl, ...plain },
]
