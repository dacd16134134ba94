import { useId } from 'preact/hooks'
import { TEMPERATURES } from '../api.js'
import { temperature } from './format.js'

const ALL = [...TEMPERATURES.keys()]
const LAST = TEMPERATURES.length - 1
const NAMED = [0.5, 1, 2, 4, 8, 20]

export const stopOf = (t: number): number => TEMPERATURES.indexOf(t)
/** Where students learn most often, and where more than the first class is seen. */
export const FIRST_STOP = stopOf(4)
export const clampStop = (stop: number): number => Math.min(LAST, Math.max(0, stop))

export const nearestStop = (stop: number, stops: readonly number[]): number =>
  stops.reduce((best, one) => (Math.abs(one - stop) < Math.abs(best - stop) ? one : best))

interface Props {
  stop: number
  /** those that it can stand at; all where not given */
  stops?: readonly number[] | undefined
  change: (stop: number) => void
}

/** T from 0.5 to 20, evenly in log T; arrow keys step an eighth of a doubling, or to the next of the given stops. */
export function TemperatureSlider({ stop, stops = ALL, change }: Props) {
  const id = useId()
  const place = stops.indexOf(nearestStop(stop, stops))
  const t = temperature(TEMPERATURES[stops[place]!]!)
  return (
    <div class="slider">
      <label for={id}>
        Temperature <i>T</i>
      </label>
      <output for={id}>{t}</output>
      <div class="track">
        <input
          id={id}
          type="range"
          min={0}
          max={stops.length - 1}
          step={1}
          value={place}
          aria-valuetext={`T = ${t}`}
          onInput={(event) => change(stops[Number(event.currentTarget.value)]!)}
        />
        <div class="stops" aria-hidden="true">
          {NAMED.map((value) => (
            <button
              key={value}
              type="button"
              tabIndex={-1}
              style={{ left: `${(stops.indexOf(stopOf(value)) / (stops.length - 1)) * 100}%` }}
              onClick={() => change(stopOf(value))}
            >
              {value}
            </button>
          ))}
        </div>
      </div>
    </div>
  )
}
