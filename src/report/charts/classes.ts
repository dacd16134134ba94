import { html, type Markup, shorten } from '../html.js'
import { drawing, px, WIDTH } from './frame.js'
import { controlLook, look, mark, teacherLook } from './marks.js'
import { linear } from './scale.js'

export interface ClassAccuracy {
  name: string
  best: number | null
  control: number | null
  teacher: number | null
}

const LEFT = 96
const ROW = 19
const percent = (share: number) => `${(share * 100).toFixed(1)} %`

/** Accuracy by class, a line a class: the best way of learning, the control, the teacher. */
export function classesChart(options: {
  id: string
  student: string
  bestName: string
  classes: readonly ClassAccuracy[]
}): Markup {
  const { id, student, bestName, classes } = options
  const shares = classes.flatMap(({ best, control, teacher }) =>
    [best, control, teacher].filter((share) => share !== null),
  )
  const height = classes.length * ROW + 34
  const x = linear(shares, [LEFT, WIDTH - 14], 4)
  const kinds = [
    { key: 'teacher', name: 'teacher', look: teacherLook },
    { key: 'control', name: 'control', look: controlLook },
    { key: 'best', name: bestName, look: look(0) },
  ] as const
  return drawing({
    id,
    title: `${student}: accuracy by class`,
    description: classes
      .map(
        (one) =>
          `${shorten(one.name, 40)}: ${kinds.flatMap(({ key, name }) => (one[key] === null ? [] : [`${name} ${percent(one[key])}`])).join(', ')}`,
      )
      .join('; '),
    height,
    content: html`<g class="grid">${x.ticks.map((tick) => html`<line x1="${px(x(tick))}" x2="${px(x(tick))}" y1="4" y2="${height - 30}"/>`)}</g>
<g class="ticks">${x.ticks.map((tick) => html`<text x="${px(x(tick))}" y="${height - 17}" text-anchor="middle">${Math.round(tick * 100)}</text>`)}</g>
<text class="axis" x="${WIDTH - 14}" y="${height - 3}" text-anchor="end">accuracy, %</text>
${classes.map((one, i) => {
  const y = i * ROW + ROW / 2 + 4
  const known = kinds.flatMap(({ key }) => (one[key] === null ? [] : [x(one[key])]))
  return html`<g><text class="label" x="${LEFT - 8}" y="${y + 4}" text-anchor="end">${shorten(one.name, 15)}</text>
<line class="span" x1="${px(Math.min(...known))}" x2="${px(Math.max(...known))}" y1="${y}" y2="${y}"/>
${kinds.map(({ key, name, look }) => one[key] !== null && mark(x(one[key]), y, { look, size: 3.6, title: `${shorten(one.name, 80)}, ${name}: ${percent(one[key])}` }))}</g>`
})}`,
  })
}
