import { areaY, lineY } from '@observablehq/plot'
import { useEffect, useMemo, useState } from 'preact/hooks'
import type { Live, StudentRow, Students } from '../api.js'
import { isOneFile } from './ask.js'
import { Chart } from './chart.js'
import { count, duration, percent, plural, small } from './format.js'
import { Empty, Facts, Name, Panel } from './parts.js'
import { Curves, describeStudent } from './students.js'

type Export = Extract<Live, { type: 'export' }>

export interface LiveState {
  link: 'none' | 'open' | 'lost'
  export: Export | null
  /** rows a second, as they were said, the newest last */
  rates: { at: number; rate: number }[]
  students: Students | null
  done: boolean
}

const MOST_RATES = 300

/** What runs, from the server's events; the browser connects again by itself. */
export function useLive(wanted: boolean): LiveState {
  const [state, setState] = useState<LiveState>({ link: 'none', export: null, rates: [], students: null, done: false })
  useEffect(() => {
    if (!wanted || isOneFile) return
    const events = new EventSource('/api/live')
    events.onopen = () => setState((old) => ({ ...old, link: 'open' }))
    events.onerror = () => setState((old) => ({ ...old, link: 'lost' }))
    events.onmessage = ({ data }: MessageEvent<string>) => {
      const event = JSON.parse(data) as Live
      setState((old) => takeEvent(old, event))
      // A server that has said all ends the stream; it would only say it again.
      if (event.done) events.close()
    }
    return () => events.close()
  }, [wanted])
  return state
}

function takeEvent(old: LiveState, event: Live): LiveState {
  if (event.type === 'students') return { ...old, link: 'open', students: event.students, done: event.done }
  const known = event.rowsPerSecond > 0 || old.rates.length > 0 // not measured yet: no rate of 0
  const rates = known
    ? [...old.rates, { at: performance.now() / 1000, rate: event.rowsPerSecond }].slice(-MOST_RATES)
    : old.rates
  return { ...old, link: 'open', export: event, rates, done: event.done }
}

export function LivePage({ live }: { live: LiveState }) {
  const { link, students } = live
  return (
    <>
      {link === 'lost' && !live.done && (
        <p class="trouble" role="alert">
          The server is gone; this page goes on by itself when it is back.
        </p>
      )}
      {live.export && <ExportProgress now={live.export} rates={live.rates} />}
      {students && (
        <>
          <p role="status">{live.done ? 'Training is done.' : `Training: ${counted(students)}.`}</p>
          <InTraining students={students.students} />
          <Curves students={students.students} />
        </>
      )}
      {!live.export && !students && (
        <Empty>
          Nothing runs here now. This page shows an export or a training in this folder as soon as it writes something.
        </Empty>
      )}
    </>
  )
}

/** A student of a plan that has neither a step nor an epoch waits for its turn. */
function counted({ students }: Students): string {
  const left = students.filter(({ metrics, failed }) => metrics === null && failed === undefined)
  const begun = left.filter(({ training, epochs }) => training || epochs.length > 0).length
  return [
    `${plural(begun, 'student')} at work`,
    `${plural(students.length - left.length, 'student')} done`,
    ...(left.length > begun ? [`${count(left.length - begun)} to come`] : []),
  ].join(', ')
}

const MOST_SHOWN = 12

/** The students in training, by the step that each is at. */
function InTraining({ students }: { students: StudentRow[] }) {
  const now = students.flatMap((row) => (row.training ? [{ row, ...row.training }] : []))
  if (now.length === 0) return null
  return (
    <ul class="training">
      {now.slice(0, MOST_SHOWN).map(({ row, step, steps, loss }) => (
        <li key={row.id}>
          <Name>{describeStudent(row)}</Name>
          <span class="soft">
            step {count(step)} of {count(steps)}
            {loss !== null && `, loss ${small(loss)}`}
          </span>
          <progress aria-label={describeStudent(row)} value={step} max={steps} />
        </li>
      ))}
      {now.length > MOST_SHOWN && <li class="note">and {plural(now.length - MOST_SHOWN, 'other')}</li>}
    </ul>
  )
}

function ExportProgress({ now, rates }: { now: Export; rates: LiveState['rates'] }) {
  const share = now.of === 0 ? 0 : now.rows / now.of
  const first = rates[0]?.at ?? 0
  const options = useMemo(
    () => ({
      x: { label: 'seconds here', tickSize: 0, labelArrow: 'none' as const, ticks: 5 },
      y: { grid: true, tickSize: 0, labelArrow: 'none' as const, ticks: 4, zero: true, label: 'rows a second' },
      marks: [
        areaY(rates, { x: ({ at }) => at - first, y: 'rate', fill: 'var(--s0)', fillOpacity: 0.12 }),
        lineY(rates, { x: ({ at }) => at - first, y: 'rate', stroke: 'var(--s0)', strokeWidth: 2 }),
      ],
    }),
    [rates, first],
  )
  return (
    <>
      <div class="progress">
        <label for="progress">{now.done ? 'Export, done' : 'Export'}</label>
        <output>{percent(share)}</output>
        <progress id="progress" value={now.rows} max={now.of} />
      </div>
      <Facts
        facts={[
          ['rows', count(now.rows), `of ${count(now.of)}`],
          ['rate', count(Math.round(now.rowsPerSecond)), 'rows a second'],
          ['time left', now.done ? 'none' : now.secondsLeft === null ? '…' : duration(now.secondsLeft)],
        ]}
      />
      {rates.length > 1 && (
        <div class="panels after">
          <Panel title="Rate">
            <Chart
              title="Rows a second"
              description={`${count(Math.round(now.rowsPerSecond))} rows a second now`}
              height={160}
              options={options}
            />
          </Panel>
        </div>
      )}
    </>
  )
}
