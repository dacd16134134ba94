import { useMemo, useState } from 'preact/hooks'
import { alikePairs } from '../alike.js'
import type { Classes, TargetsFacts, What } from '../api.js'
import { decodeMeans, type Similarity } from '../means.js'
import { useAnswer } from './ask.js'
import { count, plural, probability, temperature } from './format.js'
import { HeatMap, samplesOf } from './heat-map.js'
import { Answered, Empty, Name } from './parts.js'
import { link } from './route.js'
import { nearestStop, TemperatureSlider } from './temperature.js'

interface Props {
  what: What
  stop: number
  changeStop: (stop: number) => void
}

export function ClassesPage({ what, stop, changeStop }: Props) {
  const { targets } = what
  const answer = useAnswer<Classes>(targets && '/api/classes')
  if (!targets)
    return <Empty>The soft targets are not at hand here: open the dataset's own folder to see its classes.</Empty>
  return (
    <>
      <p>
        What the teacher gives, on average, to other classes than a sample's own, at a temperature <i>T</i>: its dark
        knowledge. Similar classes stand side by side.
      </p>
      <TemperatureSlider stop={stop} stops={answer.answer?.stops} change={changeStop} />
      <Answered of={answer} height={640}>
        {(classes) => <Softened classes={classes} stop={stop} targets={targets} />}
      </Answered>
    </>
  )
}

function Softened({ classes, stop, targets }: { classes: Classes; stop: number; targets: TargetsFacts }) {
  const at = nearestStop(stop, classes.stops)
  const similarity = useMemo(() => decodeMeans(classes, at), [classes, at])
  return <SimilarityMap classes={similarity} targets={targets} />
}

/** Where the reader points: places in the drawn order, not classes. */
export interface Cell {
  from: number
  to: number
}

function SimilarityMap({ classes, targets }: { classes: Similarity; targets: TargetsFacts }) {
  const { names, labelled } = targets
  const [cell, setCell] = useState<Cell | null>(null)
  if (classes.classes.length < 2)
    return <Empty>Two classes are needed for a map; there are no rows of a second one.</Empty>
  const nameOf = (place: number) => names[classes.classes[classes.order[place]!]!]!
  return (
    <div class="beside">
      <div>
        <p class="readout" aria-live="polite">
          {cell ? (
            <>
              <Told cell={cell} classes={classes} nameOf={nameOf} />{' '}
              <a class="note" href={samplesOf(cell, classes, labelled)}>
                samples
              </a>
            </>
          ) : (
            <span class="note">Point at a cell or touch it, or focus the map and use the arrow keys.</span>
          )}
        </p>
        <HeatMap classes={classes} names={names} cell={cell} change={setCell} labelled={labelled} />
        {classes.classes.length < names.length && (
          <p class="note">
            The {count(classes.classes.length)} classes with the most rows, of {count(names.length)}.
          </p>
        )}
      </div>
      <Pairs classes={classes} names={names} labelled={labelled} />
    </div>
  )
}

function Told({ cell, classes, nameOf }: { cell: Cell; classes: Similarity; nameOf: (place: number) => string }) {
  const n = classes.classes.length
  const value = classes.mean[classes.order[cell.from]! * n + classes.order[cell.to]!]!
  const from = <Name>{nameOf(cell.from)}</Name>
  return cell.from === cell.to ? (
    <>
      {from} keeps <b>{probability(value)}</b> for itself
    </>
  ) : (
    <>
      {from} gives <b>{probability(value)}</b> to <Name>{nameOf(cell.to)}</Name>
    </>
  )
}

const FEW = 12
const MANY = 100

function Pairs({ classes, names, labelled }: { classes: Similarity; names: string[]; labelled: boolean }) {
  const [all, setAll] = useState(false)
  const pairs = useMemo(() => alikePairs(classes, MANY), [classes])
  const shown = all ? pairs : pairs.slice(0, FEW)
  const most = pairs[0]?.mass || 1
  return (
    <section class="panel" aria-labelledby="alike">
      <h2 id="alike">Most alike</h2>
      <p class="note">Mean soft target of both ways at T = {temperature(classes.temperature)}.</p>
      <ol class="pairs">
        {shown.map(({ from, to, mass }) => (
          <li key={`${from}-${to}`}>
            <a href={link('samples', labelled ? { label: from, predicted: to } : { predicted: from })}>
              <Name>{names[from]!}</Name> <span class="soft">and</span> <Name>{names[to]!}</Name>
            </a>
            <span class="meter" aria-hidden="true">
              <span style={{ width: `${(mass / most) * 100}%` }} />
            </span>
            <b>{probability(mass)}</b>
          </li>
        ))}
      </ol>
      {pairs.length > FEW && (
        <button type="button" class="more" aria-expanded={all} onClick={() => setAll(!all)}>
          {all ? `Show ${FEW} only` : `Show ${plural(pairs.length, 'pair')}`}
        </button>
      )}
    </section>
  )
}
