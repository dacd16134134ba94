import { InvalidArgumentError } from 'commander'
import { CODECS, type CodecName, isCodecName } from '../cache/codecs/codec.js'

/** Option parsers: each refuses what it does not understand, in the words of the option. */

/** The same parser, with values that a shell may complete; others may be right, too. */
export function suggesting<A extends unknown[], T>(
  suggestions: readonly string[] | undefined,
  parse: (...args: A) => T,
): ((...args: A) => T) & { suggestions: readonly string[] | undefined } {
  return Object.assign((...args: A) => parse(...args), { suggestions })
}

export const suggestionsOf = (parse: unknown): readonly string[] | undefined =>
  (parse as { suggestions?: readonly string[] } | undefined)?.suggestions

export function integer(least: number, most = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (!/^\d+$/.test(text) || value < least || value > most) {
      throw new InvalidArgumentError(`expected a whole number ${between(least, most)}, found '${text}'.`)
    }
    return value
  }
}

export function number(least: number, most = Number.POSITIVE_INFINITY): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (text.trim() === '' || !Number.isFinite(value) || value < least || value > most) {
      throw new InvalidArgumentError(`expected a number ${between(least, most)}, found '${text}'.`)
    }
    return value
  }
}

/** A codec's name, such as topk:16. */
export const codec = suggesting(
  CODECS.replaceAll(':k', ':16').replace(':bytes', ':600').split(', '),
  (text: string): CodecName => {
    if (isCodecName(text)) return text
    throw new InvalidArgumentError(`expected one of ${CODECS}, such as topk:16, found '${text}'.`)
  },
)

/** A temperature: a positive number. */
export function temperature(text: string): number {
  const value = Number(text)
  if (!(value > 0) || !Number.isFinite(value)) {
    throw new InvalidArgumentError(`a temperature is a number above 0, found '${text}'.`)
  }
  return value
}

/** A comma list, and an option given several times: `-T 1,2 -T 4` is [1, 2, 4]. */
export function list<T>(parse: (text: string) => T): (text: string, before?: T[]) => T[] {
  const parseAll = (text: string, before: T[] = []) => [...before, ...text.split(',').map((part) => parse(part.trim()))]
  return suggesting(suggestionsOf(parse), parseAll)
}

/** Settings `name=value`, the option given once for each: by name. */
export function settings<T>(
  parse: (text: string) => T,
): (text: string, before?: Record<string, T>) => Record<string, T> {
  return (text, before = {}) => {
    const [, name, value] = /^([a-z][\w-]*)=(.*)$/i.exec(text) ?? []
    if (name === undefined) throw new InvalidArgumentError(`expected name=value, found '${text}'.`)
    if (name in before) throw new InvalidArgumentError(`'${name}' is set twice.`)
    return { ...before, [name]: parse(value!) }
  }
}

/** Rows `from:to`, the second one left out of them. */
export function range(text: string): { from: number; to: number } {
  const [, from, to] = /^(\d{1,15}):(\d{1,15})$/.exec(text) ?? []
  if (from === undefined || Number(from) >= Number(to))
    throw new InvalidArgumentError(`expected rows from:to, the first before the second, found '${text}'.`)
  return { from: Number(from), to: Number(to) }
}

export function oneOf<T extends string>(choices: readonly T[]): (text: string) => T {
  return suggesting(choices, (text: string) => {
    if (!(choices as readonly string[]).includes(text)) {
      throw new InvalidArgumentError(`expected ${choices.join(', ')}; found '${text}'.`)
    }
    return text as T
  })
}

function between(least: number, most: number): string {
  if (most === Number.MAX_SAFE_INTEGER || most === Number.POSITIVE_INFINITY) return `of at least ${least}`
  return `from ${least} to ${most}`
}

/** An option that may be given more than once. */
export const collect = (text: string, before: string[] = []): string[] => [...before, text]
