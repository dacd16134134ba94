import type { Reliability } from '../../student/index.js'
import { html, type Markup } from '../html.js'
import { axes, drawing, xRange, yRange } from './frame.js'
import { type Look, line, mark } from './marks.js'
import { linear } from './scale.js'

export interface ReliabilitySeries {
  name: string
  look: Look
  bins: Reliability
}

const percent = (share: number) => `${(share * 100).toFixed(1)} %`

/** Accuracy against confidence by bin; what is calibrated lies on the diagonal. A mark's area is the bin's share of the rows. */
export function reliabilityChart(options: {
  id: string
  student: string
  series: readonly ReliabilitySeries[]
}): Markup {
  const { id, student, series } = options
  const [x, y] = [linear([0, 1], xRange), linear([0, 1], yRange)]
  const points = ({ rows, confidence, accuracy }: Reliability) => {
    const all = rows.reduce((a, b) => a + b, 0)
    return rows.flatMap((n, bin) => {
      const [p, share] = [confidence[bin], accuracy[bin]]
      return p == null || share == null ? [] : [{ p, share, weight: n / all, n }]
    })
  }
  return drawing({
    id,
    title: `${student}: reliability diagram`,
    description: series
      .map(
        ({ name, bins }) =>
          `${name}: ${points(bins)
            .map(({ p, share }) => `confidence ${percent(p)} accuracy ${percent(share)}`)
            .join(', ')}`,
      )
      .join('; '),
    content: html`${axes({
      x: { scale: x, label: 'confidence', format: String },
      y: { scale: y, label: 'accuracy', format: String },
    })}
<line class="diagonal" x1="${x(0)}" y1="${y(0)}" x2="${x(1)}" y2="${y(1)}"/>
${series.map(({ name, look, bins }) => {
  const found = points(bins)
  return html`<g>${line(
    found.map(({ p, share }) => [x(p), y(share)]),
    look,
  )}${found.map(({ p, share, weight, n }) =>
    mark(x(p), y(share), {
      look,
      size: Math.round(10 * (1.8 + 7 * Math.sqrt(weight))) / 10,
      title: `${name}: ${n} rows of confidence ${percent(p)} on average, ${percent(share)} of them right`,
    }),
  )}</g>`
})}`,
  })
}
