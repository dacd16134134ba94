import type { ComponentChildren } from 'preact'
import type { Answer } from './ask.js'

/** A name that others chose: kept apart, so that its direction of writing turns nothing around it. */
export const Name = ({ children }: { children: string }) => (
  <bdi class="name" title={children}>
    {children}
  </bdi>
)

export function Facts({ facts }: { facts: [name: string, value: string, note?: string | null][] }) {
  return (
    <dl class="facts">
      {facts.map(([name, value, note]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>
            {value}
            {note && <small>{note}</small>}
          </dd>
        </div>
      ))}
    </dl>
  )
}

export function Panel(props: { title: string; note?: ComponentChildren; wide?: boolean; children: ComponentChildren }) {
  return (
    <section class={props.wide ? 'panel wide' : 'panel'}>
      <h3>{props.title}</h3>
      {props.note && <p class="note">{props.note}</p>}
      {props.children}
    </section>
  )
}

export const Empty = ({ children }: { children: ComponentChildren }) => <p class="empty">{children}</p>

/** What came, or a quiet wait, or what went wrong and what to do. */
export function Answered<T>(props: { of: Answer<T>; height?: number; children: (answer: T) => ComponentChildren }) {
  const { answer, waiting, error, again } = props.of
  if (error !== null) {
    return (
      <div class="trouble" role="alert">
        <p>{error}</p>
        <button type="button" onClick={again}>
          Try again
        </button>
      </div>
    )
  }
  if (answer === undefined) {
    return (
      <div class="wait" style={{ minHeight: `${props.height ?? 320}px` }} role="status">
        Reading …
      </div>
    )
  }
  return <div aria-busy={waiting}>{props.children(answer)}</div>
}

/** Marks of a series besides its colour, as Plot names them; the report has the same. */
export const SYMBOLS = ['circle', 'square', 'triangle', 'diamond', 'times', 'wye'] as const
export const DASHES = ['', '6 3', '2 2', '8 3 2 3', '4 2', '1 3']

export interface Look {
  colour: string
  symbol: (typeof SYMBOLS)[number]
  dashes: string
}

export const look = (n: number): Look => ({
  colour: `var(--s${n % SYMBOLS.length})`,
  symbol: SYMBOLS[n % SYMBOLS.length]!,
  dashes: DASHES[n % DASHES.length]!,
})
export const controlLook: Look = { colour: 'var(--grey)', symbol: 'square', dashes: '3 3' }

/** What lines look like, or bars: those by their style's name. */
export function Legend({ entries }: { entries: { look: Look | string; text: string }[] }) {
  return (
    <ul class="legend">
      {entries.map(({ look, text }) => (
        <li key={text}>
          {typeof look === 'string' ? (
            <span class={`swatch ${look}`} />
          ) : (
            <svg aria-hidden="true" viewBox="0 0 24 12" width="24" height="12">
              <path d="M0 6H24" stroke={look.colour} stroke-width="2" stroke-dasharray={look.dashes} fill="none" />
            </svg>
          )}
          <Name>{text}</Name>
        </li>
      ))}
    </ul>
  )
}
