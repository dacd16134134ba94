import { useEffect, useState } from 'preact/hooks'
import type { SampleQuery, Section } from '../api.js'
import { parseQuery, writeQuery } from './ask.js'

/** Where in the page we are; the address's fragment, so that every view is a link. */
export interface Route {
  section: Section | null
  /** the sample that is open */
  row: number | null
  query: SampleQuery
}

const SECTIONS: readonly Section[] = ['overview', 'samples', 'classes', 'students', 'live']

export function parseRoute(hash: string): Route {
  const [path = '', query = ''] = hash.replace(/^#/, '').split('?')
  const [name, row] = path.split('/')
  return {
    section: SECTIONS.find((section) => section === name) ?? null,
    row: row && /^\d{1,15}$/.test(row) ? Number(row) : null,
    query: parseQuery(query),
  }
}

export const link = (section: Section, query: SampleQuery = {}): string => `#${section}${writeQuery(query)}`

/** A sample's link keeps the list's filters, so that the next sample is the list's. */
export const sampleLink = (row: number, { label, predicted, only }: SampleQuery = {}): string =>
  `#samples/${row}${writeQuery({ label, predicted, only } as SampleQuery)}`

export const go = (hash: string): void => {
  location.hash = hash
}

export function useRoute(): Route {
  const [route, setRoute] = useState(() => parseRoute(location.hash))
  useEffect(() => {
    const change = () => setRoute(parseRoute(location.hash))
    addEventListener('hashchange', change)
    return () => removeEventListener('hashchange', change)
  }, [])
  return route
}
