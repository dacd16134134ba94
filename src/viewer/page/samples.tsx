import { useRef } from 'preact/hooks'
import type { SampleHead, SampleQuery, Samples, TargetsFacts, What } from '../api.js'
import { imageOf, isOneFile, useAnswer, writeQuery } from './ask.js'
import { count, percent, plural } from './format.js'
import { Answered, Empty, Name } from './parts.js'
import { go, link, sampleLink } from './route.js'

const PAGE = 60

export function SamplesPage({ what, query }: { what: What; query: SampleQuery }) {
  const answer = useAnswer<Samples>(`/api/samples${writeQuery({ ...query, limit: PAGE })}`)
  const { targets } = what
  if (!targets)
    return <Empty>The soft targets are not at hand here: open the dataset's own folder to see its samples.</Empty>
  return (
    <>
      <Filters targets={targets} query={query} students={what.student !== null} />
      {what.student !== null && (
        <p class="note">
          Student: <Name>{what.student}</Name>
        </p>
      )}
      <Answered of={answer} height={700}>
        {(samples) => <List samples={samples} query={query} targets={targets} waiting={answer.waiting} />}
      </Answered>
    </>
  )
}

const ONLY: [value: SampleQuery['only'], text: string][] = [
  [undefined, 'all'],
  ['wrong', 'wrong'],
  ['uncertain', 'uncertain'],
  ['disagree', 'student differs'],
]

function Filters(props: { targets: TargetsFacts; query: SampleQuery; students: boolean }) {
  const { targets, query, students } = props
  const change = (edit: SampleQuery) =>
    go(link('samples', { ...query, from: undefined, before: undefined, ...edit } as SampleQuery))
  const choices = ONLY.filter(([value]) => (value === 'wrong' ? targets.labelled : value !== 'disagree' || students))
  return (
    <search class="filters" aria-label="Filters of the samples">
      {targets.labelled && (
        <ClassChoice
          name="Label"
          value={query.label}
          names={targets.names}
          change={(label) => change({ label } as SampleQuery)}
        />
      )}
      <ClassChoice
        name="Predicted"
        value={query.predicted}
        names={targets.names}
        change={(predicted) => change({ predicted } as SampleQuery)}
      />
      <fieldset class="choice">
        <legend>Show</legend>
        {choices.map(([value, text]) => (
          <label key={text}>
            <input
              type="radio"
              name="only"
              checked={query.only === value}
              onChange={() => change({ only: value } as SampleQuery)}
            />
            <span>{text}</span>
          </label>
        ))}
      </fieldset>
      {!isOneFile && (
        <form
          onSubmit={(event) => {
            event.preventDefault()
            const row = new FormData(event.currentTarget).get('row')
            if (typeof row === 'string' && /^\d+$/.test(row)) go(sampleLink(Math.min(Number(row), targets.rows - 1)))
          }}
        >
          <label>
            Row
            <input
              name="row"
              inputMode="numeric"
              pattern="[0-9]*"
              placeholder={`0–${count(targets.rows - 1)}`}
              autocomplete="off"
            />
          </label>
          <button type="submit">Open</button>
        </form>
      )}
    </search>
  )
}

/** More names make a list that is slow to open and too long to read: then a class is typed. */
const MOST_LISTED = 1000

function ClassChoice(props: {
  name: string
  value: number | undefined
  names: string[]
  change: (c: number | undefined) => void
}) {
  const { name, value, names, change } = props
  if (names.length > MOST_LISTED) {
    return (
      <label>
        {name}
        <input
          value={value === undefined ? '' : names[value]}
          placeholder="any: name or number"
          autocomplete="off"
          onChange={({ currentTarget }) => {
            const found = findClass(currentTarget.value, names)
            currentTarget.setCustomValidity(found === null ? 'There is no such class here.' : '')
            if (currentTarget.reportValidity()) change(found ?? undefined)
          }}
        />
      </label>
    )
  }
  return (
    <label>
      {name}
      <select
        value={value === undefined ? '' : String(value)}
        onChange={({ currentTarget }) => change(currentTarget.value === '' ? undefined : Number(currentTarget.value))}
      >
        <option value="">any</option>
        {names.map((one, c) => (
          <option key={c} value={c}>
            {one}
          </option>
        ))}
      </select>
    </label>
  )
}

/** The class of a name, or of a number; undefined for nothing, null where there is none. */
function findClass(text: string, names: string[]): number | null | undefined {
  const typed = text.trim()
  if (typed === '') return undefined
  const named = names.indexOf(typed)
  if (named >= 0) return named
  return /^\d+$/.test(typed) && Number(typed) < names.length ? Number(typed) : null
}

function List(props: { samples: Samples; query: SampleQuery; targets: TargetsFacts; waiting: boolean }) {
  const { samples, query, targets, waiting } = props
  const list = useRef<HTMLUListElement>(null)
  const found = samples.samples
  const { previous, next } = samples
  const [from, end] = [previous ?? 0, next ?? targets.rows]
  const { label, predicted, only } = query
  const to = (place: SampleQuery) => link('samples', { label, predicted, only, ...place } as SampleQuery)
  const filtered = label !== undefined || predicted !== undefined || only !== undefined
  const range = `${count(from)}–${count(Math.max(from, end - 1))}`
  const title = isOneFile
    ? `${plural(found.length, 'sample')} of the ${count(samples.scanned)} in this file; the dataset has ${plural(targets.rows, 'row')}`
    : filtered
      ? `${plural(found.length, 'sample')} in rows ${range}`
      : `Rows ${range} of ${count(targets.rows)}`
  return (
    <>
      <p class="note" role="status">
        {waiting ? 'Reading …' : title}
      </p>
      {found.length === 0 ? (
        <Empty>
          {next === null && previous === null
            ? 'No sample is like that. Choose fewer filters.'
            : `None in rows ${range}. Look further with the buttons below.`}
        </Empty>
      ) : (
        <ul
          ref={list}
          class={targets.input === 'image' ? 'grid' : 'grid texts'}
          onKeyDown={(event) => walkGrid(event, list.current)}
        >
          {found.map((head) => (
            <li key={head.row}>
              <Card head={head} query={query} targets={targets} />
            </li>
          ))}
        </ul>
      )}
      <nav class="paging" aria-label="Pages of samples">
        {previous !== null && <a href={to({})}>« First</a>}
        {previous !== null && (
          <a href={to({ before: previous })}>{found.length === 0 ? '‹ Look back' : '‹ Previous'}</a>
        )}
        {next !== null && (
          <a class="next" href={to({ from: next })}>
            {found.length === 0 ? 'Look further ›' : 'Next ›'}
          </a>
        )}
      </nav>
    </>
  )
}

function Card({ head, query, targets }: { head: SampleHead; query: SampleQuery; targets: TargetsFacts }) {
  const { names } = targets
  const wrong = head.label !== null && head.label !== head.top
  const differs = head.student !== null && head.student !== head.top
  return (
    <a class={wrong ? 'card wrong' : 'card'} href={sampleLink(head.row, query)}>
      {targets.input === 'image' ? (
        <img src={imageOf(head.row)} alt="" width="96" height="96" loading="lazy" decoding="async" />
      ) : (
        <span class="preview">{head.preview ?? head.id}</span>
      )}
      <span class="unseen">Row {head.row}, the teacher says </span>
      <span class="says">
        <Name>{names[head.top]!}</Name> <b>{percent(head.confidence, 0)}</b>
      </span>
      {wrong && (
        <span class="truth miss">
          <span aria-hidden="true">✗ </span>label <Name>{names[head.label!]!}</Name>
        </span>
      )}
      {differs && (
        <span class="truth">
          student <Name>{names[head.student!]!}</Name>
        </span>
      )}
    </a>
  )
}

/** Left and right go from card to card, up and down from line to line. */
function walkGrid(event: KeyboardEvent, list: HTMLUListElement | null) {
  const steps: Record<string, number> = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: 0, ArrowDown: 0 }
  if (!list || !(event.key in steps) || event.altKey || event.ctrlKey || event.metaKey) return
  const cards = [...list.querySelectorAll<HTMLAnchorElement>('a.card')]
  const at = cards.indexOf(document.activeElement as HTMLAnchorElement)
  if (at < 0) return
  const top = cards[0]!.getBoundingClientRect().top
  const next = cards.findIndex((card) => card.getBoundingClientRect().top > top + 1)
  const line = next < 0 ? cards.length : next
  const step = event.key === 'ArrowUp' ? -line : event.key === 'ArrowDown' ? line : steps[event.key]!
  const target = cards[at + step]
  event.stopPropagation()
  if (!target) return
  event.preventDefault()
  target.focus()
}
