import { DecantError } from '../errors.js'

/** What stands in the labels for each class, in the order of the teacher's logits. */
export interface LabelClasses {
  /** In text labels, and as directories. Where every name is a whole number, integer labels are matched by them, too. */
  names?: readonly string[]
  /** In integer labels; without them integer k is class k. */
  numbers?: readonly number[]
}

/** Of what is given from outside: undefined where it says nothing. @throws DecantError: a number twice, or not as many names as numbers */
export function checkClasses({ names, numbers }: LabelClasses = {}): LabelClasses | undefined {
  if (names && numbers && names.length !== numbers.length)
    throw new DecantError(
      `${names.length} class names, but ${numbers.length} class numbers: expected one of each for a logit`,
    )
  if (numbers && new Set(numbers).size < numbers.length)
    throw new DecantError(`the class numbers ${listed(numbers)} hold one of them twice`)
  if (!names && numbers?.every(isInPlace)) return undefined
  return names || numbers ? { ...(names && { names }), ...(numbers && { numbers }) } : undefined
}

/** The class of a label, its place among the logits (-1 = none); or what is wrong with it; undefined: a name, where no names are known. */
export type Found = { kind: 'names' | 'numbers'; label: number } | { problem: string } | undefined

const MAX_LABEL = 2 ** 31 - 1
const SEVERAL = -2

/** Finds the class of what stands in a label. */
export class ClassFinder {
  /** Numbers stand for the classes, and text is matched by its value: '3' and '3.0' are one. */
  readonly byValue: boolean
  private readonly names: Map<string, number> | undefined
  private readonly numbers: Map<number, number> | undefined
  private readonly expected: string

  constructor({ names, numbers }: LabelClasses) {
    const values = numbers ?? valuesOf(names ?? [])
    this.byValue = values !== undefined
    this.names = names && placesOf(names)
    this.numbers = values?.every(isInPlace) ? undefined : values && placesOf(values)
    this.expected = `expected a class, one of ${listed(names ?? values ?? [])}`
  }

  ofNumber(value: number): Found {
    const label = this.numbers?.get(value)
    if (label !== undefined) return { kind: 'numbers', label }
    if (Number.isNaN(value))
      return { problem: `expected a class number or a name, found NaN; where there is none, -1 or nothing` }
    if (!Number.isInteger(value)) return { problem: `expected a class number or a name, found ${value}` }
    if (value === -1) return { kind: 'numbers', label: value }
    if (this.numbers) return { problem: `${this.expected}, found ${value}` }
    if (value >= 0 && value <= MAX_LABEL) return { kind: 'numbers', label: value }
    return { problem: `expected class numbers, -1 or nothing where there is none, or names; found ${value}` }
  }

  ofText(text: string): Found {
    const [value, label] = [numberIn(text), this.names?.get(text)]
    if (value !== undefined && (label === undefined || this.byValue)) return this.ofNumber(value)
    if (label === SEVERAL) return { problem: `${JSON.stringify(text)} is the name of several classes` }
    if (label !== undefined) return { kind: 'names', label }
    return this.names || this.numbers ? { problem: `${this.expected}, found ${JSON.stringify(text)}` } : undefined
  }
}

/** The number that a text is, however it is written: '3', ' 3', '3.0' and '3e0' are one. */
export function numberIn(text: string): number | undefined {
  return /^\s*[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?\s*$/i.test(text) ? Number(text) : undefined
}

const isInPlace = (value: number, label: number) => value === label

/** What integer labels stand for names that are all different whole numbers, or false and true. */
function valuesOf(names: readonly string[]): number[] | undefined {
  const values = names.map((name) => (/^(true|false)$/i.test(name) ? Number(/^t/i.test(name)) : numberIn(name)))
  const whole = values.filter((value) => Number.isInteger(value)) as number[]
  return whole.length > 0 && new Set(whole).size === names.length ? whole : undefined
}

/** Key → place, SEVERAL where it stands in several. */
function placesOf<T>(keys: readonly T[]): Map<T, number> {
  const places = new Map<T, number>()
  for (const [place, key] of keys.entries()) places.set(key, places.has(key) ? SEVERAL : place)
  return places
}

/** The first few, for a message. */
export function listed(values: readonly (string | number)[]): string {
  const shown = values.slice(0, 5).map((value) => (typeof value === 'number' ? value : `'${value.slice(0, 60)}'`))
  return values.length > shown.length ? `${shown.join(', ')}, … (${values.length})` : shown.join(', ')
}
