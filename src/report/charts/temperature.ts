import type { Interval } from '../../student/index.js'
import { html, type Markup } from '../html.js'
import { axes, drawing, px, xRange, yRange } from './frame.js'
import { controlLook, errorBar, line, look, mark } from './marks.js'
import { linear, logarithmic, shareEnds } from './scale.js'

export interface TemperatureSeries {
  name: string
  points: { temperature: number; value: Interval }[]
}

const percent = (share: number, digits = 2) => `${(share * 100).toFixed(digits)} %`
const withHalf = ({ mean, half }: Interval) => `${percent(mean)}${half === null ? '' : ` ± ${(half * 100).toFixed(2)}`}`

/**
 * A share (accuracy, agreement) against temperature, a line a series; the control is a line across with its interval as a band. The teacher,
 * often far above, would press the rest together: it is left out.
 */
export function temperatureChart(options: {
  id: string
  student: string
  measure: string
  series: readonly TemperatureSeries[]
  control?: Interval | undefined
}): Markup {
  const { id, student, measure, series, control } = options
  const points = series.flatMap(({ points }) => points)
  const shares = [...points.map(({ value }) => value), ...(control ? [control] : [])].flatMap(shareEnds)
  const y = linear(shares, yRange)
  const temperatures = [...new Set(points.map(({ temperature }) => temperature))].sort((a, b) => a - b)
  const span = temperatures.length > 1 ? temperatures : [(temperatures[0] ?? 1) / 2, (temperatures[0] ?? 1) * 2]
  const x = logarithmic(span, [xRange[0] + 14, xRange[1] - 14], 2)
  const step = Math.abs(y.ticks[1]! - y.ticks[0]!)
  const digits = Math.max(0, Math.ceil(-Math.log10(step * 100) - 1e-9))
  const across = (share: number, name: typeof controlLook) =>
    line(
      [
        [xRange[0], y(share)],
        [xRange[1], y(share)],
      ],
      name,
    )
  const band = control && shareEnds(control)
  const described = series.map(
    ({ name, points }) =>
      `${name}: ${points.map(({ temperature, value }) => `T=${temperature} ${withHalf(value)}`).join(', ')}`,
  )
  return drawing({
    id,
    title: `${student}: ${measure} against temperature`,
    description: [...described, ...(control ? [`control: ${withHalf(control)}`] : [])].join('; '),
    content: html`${axes({
      x: { scale: x, label: 'temperature T', format: String, ticks: temperatures },
      y: { scale: y, label: `${measure}, %`, format: (share) => (share * 100).toFixed(digits) },
    })}
${band && control.half !== null && html`<rect class="band control" x="${xRange[0]}" width="${xRange[1] - xRange[0]}" y="${px(y(band[1]))}" height="${px(y(band[0]) - y(band[1]))}"/>`}
${control && across(control.mean, controlLook)}
${series.map(({ name, points }, n) => {
  const sorted = [...points].sort((a, b) => a.temperature - b.temperature)
  // Bars of several series at one temperature stand side by side.
  const at = (temperature: number) => x(temperature) + (n - (series.length - 1) / 2) * Math.min(6, 24 / series.length)
  return html`<g>${line(
    sorted.map(({ temperature, value }) => [at(temperature), y(value.mean)]),
    look(n),
  )}
${sorted.map(({ temperature, value }) => html`${value.half !== null && errorBar(at(temperature), shareEnds(value).map(y) as [number, number], look(n))}${mark(at(temperature), y(value.mean), { look: look(n), title: `${name}, T=${temperature}: ${withHalf(value)}` })}`)}</g>`
})}`,
  })
}
