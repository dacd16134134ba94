import { dot, lineY, ruleY } from '@observablehq/plot'
import { useMemo, useState } from 'preact/hooks'
import type { StudentRow, Students } from '../api.js'
import { useAnswer } from './ask.js'
import { Chart } from './chart.js'
import { count, percent, plural, small } from './format.js'
import { atTemperature, temperatureAxis } from './overview.js'
import { Answered, controlLook, Empty, Legend, type Look, look, Name, Panel } from './parts.js'

/** `grown`: what the live events say, newer than the answer. */
export function StudentsPage({ grown }: { grown: Students | null }) {
  const answer = useAnswer<Students>('/api/students')
  if (grown) return <Figures students={grown} />
  return <Answered of={answer}>{(students) => <Figures students={students} />}</Answered>
}

function Figures({ students }: { students: Students }) {
  if (students.students.length === 0) {
    return <Empty>No student here yet. decant train and decant sweep --out make some.</Empty>
  }
  return (
    <>
      <ByTemperature students={students} />
      <Table students={students.students} />
      <Failures students={students.students} />
      <h2>Training</h2>
      <Curves students={students.students} />
    </>
  )
}

type Key = 'student' | 'method' | 'temperature' | 'alpha' | 'seed' | Measure
type Measure = 'accuracy' | 'nll' | 'ece' | 'agreement' | 'kl'

const COLUMNS: { key: Key; name: string; text?: true; show(row: StudentRow): string }[] = [
  { key: 'student', name: 'student', text: true, show: ({ student }) => student },
  { key: 'method', name: 'method', text: true, show: ({ method }) => method },
  { key: 'temperature', name: 'T', show: ({ temperature }) => String(temperature ?? '–') },
  { key: 'alpha', name: 'α', show: ({ alpha }) => String(alpha ?? '–') },
  { key: 'seed', name: 'seed', show: ({ seed }) => String(seed) },
  { key: 'accuracy', name: 'accuracy', show: (row) => shown(row, 'accuracy', (v) => percent(v, 2)) },
  { key: 'agreement', name: 'agreement', show: (row) => shown(row, 'agreement', (v) => percent(v, 2)) },
  { key: 'nll', name: 'log loss', show: (row) => shown(row, 'nll', (v) => v.toFixed(3)) },
  { key: 'ece', name: 'ECE', show: (row) => shown(row, 'ece', (v) => percent(v, 2)) },
  { key: 'kl', name: 'KL', show: (row) => shown(row, 'kl', (v) => v.toFixed(3)) },
]

function shown({ metrics, failed }: StudentRow, key: Measure, format: (value: number) => string): string {
  if (failed !== undefined) return key === 'accuracy' ? 'failed' : '–'
  return metrics === null ? '…' : metrics[key] === null ? '–' : format(metrics[key])
}

const cellOf = (row: StudentRow, key: Key): string | number | null => {
  if (key === 'student' || key === 'method' || key === 'temperature' || key === 'alpha' || key === 'seed')
    return row[key]
  return row.metrics?.[key] ?? null
}

const FEW = 30
const fallsFirst: readonly Key[] = ['accuracy', 'agreement']

function Table({ students }: { students: StudentRow[] }) {
  const [by, setBy] = useState<{ key: Key; down: boolean }>({ key: 'accuracy', down: true })
  const [all, setAll] = useState(false)
  const sorted = useMemo(() => sortRows(students, by), [students, by])
  const best = useMemo(() => sortRows(students, { key: 'accuracy', down: true })[0]?.id, [students])
  const rows = all ? sorted : sorted.slice(0, FEW)
  return (
    <>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls sideways on a narrow screen */}
      <section class="scroll after" aria-label="Table of students" tabIndex={0}>
        <table class="students">
          <caption>
            <span>{plural(students.length, 'student')}; a column's name sorts by it.</span>
          </caption>
          <thead>
            <tr>
              {COLUMNS.map(({ key, name, text }) => (
                <th
                  key={key}
                  scope="col"
                  class={text ? 'text' : ''}
                  aria-sort={by.key === key ? (by.down ? 'descending' : 'ascending') : 'none'}
                >
                  <button
                    type="button"
                    onClick={() => setBy({ key, down: by.key === key ? !by.down : fallsFirst.includes(key) })}
                  >
                    {name}
                    <span aria-hidden="true">{by.key === key ? (by.down ? ' ↓' : ' ↑') : ''}</span>
                  </button>
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.map((row) => (
              <tr key={row.id} class={row.id === best && row.metrics?.accuracy != null ? 'best' : ''}>
                {COLUMNS.map(({ key, text, show }, i) =>
                  i === 0 ? (
                    <th key={key} scope="row">
                      <Name>{show(row)}</Name>
                    </th>
                  ) : (
                    <td key={key} class={text ? 'text' : ''}>
                      {show(row)}
                    </td>
                  ),
                )}
              </tr>
            ))}
          </tbody>
        </table>
      </section>
      {students.length > FEW && (
        <button type="button" class="more" aria-expanded={all} onClick={() => setAll(!all)}>
          {all ? `Show ${FEW} only` : `Show all ${count(students.length)}`}
        </button>
      )}
    </>
  )
}

/** Why there is no student: one line for each reason. */
function Failures({ students }: { students: StudentRow[] }) {
  const failed = students.filter((row) => row.failed !== undefined)
  const reasons = [...new Set(failed.map((row) => row.failed!))].slice(0, MOST_SERIES)
  if (failed.length === 0) return null
  return (
    <p class="note after">
      {plural(failed.length, 'student')} failed: <bdi>{reasons.join('; ')}</bdi>
    </p>
  )
}

function sortRows(rows: StudentRow[], { key, down }: { key: Key; down: boolean }): StudentRow[] {
  return [...rows].sort((a, b) => {
    const [x, y] = [cellOf(a, key), cellOf(b, key)]
    // What is not known comes last either way.
    if (x === null || y === null) return x === y ? 0 : x === null ? 1 : -1
    const order = typeof x === 'string' ? x.localeCompare(String(y), 'en', { numeric: true }) : x - Number(y)
    return down ? -order : order
  })
}

interface Point {
  series: string
  temperature: number
  accuracy: number
  seeds: number
}

const MOST_SERIES = 6
const axis = { grid: true, tickSize: 0, labelArrow: 'none' as const, ticks: 5 }

function ByTemperature({ students }: { students: Students }) {
  const kinds = [...new Set(students.students.map(({ student }) => student))]
  const charts = kinds.flatMap((student) => {
    const points = meanByTemperature(students.students.filter((row) => row.student === student))
    return points.length === 0
      ? []
      : [{ student, points, control: students.controls.find((one) => one.student === student) }]
  })
  if (charts.length === 0) return null
  return (
    <>
      <h2>Accuracy against temperature</h2>
      <div class="panels">
        {charts.map(({ student, points, control }) => (
          <TemperatureChart key={student} student={student} points={points} control={control?.accuracy ?? null} />
        ))}
      </div>
    </>
  )
}

/** Means over seeds, of every method that has a temperature; the control (α = 0: labels alone) has none. */
function meanByTemperature(rows: StudentRow[]): Point[] {
  const groups = new Map<string, { series: string; temperature: number; values: number[] }>()
  for (const { method, alpha, temperature, metrics } of rows) {
    if (temperature === null || alpha === 0 || metrics?.accuracy == null) continue
    const series = alpha === null ? method : `${method}, α ${alpha}`
    const key = `${series} ${temperature}`
    if (!groups.has(key)) groups.set(key, { series, temperature, values: [] })
    groups.get(key)!.values.push(metrics.accuracy)
  }
  return [...groups.values()]
    .map(({ series, temperature, values }) => ({
      series,
      temperature,
      accuracy: values.reduce((sum, value) => sum + value, 0) / values.length,
      seeds: values.length,
    }))
    .sort((a, b) => a.temperature - b.temperature)
}

function TemperatureChart({ student, points, control }: { student: string; points: Point[]; control: number | null }) {
  const series = useMemo(() => [...new Set(points.map(({ series }) => series))].sort().slice(0, MOST_SERIES), [points])
  const options = useMemo(() => {
    const temperatures = [...new Set(points.map(({ temperature }) => temperature))]
    return {
      x: { ...temperatureAxis(temperatures), inset: 10 },
      y: { ...axis, label: 'accuracy, %', percent: true, nice: true },
      marks: [
        ...(control === null
          ? []
          : [ruleY([control], { stroke: controlLook.colour, strokeWidth: 2, strokeDasharray: controlLook.dashes })]),
        ...series.flatMap((name, n) => {
          const own = points.filter((point) => point.series === name)
          const { colour, symbol, dashes } = look(n)
          return [
            lineY(own, { x: atTemperature, y: 'accuracy', stroke: colour, strokeWidth: 2, strokeDasharray: dashes }),
            dot(own, {
              x: atTemperature,
              y: 'accuracy',
              symbol,
              r: 4,
              fill: colour,
              stroke: 'var(--panel)',
              title: (p: Point) =>
                `${name}, T = ${p.temperature}: ${percent(p.accuracy, 2)} (${plural(p.seeds, 'seed')})`,
            }),
          ]
        }),
      ],
    }
  }, [points, series, control])
  const told = points.map((p) => `${p.series}, T = ${p.temperature}: ${percent(p.accuracy, 2)}`)
  const against = control === null ? [] : [`control: ${percent(control, 2)}`]
  return (
    <Panel title={student}>
      <Chart
        title={`${student}: accuracy against temperature`}
        description={[...told, ...against].join('; ')}
        options={options}
      />
      <Legend
        entries={[
          ...series.map((text, n) => ({ look: look(n), text })),
          ...(control === null ? [] : [{ look: controlLook, text: 'control, labels alone' }]),
        ]}
      />
    </Panel>
  )
}

/** The students with a curve of their own colour: the most accurate, or those that train now. */
function pickCurves(students: StudentRow[]): StudentRow[] {
  const training = students.filter(({ metrics, epochs }) => metrics === null && epochs.length > 0)
  const done = sortRows(
    students.filter(({ metrics }) => metrics !== null),
    { key: 'accuracy', down: true },
  )
  return [...training, ...done].slice(0, MOST_SERIES)
}

export const describeStudent = ({ student, method, temperature, alpha, seed }: StudentRow): string =>
  [student, method, temperature === null ? '' : `T ${temperature}`, alpha === null ? '' : `α ${alpha}`, `seed ${seed}`]
    .filter(Boolean)
    .join(', ')

const MOST_GREY = 200

export function Curves({ students }: { students: StudentRow[] }) {
  const picked = useMemo(() => pickCurves(students), [students])
  const measures = [
    { of: 'loss' as const, title: 'Training loss', label: 'loss', percent: false },
    { of: 'accuracy' as const, title: 'Accuracy by epoch', label: 'accuracy, %', percent: true },
  ].filter(({ of }) => students.some(({ epochs }) => epochs.some((epoch) => epoch[of] !== null)))
  if (measures.length === 0) return <Empty>No epoch is done yet.</Empty>
  return (
    <>
      <div class="panels">
        {measures.map((measure) => (
          <CurveChart key={measure.of} {...measure} students={students} picked={picked} />
        ))}
      </div>
      <Legend
        entries={[
          ...picked.map((row, n) => ({ look: look(n) as Look, text: describeStudent(row) })),
          ...(students.some((row) => row.epochs.length > 0 && !picked.includes(row))
            ? [{ look: { ...controlLook, dashes: '' }, text: 'the others' }]
            : []),
        ]}
      />
    </>
  )
}

/** Losses by powers of ten where they differ that much: methods weigh them by T², and the end of a training is small. */
function lossScale(students: StudentRow[]) {
  const losses = students.flatMap(({ epochs }) => epochs.map(({ loss }) => loss)).filter(Number.isFinite)
  const [least, most] = losses.reduce(([a, b], loss) => [Math.min(a, loss), Math.max(b, loss)], [Infinity, 0])
  if (!(least > 0 && most / least > 10)) return {}
  const steps = most / least > 1e3 ? [1] : [1, 2, 5]
  const ticks = Array.from({ length: 40 }, (_, i) => steps.map((step) => step * 10 ** (i - 20))).flat()
  return {
    type: 'log' as const,
    nice: false,
    ticks: ticks.filter((loss) => loss >= least && loss <= most),
    tickFormat: (loss: number) => String(Number(loss.toPrecision(2))),
    label: 'loss, logarithmic',
  }
}

function CurveChart(props: {
  of: 'loss' | 'accuracy'
  title: string
  label: string
  percent: boolean
  students: StudentRow[]
  picked: StudentRow[]
}) {
  const { of, title, label, students, picked } = props
  const options = useMemo(() => {
    const known = ({ epochs }: StudentRow) => epochs.filter((epoch) => epoch[of] !== null)
    const others = students.filter((row) => !picked.includes(row)).slice(0, MOST_GREY)
    const longest = Math.max(1, ...students.map(({ epochs }) => epochs.at(-1)?.epoch ?? 0))
    return {
      x: {
        ...axis,
        domain: [1, Math.max(2, longest)],
        label: 'epoch',
        tickFormat: (v: number) => (Number.isInteger(v) ? String(v) : ''),
      },
      y: { ...axis, label, percent: props.percent, nice: true, ...(of === 'loss' && lossScale(students)) },
      marks: [
        ...others.map((row) => lineY(known(row), { x: 'epoch', y: of, stroke: 'var(--grey)', strokeOpacity: 0.3 })),
        ...picked.flatMap((row, n) => {
          const { colour, symbol, dashes } = look(n)
          const own = known(row)
          return [
            lineY(own, { x: 'epoch', y: of, stroke: colour, strokeWidth: 2, strokeDasharray: dashes }),
            dot(own.slice(-1), {
              x: 'epoch',
              y: of,
              symbol,
              r: 4,
              fill: colour,
              stroke: 'var(--panel)',
              title: (d: StudentRow['epochs'][number]) =>
                `${describeStudent(row)}, epoch ${d.epoch}: ${small(d[of] ?? 0)}`,
            }),
          ]
        }),
      ],
    }
  }, [students, picked, of, label, props.percent])
  const told = picked.flatMap((row) => {
    const end = row.epochs.at(-1)
    return end?.[of] == null ? [] : [`${describeStudent(row)}: ${small(end[of])} after epoch ${end.epoch}`]
  })
  return (
    <Panel title={title}>
      <Chart title={title} description={told.join('; ')} options={options} />
    </Panel>
  )
}
