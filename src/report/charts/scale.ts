import type { Interval } from '../../student/index.js'

/** From data to pixels. */
export interface Scale {
  (value: number): number
  ticks: number[]
  /** The ends, in the data. */
  domain: [number, number]
}

/** Where the interval of a share ends: Student's t knows no bounds, a share does. */
export const shareEnds = ({ mean, half }: Pick<Interval, 'mean' | 'half'>): [low: number, high: number] => [
  Math.max(0, mean - (half ?? 0)),
  Math.min(1, mean + (half ?? 0)),
]

type Range = readonly [from: number, to: number]

const onto = ([low, high]: Range, [from, to]: Range) => {
  const width = high - low || 1
  return (value: number) => from + ((value - low) / width) * (to - from)
}

/** Round ticks, about as many as asked for; the domain grows to the outer ones. */
export function linear(values: readonly number[], range: Range, count = 5): Scale {
  const [least, most] = extent(values)
  const spread = most - least
  const step = niceStep((spread > 1e-9 * Math.max(1, Math.abs(most)) ? spread : Math.abs(most) || 1) / count)
  const [low, high] = [Math.floor(least / step + 1e-9), Math.ceil(most / step - 1e-9)]
  const ticks = Array.from({ length: Math.max(high, low + 1) - low + 1 }, (_, i) => round((low + i) * step))
  return scale(onto([ticks[0]!, ticks.at(-1)!], range), ticks)
}

/** Logarithmic: a tick at each power of the base; where that is too few, at every value. All values are positive. */
export function logarithmic(values: readonly number[], range: Range, base = 10): Scale {
  const [least, most] = extent(values)
  const log = (value: number) => Math.log(value) / Math.log(base)
  const [low, high] = [Math.floor(log(least) + 1e-9), Math.ceil(log(most) - 1e-9)]
  const every = Math.max(1, Math.ceil((high - low) / 6))
  const ticks = []
  for (let e = low; e <= Math.max(high, low + 1); e += every) ticks.push(base ** e)
  const map = onto([log(ticks[0]!), log(ticks.at(-1)!)], range)
  return scale((value) => map(log(value)), ticks)
}

function scale(map: (value: number) => number, ticks: number[]): Scale {
  return Object.assign((value: number) => map(value), { ticks, domain: [ticks[0]!, ticks.at(-1)!] as [number, number] })
}

function extent(values: readonly number[]): [number, number] {
  const finite = values.filter(Number.isFinite)
  return finite.length > 0 ? [finite.reduce((a, b) => Math.min(a, b)), finite.reduce((a, b) => Math.max(a, b))] : [0, 1]
}

/** The smallest of 1, 2, 5 × 10^n that is at least `step`. */
function niceStep(step: number): number {
  const power = 10 ** Math.floor(Math.log10(step))
  return power * ([1, 2, 5, 10].find((n) => n * power >= step * (1 - 1e-9)) ?? 10)
}

const round = (value: number) => Number(value.toPrecision(12))
