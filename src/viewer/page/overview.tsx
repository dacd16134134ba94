import { dot, lineY, ruleY } from '@observablehq/plot'
import { useMemo, useState } from 'preact/hooks'
import type { Overview, TargetsFacts, What } from '../api.js'
import { useAnswer } from './ask.js'
import { Chart } from './chart.js'
import { bytes, count, percent, plural, small, temperature } from './format.js'
import { Answered, Empty, Facts, Legend, Name, Panel } from './parts.js'
import { link } from './route.js'

export function OverviewPage({ what }: { what: What }) {
  const answer = useAnswer<Overview>('/api/overview')
  const { targets } = what
  if (!targets) return <Empty>The soft targets are not at hand here: open the dataset's own folder to see them.</Empty>
  return (
    <>
      <Facts facts={datasetFacts(targets)} />
      <Answered of={answer} height={900}>
        {(overview) => <Figures overview={overview} targets={targets} />}
      </Answered>
    </>
  )
}

function datasetFacts(targets: TargetsFacts): [string, string, string?][] {
  const { rows, classes, codec, kind, positions, views, teacher, license } = targets
  return [
    ['rows', count(rows), views > 1 ? `${views} views a sample` : positions > 1 ? `${positions} positions a row` : ''],
    ['classes', count(classes)],
    ['codec', codec, kind === 'dense' ? 'every class is kept' : 'the likeliest classes and the tail'],
    ['size', bytes(targets.bytes), `${bytes(targets.bytes / Math.max(1, rows))} a row`],
    ['teacher', teacher.file, `sha256 ${teacher.sha256.slice(0, 8)}…`],
    ['licence', license ?? 'not given', `manifest ${targets.manifest.slice(0, 8)}…`],
  ]
}

function Figures({ overview, targets }: { overview: Overview; targets: TargetsFacts }) {
  const { tally, reliability, byTemperature, fidelity } = overview
  const sampled = sampledNote(overview, targets)
  return (
    <>
      <h2>The teacher</h2>
      {tally ? (
        <Facts
          facts={[
            ['accuracy', percent(tally.accuracy, 2), tally.top5 === null ? '' : `top-5 ${percent(tally.top5, 2)}`],
            ['log loss', small(tally.nll), 'nats'],
            ['calibration error', percent(tally.ece, 2), '15 bins of confidence'],
            ['Brier score', small(tally.brier)],
            ['AURC', small(tally.aurc), 'risk over coverage'],
          ]}
        />
      ) : (
        <Empty>No labels here, so the teacher's accuracy and calibration are not known.</Empty>
      )}
      {sampled && <p class="note after">{sampled}</p>}
      <div class="panels">
        {reliability.length > 0 && <ReliabilityPanel bins={reliability} />}
        <TemperaturePanel
          title="Entropy by temperature"
          label="entropy, nats"
          note="How much a soft target says beyond its first class; the line above is a uniform one."
          points={byTemperature.map(({ temperature, entropy }) => ({ temperature, value: entropy }))}
          most={Math.log(targets.classes)}
        />
        <TemperaturePanel
          title="Largest probability by temperature"
          label="mean of the largest"
          points={byTemperature.map(({ temperature, top }) => ({ temperature, value: top }))}
          note="The mean soft target of the first class."
        />
        {byTemperature.some(({ tail }) => tail !== null) && (
          <TemperaturePanel
            title="Tail mass by temperature"
            label="mean mass of the tail"
            points={byTemperature.map(({ temperature, tail }) => ({ temperature, value: tail ?? 0 }))}
            note="What the classes that are not kept one by one have together."
          />
        )}
      </div>
      <Fidelity fidelity={fidelity} codec={targets.codec} bucketed={targets.kind === 'bucketed'} />
      <h2>Classes</h2>
      <ClassCounts overview={overview} names={targets.names} />
    </>
  )
}

const axis = { grid: true, tickSize: 0, labelArrow: 'none' as const }

function sampledNote({ rows, softened }: Overview, { rows: all, positions }: TargetsFacts): string {
  if (positions > 1) return `From ${count(rows)} positions.`
  const parts = [
    rows < all ? `from ${count(rows)} random rows of ${count(all)}` : '',
    softened < rows ? `curves by temperature from ${count(softened)}` : '',
  ].filter(Boolean)
  return parts.length === 0 ? '' : `Figures ${parts.join(', ')}.`
}

function ReliabilityPanel({ bins }: { bins: Overview['reliability'] }) {
  const filled = useMemo(() => bins.filter(({ rows }) => rows > 0), [bins])
  const most = Math.max(...filled.map(({ rows }) => rows))
  const options = useMemo(
    () => ({
      x: { ...axis, domain: [0, 1], ticks: 5, label: 'confidence' },
      y: { ...axis, domain: [0, 1], ticks: 5, label: 'accuracy' },
      r: { type: 'sqrt' as const, domain: [0, most], range: [2, 11] },
      marks: [
        lineY([0, 1], { x: [0, 1], stroke: 'var(--grey)', strokeDasharray: '2 4' }),
        lineY(filled, { x: 'confidence', y: 'accuracy', stroke: 'var(--s0)', strokeWidth: 2 }),
        dot(filled, {
          x: 'confidence',
          y: 'accuracy',
          r: 'rows',
          fill: 'var(--s0)',
          stroke: 'var(--panel)',
          title: ({ confidence, accuracy, rows }: Overview['reliability'][number]) =>
            `${plural(rows, 'row')}: confidence ${percent(confidence)}, accuracy ${percent(accuracy)}`,
        }),
      ],
    }),
    [filled, most],
  )
  return (
    <Panel
      title="Reliability"
      note="On the dotted line confidence is accuracy. A mark's area is its share of the rows."
    >
      <Chart
        title="Reliability diagram"
        description={filled
          .map(({ confidence, accuracy }) => `confidence ${percent(confidence)} accuracy ${percent(accuracy)}`)
          .join('; ')}
        options={options}
      />
    </Panel>
  )
}

/** Temperatures on an axis: even in log T, with ticks where a reader expects them. */
export const temperatureAxis = (ticks: number[] = [0.5, 1, 2, 4, 8, 20]) => ({
  ...axis,
  ticks: ticks.map(Math.log2),
  tickFormat: (exponent: number) => String(Number((2 ** exponent).toPrecision(6))),
  label: 'temperature T',
})
/** Where a temperature lies on it. */
export const atTemperature = ({ temperature }: { temperature: number }): number => Math.log2(temperature)

function TemperaturePanel(props: {
  title: string
  label: string
  note: string
  points: { temperature: number; value: number }[]
  most?: number
}) {
  const { title, label, note, points, most } = props
  const options = useMemo(
    () => ({
      x: temperatureAxis(),
      y: {
        ...axis,
        zero: true,
        ticks: 5,
        label,
        domain: [0, most ?? Math.max(1e-9, ...points.map((p) => p.value))],
        nice: most === undefined,
      },
      marks: [
        ...(most === undefined ? [] : [ruleY([most], { stroke: 'var(--grey)', strokeDasharray: '2 4' })]),
        lineY(points, { x: atTemperature, y: 'value', stroke: 'var(--s0)', strokeWidth: 2 }),
        dot(points, {
          x: atTemperature,
          y: 'value',
          r: 7,
          fill: 'var(--s0)',
          fillOpacity: 0,
          title: (p: { temperature: number; value: number }) => `T = ${temperature(p.temperature)}: ${small(p.value)}`,
        }),
      ],
    }),
    [points, label, most],
  )
  const told = points.filter(({ temperature }) => [0.5, 1, 2, 4, 8, 20].includes(temperature))
  return (
    <Panel title={title} note={note}>
      <Chart
        title={title}
        description={told.map((p) => `T = ${p.temperature}: ${small(p.value)}`).join('; ')}
        options={options}
      />
    </Panel>
  )
}

function Fidelity(props: { fidelity: Overview['fidelity']; codec: string; bucketed: boolean }) {
  const { fidelity, codec, bucketed } = props
  if (fidelity.length === 0) return null
  return (
    <>
      <h2>What the codec keeps</h2>
      <p class="note">
        Divergence of the stored soft targets ({codec}) from the teacher's own, in nats, as it was measured at export.
        {bucketed && ' Buckets are the classes that are kept, and the tail as one; its error is of its mass.'}
      </p>
      <section class="scroll narrow" aria-label="Fidelity of the codec">
        <table>
          <thead>
            <tr>
              <th scope="col" class="text">
                T
              </th>
              {bucketed && <th scope="col">KL over buckets</th>}
              <th scope="col">KL over classes</th>
              {bucketed && <th scope="col">tail's error</th>}
            </tr>
          </thead>
          <tbody>
            {fidelity.map((row) => (
              <tr key={row.temperature}>
                <th scope="row">{row.temperature}</th>
                {bucketed && <td>{small(row.klBuckets)}</td>}
                <td>{small(row.klClasses)}</td>
                {bucketed && <td>{row.tailError === null ? '–' : percent(row.tailError, 2)}</td>}
              </tr>
            ))}
          </tbody>
        </table>
      </section>
    </>
  )
}

const FEW = 20

/** Rows by label and by the teacher's first class; each a way to its samples. */
function ClassCounts({ overview, names }: { overview: Overview; names: string[] }) {
  const { labels, predictions } = overview
  const [all, setAll] = useState(false)
  const order = useMemo(() => {
    const size = (c: number) => (labels?.[c] ?? 0) + predictions[c]!
    const list = names.map((_, c) => c)
    return names.length <= FEW ? list : list.sort((a, b) => size(b) - size(a) || a - b)
  }, [labels, predictions, names])
  const most = order.reduce((max, c) => Math.max(max, labels?.[c] ?? 0, predictions[c]!), 1)
  const shown = all ? order : order.slice(0, FEW)
  return (
    <>
      <Legend
        entries={[
          ...(labels ? [{ look: 'label-bar', text: 'rows by label' }] : []),
          { look: 'teacher-bar', text: "rows by the teacher's first class" },
        ]}
      />
      <section class="scroll bars" aria-label="Rows by class">
        <table>
          <colgroup>
            <col class="col-name" />
            <col />
            <col class="col-number" />
          </colgroup>
          <thead class="unseen">
            <tr>
              <th scope="col">class</th>
              <td />
              <th scope="col">rows by label and by first class</th>
            </tr>
          </thead>
          <tbody>
            {shown.map((c) => (
              <tr key={c}>
                <th scope="row">
                  <a href={link('samples', labels ? { label: c } : { predicted: c })}>
                    <Name>{names[c]!}</Name>
                  </a>
                </th>
                <td class="bar">
                  {labels && <span class="label-bar" style={{ width: `${(labels[c]! / most) * 100}%` }} />}
                  <span class="teacher-bar" style={{ width: `${(predictions[c]! / most) * 100}%` }} />
                </td>
                <td class="number">
                  {labels && <span>{count(labels[c]!)}</span>}
                  <span>{count(predictions[c]!)}</span>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </section>
      {order.length > FEW && (
        <button type="button" class="more" aria-expanded={all} onClick={() => setAll(!all)}>
          {all ? `Show ${FEW} only` : `Show all ${count(order.length)}`}
        </button>
      )}
    </>
  )
}
