import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks'
import type { Section, What } from '../api.js'
import { forget, useAnswer } from './ask.js'
import { ClassesPage } from './classes.js'
import { isPlainKey } from './keys.js'
import { LivePage, useLive } from './live.js'
import { OverviewPage } from './overview.js'
import { Answered, Empty } from './parts.js'
import { go, link, type Route, useRoute } from './route.js'
import { SamplePage } from './sample.js'
import { SamplesPage } from './samples.js'
import { StudentsPage } from './students.js'
import { FIRST_STOP } from './temperature.js'

const TITLES: Record<Section, string> = {
  overview: 'Overview',
  samples: 'Samples',
  classes: 'Classes',
  students: 'Students',
  live: 'Live',
}

export function App() {
  const answer = useAnswer<What>('/api/what')
  return <Answered of={answer}>{(what) => <Page what={what} changed={answer.again} />}</Answered>
}

function Page({ what, changed }: { what: What; changed: () => void }) {
  const route = useRoute()
  const live = useLive(what.live)
  // An export that has ended is a dataset, with other sections.
  const ended = live.export?.done === true
  useEffect(() => {
    if (!ended) return
    forget()
    changed()
  }, [ended, changed])
  const help = useRef<HTMLDialogElement>(null)
  const heading = useRef<HTMLHeadingElement>(null)
  const { sections } = what
  const section = route.section && sections.includes(route.section) ? route.section : (sections[0] ?? 'overview')
  const here = { ...route, section }
  const title = route.row !== null && section === 'samples' ? `Row ${route.row}` : TITLES[section]

  useEffect(() => {
    document.title = `${title} · ${what.title} · decant`
  }, [title, what.title])

  // A new section begins at its top, for eyes and for screen readers; a new filter or page of a list does not.
  // Before it is painted: who sees the new title types into it.
  const opened = useRef(title)
  useLayoutEffect(() => {
    if (opened.current === title) return
    opened.current = title
    heading.current?.focus({ preventScroll: true })
    if (route.row === null) scrollTo(0, 0)
  }, [title, route.row])

  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      if (!isPlainKey(event)) return
      const wanted = sections[Number(event.key) - 1]
      if (/^[1-9]$/.test(event.key) && wanted) go(link(wanted))
      else if (event.key === '?') help.current?.showModal()
      else return
      event.preventDefault()
    }
    addEventListener('keydown', press)
    return () => removeEventListener('keydown', press)
  }, [sections])

  return (
    <>
      <button type="button" class="skip" onClick={() => heading.current?.focus()}>
        Skip to the content
      </button>
      <header class="top">
        <div class="brand">
          <b>{what.title}</b>
          <span class="place" title={what.place}>
            <bdi>{what.place === what.title ? '' : what.place}</bdi>
          </span>
          <button type="button" class="quiet" aria-keyshortcuts="?" onClick={() => help.current?.showModal()}>
            Keys
          </button>
        </div>
        <nav aria-label="Sections">
          {sections.map((one) => (
            <a key={one} href={link(one)} aria-current={one === section ? 'page' : undefined}>
              {TITLES[one]}
              {one === 'live' && what.live && !live.done && <span class="dot" role="img" aria-label="running" />}
            </a>
          ))}
        </nav>
      </header>
      <main id="main">
        <h1 ref={heading} tabIndex={-1}>
          {title}
        </h1>
        <Content what={what} route={here} live={live} />
      </main>
      <Help dialog={help} sections={sections} />
    </>
  )
}

function Content(props: { what: What; route: Route; live: ReturnType<typeof useLive> }) {
  const { what, route, live } = props
  const [stop, setStop] = useState(FIRST_STOP)
  if (what.sections.length === 0)
    return <Empty>There is nothing to see here yet. Export a dataset first: decant export.</Empty>
  switch (route.section) {
    case 'samples':
      return route.row !== null && what.targets ? (
        <SamplePage row={route.row} query={route.query} targets={what.targets} stop={stop} changeStop={setStop} />
      ) : (
        <SamplesPage what={what} query={route.query} />
      )
    case 'classes':
      return <ClassesPage what={what} stop={stop} changeStop={setStop} />
    case 'students':
      return <StudentsPage grown={live.students} />
    case 'live':
      return <LivePage live={live} />
    default:
      return <OverviewPage what={what} />
  }
}

const KEYS: [keys: string[], does: string][] = [
  [['←', '→'], 'previous and next sample; from card to card in the list'],
  [['+', '−'], 'temperature of the open sample, an eighth of a doubling'],
  [['Esc'], 'back to the list'],
  [['?'], 'these keys'],
]

function Help({ dialog, sections }: { dialog: { current: HTMLDialogElement | null }; sections: Section[] }) {
  return (
    <dialog ref={dialog} aria-labelledby="keys">
      <h2 id="keys">Keys</h2>
      <dl class="keys">
        {sections.map((section, n) => (
          <div key={section}>
            <dt>
              <kbd>{n + 1}</kbd>
            </dt>
            <dd>{TITLES[section]}</dd>
          </div>
        ))}
        {KEYS.map(([keys, does]) => (
          <div key={does}>
            <dt>
              {keys.map((key) => (
                <kbd key={key}>{key}</kbd>
              ))}
            </dt>
            <dd>{does}</dd>
          </div>
        ))}
      </dl>
      <form method="dialog">
        <button type="submit">Close</button>
      </form>
    </dialog>
  )
}
