import { html, type Markup } from '../html.js'
import { axes, drawing, xRange, yRange } from './frame.js'
import { type Look, line, mark } from './marks.js'
import { linear } from './scale.js'

export interface Curve {
  name: string
  look: Look
  points: { epoch: number; value: number }[]
}

/** A value by epoch, a line a series. */
export function curvesChart(options: {
  id: string
  title: string
  label: string
  format(value: number): string
  curves: readonly Curve[]
}): Markup {
  const { id, title, label, format, curves } = options
  const all = curves.flatMap(({ points }) => points)
  const y = linear(
    all.map(({ value }) => value),
    yRange,
  )
  const x = linear([1, ...all.map(({ epoch }) => epoch)], xRange, 5)
  const last = curves.flatMap(({ name, points }) => {
    const end = points.at(-1)
    return end ? [`${name}: ${format(end.value)} after epoch ${end.epoch}`] : []
  })
  return drawing({
    id,
    title,
    description: last.join('; '),
    content: html`${axes({
      x: { scale: x, label: 'epoch', format: String, ticks: x.ticks.filter(Number.isInteger) },
      y: { scale: y, label, format },
    })}
${curves.map(({ name, look, points }) => {
  const end = points.at(-1)
  return html`<g>${line(
    points.map(({ epoch, value }) => [x(epoch), y(value)]),
    look,
  )}${end && mark(x(end.epoch), y(end.value), { look, title: `${name}, epoch ${end.epoch}: ${format(end.value)}` })}</g>`
})}`,
  })
}
