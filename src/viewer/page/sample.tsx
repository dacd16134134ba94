import { useLayoutEffect, useMemo, useState } from 'preact/hooks'
import type { Sample, SampleQuery, TargetsFacts } from '../api.js'
import { type Distribution, type Slot, softenSample } from '../distribution.js'
import { placeIn } from '../text.js'
import { imageOf, useAnswer } from './ask.js'
import { count, plural, probability, small } from './format.js'
import { isPlainKey } from './keys.js'
import { Answered, Legend, Name } from './parts.js'
import { go, link, sampleLink } from './route.js'
import { clampStop, TemperatureSlider } from './temperature.js'
import { stepRow } from './walk.js'

interface Props {
  row: number
  query: SampleQuery
  targets: TargetsFacts
  stop: number
  changeStop: (stop: number) => void
}

export function SamplePage({ row, query, targets, stop, changeStop }: Props) {
  const [position, setPosition] = useState<number | null>(null)
  const answer = useAnswer<Sample>(`/api/samples/${row}${position === null ? '' : `?position=${position}`}`)
  const [said, setSaid] = useState('')
  const move = async (by: 1 | -1) => {
    const next = await stepRow(query, { row, by, rows: targets.rows }).catch(() => undefined)
    const way = by > 0 ? 'later' : 'earlier'
    if (next === null) setSaid(`No ${way} sample in this list.`)
    else if (next === undefined) setSaid(`No ${way} sample was found: look further in the list.`)
    else {
      setSaid('')
      setPosition(null)
      go(sampleLink(next, query))
    }
  }
  // Before the page is painted, so that no key is lost between.
  useLayoutEffect(() => {
    const press = (event: KeyboardEvent) => {
      if (!isPlainKey(event)) return
      if (event.key === 'ArrowRight') void move(1)
      else if (event.key === 'ArrowLeft') void move(-1)
      else if (event.key === 'Escape') go(link('samples', query))
      else if (event.key === '+' || event.key === '=') changeStop(clampStop(stop + 1))
      else if (event.key === '-') changeStop(clampStop(stop - 1))
      else return
      event.preventDefault()
    }
    addEventListener('keydown', press)
    return () => removeEventListener('keydown', press)
  })
  return (
    <>
      <nav class="paging top" aria-label="Samples of the list">
        <a href={link('samples', query)}>‹ All samples</a>
        <span class="note" role="status">
          {said}
        </span>
        <button type="button" aria-label="Previous sample" aria-keyshortcuts="ArrowLeft" onClick={() => void move(-1)}>
          ←
        </button>
        <button type="button" aria-label="Next sample" aria-keyshortcuts="ArrowRight" onClick={() => void move(1)}>
          →
        </button>
      </nav>
      <Answered of={answer} height={640}>
        {(sample) => (
          <Opened sample={sample} targets={targets} stop={stop} changeStop={changeStop} changePosition={setPosition} />
        )}
      </Answered>
    </>
  )
}

function Opened(props: {
  sample: Sample
  targets: TargetsFacts
  stop: number
  changeStop: (stop: number) => void
  changePosition: (position: number) => void
}) {
  const { sample, targets, stop, changeStop, changePosition } = props
  const { names, classes } = targets
  const soft = useMemo(() => softenSample(sample, stop, classes), [sample, stop, classes])
  const wrong = sample.label !== null && sample.label !== sample.top
  return (
    <div class="sample">
      <div class="about">
        <Picture sample={sample} names={names} />
        <dl class="lines">
          <dt>row</dt>
          <dd>{count(sample.row)}</dd>
          <dt>id</dt>
          <dd>
            <Name>{sample.id}</Name>
          </dd>
          {targets.views > 1 && (
            <>
              <dt>view</dt>
              <dd>{sample.view}</dd>
            </>
          )}
          {sample.label !== null && (
            <>
              <dt>label</dt>
              <dd>
                <Name>{names[sample.label]!}</Name>
              </dd>
            </>
          )}
          <dt>teacher</dt>
          <dd>
            <Name>{names[sample.top]!}</Name> {wrong && <strong class="miss">✗ wrong</strong>}
          </dd>
          {sample.student !== null && (
            <>
              <dt>student</dt>
              <dd>
                <Name>{names[sample.student]!}</Name>{' '}
                {sample.student !== sample.top && <strong class="miss">≠ teacher</strong>}
              </dd>
            </>
          )}
          <dt>entropy</dt>
          <dd>
            {soft.entropy.toFixed(3)} <small>of at most {Math.log(classes).toFixed(3)} nats</small>
          </dd>
        </dl>
        {sample.positions > 1 && sample.position !== null && (
          <label class="position">
            Position
            <input
              type="number"
              min={0}
              max={sample.positions - 1}
              value={sample.position}
              onChange={({ currentTarget }) => changePosition(placeIn(currentTarget.value, sample.positions))}
            />
            of {count(sample.positions)}
          </label>
        )}
      </div>
      <div class="targets">
        <TemperatureSlider stop={stop} change={changeStop} />
        <Bars soft={soft} sample={sample} names={names} />
      </div>
    </div>
  )
}

function Picture({ sample, names }: { sample: Sample; names: string[] }) {
  if (sample.image) {
    const label = sample.label === null ? '' : `, labelled ${names[sample.label]}`
    return <img class="picture" src={imageOf(sample.row)} alt={`Row ${sample.row}${label}`} width="320" height="320" />
  }
  if (sample.text !== null) {
    return (
      // biome-ignore lint/a11y/noNoninteractiveTabindex: a long text scrolls
      <section class="passage" aria-label="Text" tabIndex={0}>
        <bdi>{sample.text}</bdi>
      </section>
    )
  }
  if (sample.features) return <Features values={sample.features} />
  return (
    <p class="empty">
      The source of the pictures is not at hand: open the dataset where its source is, or export with --store-inputs.
    </p>
  )
}

const MOST_FEATURES = 64

function Features({ values }: { values: number[] }) {
  const most = values.reduce((max, value) => Math.max(max, Math.abs(value)), 0) || 1
  const shown = values.slice(0, MOST_FEATURES)
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a long list scrolls
    <section class="features" aria-label="Features" tabIndex={0}>
      <ol start={0}>
        {shown.map((value, i) => (
          <li key={i}>
            <span class="rod" aria-hidden="true">
              <span class={value < 0 ? 'below' : ''} style={{ width: `${(Math.abs(value) / most) * 100}%` }} />
            </span>
            {small(value)}
          </li>
        ))}
      </ol>
      {values.length > shown.length && <p class="note">and {plural(values.length - shown.length, 'more value')}</p>}
    </section>
  )
}

const FEW = 15
const LOG_FROM = 1e-6

/** Soft targets as bars: a class a line, in an order that the temperature does not change, so that nothing jumps. */
function Bars({ soft, sample, names }: { soft: Distribution; sample: Sample; names: string[] }) {
  const [all, setAll] = useState(false)
  const [log, setLog] = useState(false)
  const shown = all ? soft.slots : firstOf(soft.slots, sample)
  const rest = soft.slots.length - shown.length
  const sum = (read: (slot: Slot) => number) => {
    const inside = new Set(shown)
    return soft.slots.reduce((total, slot) => (inside.has(slot) ? total : total + read(slot)), 0)
  }
  const width = (p: number) => `${(log ? Math.max(0, 1 - Math.log(p) / Math.log(LOG_FROM)) : p) * 100}%`
  const student = sample.studentLogits !== null
  return (
    <>
      <div class="above">
        {student ? (
          <Legend
            entries={[
              { look: 'teacher-bar', text: 'teacher' },
              { look: 'student-bar', text: 'student' },
            ]}
          />
        ) : (
          <span class="note">soft targets, softmax(z/T)</span>
        )}
        <label class="check">
          <input type="checkbox" checked={log} onChange={() => setLog(!log)} /> logarithmic
        </label>
      </div>
      <section class="scroll bars shares" aria-label="Soft targets">
        <table>
          <colgroup>
            <col class="col-name" />
            <col />
            <col class="col-number" />
            <col class="col-number" />
          </colgroup>
          <thead>
            <tr>
              <th scope="col" class="text">
                class
              </th>
              <td class="ends">
                <span aria-hidden="true">
                  <span>{log ? '10⁻⁶' : '0'}</span>
                  <span>{log ? '10⁻³' : '½'}</span>
                  <span>1</span>
                </span>
              </td>
              <th scope="col">p</th>
              <th scope="col">logit</th>
            </tr>
          </thead>
          <tbody>
            {shown.map((slot) => (
              <tr key={slot.class} data-class={slot.class} data-p={slot.p}>
                <th scope="row">
                  <Name>{names[slot.class]!}</Name>
                  {slot.class === sample.label && <span class="tag label">label</span>}
                  {slot.class === sample.top && <span class="tag teacher">teacher</span>}
                  {slot.class === sample.student && <span class="tag student">student</span>}
                </th>
                <td class="bar">
                  <span class="teacher-bar" style={{ width: width(slot.p) }} />
                  {student && <span class="student-bar" style={{ width: width(slot.student!) }} />}
                </td>
                <td class="number">
                  <span>{probability(slot.p)}</span>
                  {student && <span class="soft">{probability(slot.student!)}</span>}
                </td>
                <td class="number logit">
                  <span>{slot.logit.toFixed(2)}</span>
                  {student && <span class="soft">{slot.studentLogit!.toFixed(2)}</span>}
                </td>
              </tr>
            ))}
            {rest > 0 && (
              <Together
                name={`${count(rest)} others`}
                kind="rest"
                p={sum(({ p }) => p)}
                student={student ? sum((slot) => slot.student!) : null}
                width={width}
              />
            )}
            {soft.tail && (
              <Together
                name={`tail of ${plural(soft.tail.classes, 'class', 'classes')}`}
                kind="tail"
                p={soft.tail.p}
                student={soft.tail.student}
                width={width}
                label={sample.label !== null && !sample.index.includes(sample.label) ? names[sample.label]! : null}
              />
            )}
          </tbody>
        </table>
      </section>
      {soft.slots.length > FEW && (
        <button type="button" class="more" aria-expanded={all} onClick={() => setAll(!all)}>
          {all ? `Show the first ${FEW} only` : `Show all ${count(soft.slots.length)}`}
        </button>
      )}
    </>
  )
}

function Together(props: {
  name: string
  kind: 'rest' | 'tail'
  p: number
  student: number | null
  width: (p: number) => string
  /** the label, where the sample's class is among these */
  label?: string | null
}) {
  return (
    <tr class="together" data-class={props.kind} data-p={props.p}>
      <th scope="row">
        {props.name}
        {props.label && (
          <span class="tag label" title={props.label}>
            label
          </span>
        )}
      </th>
      <td class="bar">
        <span class="teacher-bar" style={{ width: props.width(props.p) }} />
        {props.student !== null && <span class="student-bar" style={{ width: props.width(props.student) }} />}
      </td>
      <td class="number">
        <span>{probability(props.p)}</span>
        {props.student !== null && <span class="soft">{probability(props.student)}</span>}
      </td>
      <td />
    </tr>
  )
}

/** The likeliest classes, and those that are marked wherever they stand. */
function firstOf(slots: Slot[], sample: Sample): Slot[] {
  return slots.filter((slot, i) => i < FEW || slot.class === sample.label || slot.class === sample.student)
}
