import type { Interval } from '../../student/index.js'
import { short } from '../charts/size.js'
import { html, type Markup, shorten } from '../html.js'
import { rowName } from '../names.js'
import type { Pooled } from '../pool.js'
import { scoreOf, type View } from '../view.js'

const percent = (share: number, digits = 2) => `${(share * 100).toFixed(digits)} %`
const count = (value: number) => Math.round(value).toLocaleString('en-US')

/** What the sweep says in a sentence a kind of student. */
export function leadSection(view: View): Markup {
  const sentences = view.kinds.map((kind) => {
    const { student, best, control } = kind
    const [score, of] = [scoreOf(best, view), scoreOf(control, view)]
    if (!best || !score) return html`<p class="lead"><b>${shorten(student, 60)}</b>: only the control was trained.</p>`
    const learned = html`<b>${shorten(student, 60)}</b> is best with ${rowName(best, kind.rows)}: ${view.measure} ${interval(score)}`
    const gain = best.gain[view.measure]
    if (!of || !gain) return html`<p class="lead">${learned}.</p>`
    const clear = gain.half !== null && Math.abs(gain.mean) > gain.half
    return html`<p class="lead">${learned}, its control ${interval(of)}; seed by seed ${signed(gain)} points${
      clear ? '' : gain.half === null ? ' (one seed: no interval)' : ', which shows no clear difference'
    }.</p>`
  })
  const failed = view.students.filter(({ failed }) => failed !== undefined)
  return html`${sentences}${
    failed.length > 0 &&
    html`<p>${failed.length} of ${view.students.length} students failed: ${shorten(failed.map(({ student, method, seed, failed }) => `${student} ${method} seed ${seed}: ${failed}`).join('; '), 600)}</p>`
  }`
}

const interval = ({ mean, half }: Interval) =>
  `${(mean * 100).toFixed(2)}${half === null ? ' %' : ` ± ${(half * 100).toFixed(2)} %`}`
const signed = ({ mean, half }: Interval) =>
  `${mean >= 0 ? '+' : ''}${(mean * 100).toFixed(2)}${half === null ? '' : ` ± ${(half * 100).toFixed(2)}`}`

export function facts({ data, teacher, students, seconds, kinds }: View): Markup {
  const seeds = new Set(students.map(({ seed }) => seed)).size
  const measured = data.teacher.metrics
  const fact = (name: string, value: string, more: string) =>
    html`<div><dt>${name}</dt><dd>${value}<small>${more}</small></dd></div>`
  return html`<dl class="facts">
${teacher.accuracy !== null && measured && fact("the teacher's accuracy", percent(teacher.accuracy), `NLL ${measured.nll!.toFixed(4)}, ECE ${percent(measured.ece!)}`)}
${fact('learned from', `${count(data.rows)} rows`, `${count(data.classes)} classes`)}
${fact('measured on', data.measuredOn === 'nothing' ? 'nothing' : `${count(measured?.rows ?? 0)} rows`, data.measuredOn === 'evaluation' ? 'of another dataset' : data.measuredOn === 'nothing' ? 'no rows were held out' : 'held out of these')}
${fact('students', count(students.length), `${kinds.length} kind${kinds.length === 1 ? '' : 's'}, ${seeds} seed${seeds === 1 ? '' : 's'}, ${duration(seconds)}`)}
</dl>`
}

function duration(seconds: number): string {
  if (seconds < 60) return `${seconds.toFixed(0)} s`
  return seconds < 3600 ? `${(seconds / 60).toFixed(0)} min` : `${(seconds / 3600).toFixed(1)} h`
}

const columns = [
  { key: 'accuracy', name: 'accuracy %', scale: 100, digits: 2 },
  { key: 'top5', name: 'top-5 %', scale: 100, digits: 2 },
  { key: 'nll', name: 'NLL', scale: 1, digits: 4 },
  { key: 'ece', name: 'ECE %', scale: 100, digits: 2 },
  { key: 'brier', name: 'Brier', scale: 1, digits: 4 },
  { key: 'aurc', name: 'AURC ×1000', scale: 1000, digits: 2 },
  { key: 'agreement', name: 'agreement %', scale: 100, digits: 2 },
  { key: 'kl', name: 'KL', scale: 1, digits: 4 },
] as const

/** Every row of the sweep with its intervals. */
export function tableSection(view: View): Markup {
  const rows = view.kinds.flatMap((kind) => kind.rows.map((row) => ({ row, kind })))
  if (rows.length === 0) return html`<p>No student was measured.</p>`
  const shown = columns.filter(({ key }) => rows.some(({ row }) => row.measures[key]))
  const gains = rows.some(({ row }) => row.gain[view.measure])
  const cell = (value: Interval | undefined, scale: number, digits: number) =>
    html`<td>${value && html`${(value.mean * scale).toFixed(digits)}${value.half !== null && html`<small> ± ${(value.half * scale).toFixed(digits)}</small>`}`}</td>`
  const gainCell = (row: Pooled) => {
    const gain = row.gain[view.measure]
    const clear = gain && gain.half !== null && gain.mean > gain.half
    return html`<td>${gain && html`<span class="${clear ? 'gain' : ''}">${gain.mean >= 0 ? '+' : ''}${(gain.mean * 100).toFixed(2)}</span>${gain.half !== null && html`<small> ± ${(gain.half * 100).toFixed(2)}</small>`}`}</td>`
  }
  return html`<h2>All students</h2>
<div class="scroll" tabindex="0" role="region" aria-label="Table of all students">
<table><caption><span>Mean ± 95 % interval over the seeds; the gain is that of each seed over the control of the same seed. The best of each kind is bold.</span></caption>
<thead><tr><th scope="col" class="text">student</th><th scope="col" class="text">method</th><th scope="col">seeds</th>${gains && html`<th scope="col">gain, points</th>`}${shown.map(({ name }) => html`<th scope="col">${name}</th>`)}</tr></thead>
<tbody>${rows.map(
    ({
      row,
      kind,
    }) => html`<tr class="${row === kind.best ? 'best' : row.control ? 'control' : ''}"><th scope="row">${shorten(row.student, 28)}</th><td class="text">${shorten(rowName(row, kind.rows), 60)}</td><td>${row.seeds.length}</td>${gains && gainCell(row)}${shown.map(({ key, scale, digits }) => cell(row.measures[key], scale, digits))}</tr>
`,
  )}</tbody></table>
</div>`
}

/** Size and speed of the models. */
export function costSection({ costs }: View): Markup | null {
  if (!costs || costs.models.length === 0) return null
  const teacher = costs.models.find(({ name }) => name === 'teacher')
  const time = (ms: number | null, of: number | null | undefined) =>
    html`<td>${ms === null ? 'fixed batch' : html`${ms < 0.1 ? ms.toFixed(3) : ms < 10 ? ms.toFixed(2) : ms.toFixed(1)} ms`}${ms !== null && ms > 0 && of != null && html`<small> 1/${(of / ms).toFixed(of / ms < 10 ? 1 : 0)}</small>`}</td>`
  return html`<h2>What they cost</h2>
<div class="scroll" tabindex="0" role="region" aria-label="Table of costs">
<table><caption><span>Size of student.onnx, and the time of one call: the median of calls that take turns, on one thread of the CPU (${costs.processor}), from the normalised input to the logits, beside whatever else ran there.${teacher && " Small figures: the part of the teacher's time."}</span></caption>
<thead><tr><th scope="col" class="text">model</th><th scope="col">parameters</th><th scope="col">multiply-adds</th><th scope="col">file</th>${costs.batches.map((batch) => html`<th scope="col">batch of ${batch}</th>`)}</tr></thead>
<tbody>${costs.models.map(
    (
      model,
    ) => html`<tr><th scope="row">${shorten(model.name, 28)}</th><td>${count(model.parameters)}</td><td>${short(model.multiplyAdds)}</td><td>${short(model.bytes)}B</td>${costs.batches.map((_, i) => time(model.milliseconds[i] ?? null, model === teacher ? null : teacher?.milliseconds[i]))}</tr>
`,
  )}</tbody></table>
</div>`
}
