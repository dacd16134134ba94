import { type ClassAccuracy, classesChart } from '../charts/classes.js'
import { curvesChart } from '../charts/curves.js'
import { controlLook, type LegendEntry, legend, look, teacherLook } from '../charts/marks.js'
import { type ReliabilitySeries, reliabilityChart } from '../charts/reliability.js'
import { similarityChart } from '../charts/similarity.js'
import { type SizedModel, sizeChart } from '../charts/size.js'
import { type TemperatureSeries, temperatureChart } from '../charts/temperature.js'
import { html, type Markup, shorten } from '../html.js'
import { hasTemperature, methodName, rowName } from '../names.js'
import { meanHistory, meanPerClass, meanReliability, type Pooled } from '../pool.js'
import { type Kind, scoreOf, type View } from '../view.js'

const figure = (heading: string, chart: Markup, entries: readonly LegendEntry[] = []) =>
  html`<figure><figcaption><h3>${shorten(heading, 60)}</h3></figcaption>${chart}${entries.length > 0 && legend(entries)}</figure>`

const section = (title: string, note: string, figures: readonly (Markup | null)[]) =>
  figures.some((one) => one !== null)
    ? html`<h2>${title}</h2><p class="note">${note}</p><div class="charts">${figures}</div>`
    : null

const controlEntry: LegendEntry = { look: controlLook, text: 'control', lineOnly: true }

/** A panel a kind of student: a line a method over the temperatures. */
export function temperatureSection(view: View): Markup | null {
  const panels = view.kinds.map((kind, k) => {
    const series = new Map<string, TemperatureSeries>()
    for (const row of kind.rows) {
      const value = scoreOf(row, view)
      if (row.control || !value || !hasTemperature(row)) continue
      const name = methodName(row, kind.rows)
      const points = series.get(name)?.points ?? []
      series.set(name, { name: shorten(name, 40), points: [...points, { temperature: row.temperature, value }] })
    }
    if (series.size === 0) return null
    const list = [...series.values()]
    const control = scoreOf(kind.control, view)
    const chart = temperatureChart({
      id: `temperature-${k}`,
      student: shorten(kind.student, 60),
      measure: view.measure,
      series: list,
      control,
    })
    return figure(kind.student, chart, [
      ...list.map(({ name }, n) => ({ look: look(n), text: name })),
      ...(control ? [controlEntry] : []),
    ])
  })
  return section(
    `${view.measure === 'accuracy' ? 'Accuracy' : 'Agreement'} against temperature`,
    `Bars: 95 % intervals over the seeds. The dashed line is the control, which learned from the labels alone, its band the interval.${view.teacher.accuracy !== null ? ` The teacher: ${(view.teacher.accuracy * 100).toFixed(2)} %.` : ''}`,
    panels,
  )
}

/** The rows of a kind that a chart has room for: the control, the best of each method, then the next best. */
function fewRows({ rows, control, best }: Kind, view: View, most: number): Pooled[] {
  const score = (row: Pooled) => scoreOf(row, view)?.mean ?? Number.NEGATIVE_INFINITY
  const sorted = rows.filter((row) => !row.control).sort((a, b) => score(b) - score(a))
  const firsts = sorted.filter((row, i) => sorted.findIndex(({ method }) => method === row.method) === i)
  const chosen = new Set([...(control ? [control] : []), ...(best ? [best] : []), ...firsts, ...sorted])
  return [...chosen].slice(0, most)
}

/** A panel a kind of student: accuracy on held-out rows by epoch, or the loss where none are held out. */
export function curvesSection(view: View): Markup | null {
  const held = view.students.some(({ history }) => history.some((epoch) => epoch[view.measure] != null))
  const panels = view.kinds.map((kind, k) => {
    let next = 0
    const curves = fewRows(kind, view, 6).flatMap((row) => {
      const points = meanHistory(row.students, (epoch, first) => (held ? epoch[view.measure] : epoch.loss / first.loss))
      const name = shorten(rowName(row, kind.rows), 40)
      return points.length > 0 ? [{ name, look: row.control ? controlLook : look(next++), points }] : []
    })
    if (curves.length === 0) return null
    const chart = curvesChart({
      id: `curves-${k}`,
      title: `${shorten(kind.student, 60)}: ${held ? `${view.measure} on held-out rows` : 'training loss'} by epoch`,
      label: held ? `${view.measure}, %` : 'loss, of the first epoch’s',
      format: (value) => (held ? String(Number((value * 100).toFixed(1))) : String(Number(value.toFixed(3)))),
      curves,
    })
    return figure(
      kind.student,
      chart,
      curves.map(({ name, look }) => ({ look, text: name })),
    )
  })
  return section(
    'Training',
    held
      ? 'On the rows that were held out, mean over the seeds.'
      : "Training loss as a part of the first epoch's, mean over the seeds: losses of different methods have no common scale.",
    panels,
  )
}

/** A panel a kind of student: its best way of learning, its control, the teacher. */
export function reliabilitySection(view: View): Markup | null {
  const ofTeacher = view.data.teacher.metrics?.reliability
  const panels = view.kinds.map((kind, k) => {
    const entries: (ReliabilitySeries & { text: string })[] = []
    const add = (name: string, style: ReliabilitySeries['look'], row: Pooled | undefined) => {
      const bins = row && meanReliability(row.students.flatMap(({ metrics }) => metrics ?? []))
      const ece = row?.measures.ece
      if (bins)
        entries.push({ name, look: style, bins, text: `${name}${ece ? `, ECE ${(ece.mean * 100).toFixed(2)} %` : ''}` })
    }
    if (kind.best) add(shorten(rowName(kind.best, kind.rows), 40), look(0), kind.best)
    add('control', controlLook, kind.control)
    if (entries.length === 0) return null
    if (ofTeacher)
      entries.push({
        name: 'teacher',
        look: teacherLook,
        bins: ofTeacher,
        text: `teacher, ECE ${(view.data.teacher.metrics!.ece! * 100).toFixed(2)} %`,
      })
    const chart = reliabilityChart({ id: `reliability-${k}`, student: shorten(kind.student, 60), series: entries })
    return figure(kind.student, chart, entries)
  })
  return section(
    'Reliability',
    'How often a prediction is right against how sure it is, by 15 bins of confidence. On the diagonal confidence is right; below it the student is too sure. A mark is as large as its bin’s share of the rows.',
    panels,
  )
}

/** More classes than this are too many for one chart: those that differ most are shown. */
const MAX_CLASSES = 20

export function classesSection(view: View): Markup | null {
  const teacher = view.data.teacher.metrics?.perClass?.accuracy
  let left = 0
  const panels = view.kinds.map((kind, k) => {
    const of = (row: Pooled | undefined) =>
      row ? meanPerClass(row.students.flatMap(({ metrics }) => metrics ?? [])) : []
    const [best, control] = [of(kind.best), of(kind.control)]
    const all = best.flatMap((share, c): ClassAccuracy[] =>
      share === null
        ? []
        : [{ name: view.className(c), best: share, control: control[c] ?? null, teacher: teacher?.[c] ?? null }],
    )
    if (!kind.best || all.length === 0) return null
    const moved = ({ best, control }: ClassAccuracy) => Math.abs(best! - (control ?? best!))
    const shown = all.length <= MAX_CLASSES ? all : [...all].sort((a, b) => moved(b) - moved(a)).slice(0, MAX_CLASSES)
    left = all.length - shown.length
    const bestName = shorten(rowName(kind.best, kind.rows), 40)
    const chart = classesChart({ id: `classes-${k}`, student: shorten(kind.student, 60), bestName, classes: shown })
    return figure(kind.student, chart, [
      { look: look(0), text: bestName },
      ...(kind.control ? [{ look: controlLook, text: 'control' }] : []),
      ...(teacher ? [{ look: teacherLook, text: 'teacher' }] : []),
    ])
  })
  return section(
    'Accuracy by class',
    left > 0
      ? `The ${MAX_CLASSES} classes that differ most from the control; ${left} others are left out.`
      : 'Mean over the seeds.',
    panels,
  )
}

export function sizeSection(view: View): Markup | null {
  const parametersOf = (name: string) => view.costs?.models.find((model) => model.name === name)?.parameters
  const models = view.kinds.flatMap((kind): SizedModel[] => {
    const parameters = parametersOf(kind.student)
    const value = scoreOf(kind.best, view)
    const best = kind.best && value ? { name: rowName(kind.best, kind.rows), value } : undefined
    return parameters
      ? [{ name: shorten(kind.student, 22), parameters, best, control: scoreOf(kind.control, view) }]
      : []
  })
  if (models.length === 0) return null
  const [parameters, value] = [parametersOf('teacher'), view.measure === 'accuracy' ? view.teacher.accuracy : null]
  const teacher = parameters && value !== null ? { parameters, value } : undefined
  const chart = sizeChart({ id: 'size', measure: view.measure, models, teacher })
  const entries = [
    { look: look(0), text: 'best way of learning' },
    ...(models.some(({ control }) => control) ? [{ look: controlLook, text: 'control' }] : []),
    ...(teacher ? [{ look: teacherLook, text: 'teacher' }] : []),
  ]
  return section(`Size against ${view.measure}`, 'Each kind of student: its best way of learning above its control.', [
    figure('Parameters', chart, entries),
  ])
}

const PAIRS = 10

/** The map of the soft targets with the pairs in words beside it. */
export function similaritySection(view: View): Markup | null {
  const { similarity, classes: all } = view.data
  if (!similarity || similarity.classes.length < 2) return null
  const { classes, means, temperature, rows } = similarity
  const names = classes.map(view.className)
  const pairs = classes
    .flatMap((_, i) =>
      classes
        .slice(i + 1)
        .map((_, j) => ({ i, j: i + 1 + j, mass: ((means[i]?.[i + 1 + j] ?? 0) + (means[i + 1 + j]?.[i] ?? 0)) / 2 })),
    )
    .sort((a, b) => b.mass - a.mass)
    .slice(0, PAIRS)
  const which = classes.length < all ? `the ${classes.length} most alike of ${all} classes` : `all ${all} classes`
  return html`<h2>What the teacher says beyond the label</h2>
<p class="note">Mean soft targets at temperature ${temperature}, over ${rows.toLocaleString('en-US')} samples, for ${which}: what samples of a row’s class give to the column’s class, in per cent. This is what labels lose and students learn.</p>
<div class="beside"><figure>${similarityChart({ id: 'similarity', similarity, names })}</figure>
<figure><figcaption><h3>Most alike</h3></figcaption><ol class="pairs">${pairs.map(({ i, j, mass }) => html`<li>${shorten(names[i]!, 60)} and ${shorten(names[j]!, 60)}: ${(mass * 100).toFixed(2)} %</li>`)}</ol></figure></div>`
}
