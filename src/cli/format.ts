import type { Manifest } from '../cache/index.js'

/** Numbers and facts for people. */

export function count(value: number): string {
  return Math.round(value).toLocaleString('en-US')
}

export function bytes(value: number): string {
  const units = ['B', 'KB', 'MB', 'GB', 'TB']
  let unit = 0
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000
    unit++
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`
}

export function duration(seconds: number): string {
  if (!Number.isFinite(seconds)) return '?'
  if (seconds < 10) return `${seconds.toFixed(1)} s`
  const whole = Math.round(seconds)
  if (whole < 60) return `${whole} s`
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`
}

export function percent(share: number, digits = 2): string {
  return `${(share * 100).toFixed(digits)} %`
}

type HowFound = Pick<Manifest['teacher'], 'logits' | 'rule' | 'floor' | 'swapped'>

/** How a teacher's logits were found (FORMAT.md, `teacher.logits`), and by what rule where not by its graph. */
export function howFound({ logits, rule, floor, swapped }: HowFound): string {
  const by = { numbers: ', as the values of sampled rows show', told: ', as --logits-are says' }
  const least = floor === undefined ? '' : `, of ${Number(floor.toPrecision(3))} at least`
  return `${logits}${least}${rule ? by[rule] : ''}${swapped ? ', its two columns swapped' : ''}`
}
