import { useId } from 'preact/hooks'
import { TEMPERATURES } from '../api.js'
import { temperature } from './format.js'

const LAST = TEMPERATURES.length - 1
const NAMED = [0.5, 1, 2, 4, 8, 20]

export const stopOf = (t: number): number => TEMPERATURES.indexOf(t)
/** Where students learn most often, and where more than the first class is seen. */
export const FIRST_STOP = stopOf(4)
export const clampStop = (stop: number): number => Math.min(LAST, Math.max(0, stop))

/** T from 0.5 to 20, evenly in log T; arrow keys step an eighth of a doubling. */
export function TemperatureSlider({ stop, change }: { stop: number; change: (stop: number) => void }) {
  const id = useId()
  const t = temperature(TEMPERATURES[stop]!)
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
          max={LAST}
          step={1}
          value={stop}
          aria-valuetext={`T = ${t}`}
          onInput={(event) => change(Number(event.currentTarget.value))}
        />
        <div class="stops" aria-hidden="true">
          {NAMED.map((value) => (
            <button
              key={value}
              type="button"
              tabIndex={-1}
              style={{ left: `${(stopOf(value) / LAST) * 100}%` }}
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
