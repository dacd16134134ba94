import { useCallback, useEffect, useRef, useState } from 'preact/hooks'
import { isWanted, type Refusal, type SampleQuery, type Samples } from '../api.js'

/** What a page written as one file has in it; null where a server answers. */
const inside = readInside()

function readInside(): Record<string, unknown> | null {
  const text = document.getElementById('data')?.textContent
  return text ? (JSON.parse(text) as Record<string, unknown>) : null
}

export const isOneFile = inside !== null

/** An answer by its path, from the server or from the page itself. */
export async function ask<T>(path: string, signal?: AbortSignal): Promise<T> {
  if (inside) return answerInside(inside, path) as T
  let response: Response
  try {
    response = await fetch(path, { headers: { accept: 'application/json' }, signal: signal ?? null })
  } catch (error) {
    if (signal?.aborted) throw error
    throw new Error('The server does not answer. Start decant view again, then try again.')
  }
  if (response.ok) return (await response.json()) as T
  const refusal = (await response.json().catch(() => null)) as Refusal | null
  throw new Error(refusal?.error ?? `The server answered with status ${response.status} to ${path}.`)
}

function answerInside(all: Record<string, unknown>, path: string): unknown {
  const [place, query] = path.split('?') as [string, string | undefined]
  if (place === '/api/samples') return filterInside(all[place] as Samples, parseQuery(query ?? ''))
  const answer = all[path] ?? all[place]
  if (answer === undefined) throw new Error('This is not in the file: it was written with some of the samples only.')
  return answer
}

function filterInside(all: Samples, { from = 0, before, limit = all.samples.length, ...query }: SampleQuery): Samples {
  const list = all.samples.filter((head) => isWanted(head, query))
  const at = list.findIndex(({ row }) => row >= (before ?? from))
  const start = at < 0 ? list.length : at
  const [first, end] = before === undefined ? [start, start + limit] : [Math.max(0, start - limit), start]
  return {
    samples: list.slice(first, end),
    next: list[end]?.row ?? null,
    previous: first > 0 ? (list[first]?.row ?? null) : null,
    scanned: all.samples.length,
  }
}

/** Where a sample's picture is. */
export const imageOf = (row: number): string => {
  const path = `/api/samples/${row}/image`
  return inside ? String(inside[path] ?? 'data:,') : path
}

const QUERY_NUMBERS = ['label', 'predicted', 'from', 'before', 'limit'] as const

export function parseQuery(text: string): SampleQuery {
  const given = new URLSearchParams(text)
  const query: SampleQuery = {}
  for (const key of QUERY_NUMBERS) {
    const value = given.get(key)
    if (value && /^\d{1,15}$/.test(value)) query[key] = Number(value)
  }
  const only = given.get('only')
  if (only === 'wrong' || only === 'uncertain' || only === 'disagree') query.only = only
  return query
}

export function writeQuery(query: SampleQuery): string {
  const entries = Object.entries(query).filter(([, value]) => value !== undefined)
  const text = new URLSearchParams(entries.map(([key, value]) => [key, String(value)])).toString()
  return text && `?${text}`
}

/** Answers stay, as datasets do not change; the oldest go. */
const kept = new Map<string, unknown>()
const MOST_KEPT = 100

function keep(path: string, answer: unknown) {
  kept.delete(path)
  kept.set(path, answer)
  if (kept.size > MOST_KEPT) kept.delete(kept.keys().next().value!)
}

/** Lets all be asked for again: what is served has become another thing. */
export const forget = (): void => kept.clear()

export interface Answer<T> {
  /** the last one that came, so that nothing jumps while the next is on its way */
  answer: T | undefined
  waiting: boolean
  error: string | null
  again(): void
}

/** The answer of a path, asked for when the path changes. `null`: nothing to ask. */
export function useAnswer<T>(path: string | null): Answer<T> {
  const [state, setState] = useState<{ path: string | null; answer?: T | undefined; error: string | null }>({
    path: null,
    error: null,
  })
  const [tries, setTries] = useState(0)
  const last = useRef<T | undefined>(undefined)
  useEffect(() => {
    if (path === null || kept.has(path)) return
    const control = new AbortController()
    ask<T>(path, control.signal).then(
      (answer) => {
        keep(path, answer)
        if (!control.signal.aborted) setState({ path, answer, error: null })
      },
      (error: Error) => {
        if (!control.signal.aborted) setState({ path, error: error.message })
      },
    )
    return () => control.abort()
  }, [path, tries])
  const again = useCallback(() => {
    setState({ path: null, error: null })
    setTries((n) => n + 1)
  }, [])
  const now =
    path === null ? undefined : ((kept.get(path) as T | undefined) ?? (state.path === path ? state.answer : undefined))
  if (now !== undefined) last.current = now
  const error = state.path === path && now === undefined ? state.error : null
  return { answer: now ?? last.current, waiting: path !== null && now === undefined && error === null, error, again }
}
