import type { Interval } from '../../student/index.js'
import { html, type Markup } from '../html.js'
import { axes, drawing, px, xRange, yRange } from './frame.js'
import { controlLook, errorBar, type Look, line, look, mark, teacherLook } from './marks.js'
import { linear, logarithmic, shareEnds } from './scale.js'

export interface SizedModel {
  name: string
  parameters: number
  best?: { name: string; value: Interval } | undefined
  control?: Interval | undefined
}

/** `1.2M` */
export function short(value: number): string {
  const units = ['', 'k', 'M', 'G', 'T']
  let unit = 0
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000
    unit++
  }
  return `${value >= 100 || unit === 0 ? Math.round(value) : Number(value.toPrecision(2))}${units[unit]}`
}

const percent = (share: number) => `${(share * 100).toFixed(2)} %`

/** Size against a share: for each student its best way of learning and its control; the teacher, where its size is known. */
export function sizeChart(options: {
  id: string
  measure: string
  models: readonly SizedModel[]
  teacher?: { parameters: number; value: number } | undefined
}): Markup {
  const { id, measure, models, teacher } = options
  const intervals = models.flatMap(({ best, control }) => [
    ...(best ? [best.value] : []),
    ...(control ? [control] : []),
  ])
  const y = linear([...intervals.flatMap(shareEnds), ...(teacher ? [teacher.value] : [])], yRange)
  const sizes = [...models.map(({ parameters }) => parameters), ...(teacher ? [teacher.parameters] : [])]
  const x = logarithmic(sizes, [xRange[0] + 10, xRange[1] - 10])
  const digits = Math.max(0, Math.ceil(-Math.log10(Math.abs(y.ticks[1]! - y.ticks[0]!) * 100) - 1e-9))
  const dot = (at: number, value: Interval, style: Look, title: string) =>
    html`${value.half !== null && errorBar(at, shareEnds(value).map(y) as [number, number], style)}${mark(at, y(value.mean), { look: style, size: 4.5, title: `${title}: ${percent(value.mean)}` })}`
  return drawing({
    id,
    title: `Size against ${measure}`,
    description: [
      ...models.map(
        ({ name, parameters, best, control }) =>
          `${name}, ${short(parameters)} parameters: ${best ? `${best.name} ${percent(best.value.mean)}` : ''}${best && control ? ', ' : ''}${control ? `control ${percent(control.mean)}` : ''}`,
      ),
      ...(teacher ? [`teacher, ${short(teacher.parameters)} parameters: ${percent(teacher.value)}`] : []),
    ].join('; '),
    content: html`${axes({
      x: { scale: x, label: 'parameters', format: short },
      y: { scale: y, label: `${measure}, %`, format: (share) => (share * 100).toFixed(digits) },
    })}
${models.map(({ name, parameters, best, control }) => {
  const at = x(parameters)
  const top = best ?? (control && { name: 'control', value: control })
  return html`<g>${
    best &&
    control &&
    line(
      [
        [at, y(best.value.mean)],
        [at, y(control.mean)],
      ],
      controlLook,
    )
  }
${control && dot(at, control, controlLook, `${name}, control`)}${best && dot(at, best.value, look(0), `${name}, ${best.name}`)}
${top && html`<text class="label" x="${px(at)}" y="${px(y(shareEnds(top.value)[1]) - 8)}" text-anchor="middle">${name}</text>`}</g>`
})}
${teacher && html`<g>${mark(x(teacher.parameters), y(teacher.value), { look: teacherLook, size: 5, title: `teacher: ${percent(teacher.value)}` })}<text class="label" x="${x(teacher.parameters) - 10}" y="${y(teacher.value) + 4}" text-anchor="end">teacher</text></g>`}`,
  })
}
