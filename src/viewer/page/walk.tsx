import type { SampleQuery, Samples } from '../api.js'
import { ask, isOneFile, writeQuery } from './ask.js'

/** Looks further a few times where a filter finds nothing in the rows that one answer looks at. */
const MOST_LOOKS = 20

/** The row after (or before) one in a list; null where there is none, undefined where none was found so far. */
export async function stepRow(
  { label, predicted, only }: SampleQuery,
  { row, by, rows }: { row: number; by: 1 | -1; rows: number },
): Promise<number | null | undefined> {
  const filters = { label, predicted, only } as SampleQuery
  if (!isOneFile && writeQuery(filters) === '') return row + by >= 0 && row + by < rows ? row + by : null
  let at: number | null = by > 0 ? row + 1 : row
  for (let look = 0; look < MOST_LOOKS; look++) {
    const query: SampleQuery = { ...filters, [by > 0 ? 'from' : 'before']: at, limit: 1 }
    const found: Samples = await ask<Samples>(`/api/samples${writeQuery(query)}`)
    if (found.samples[0]) return found.samples[0].row
    at = by > 0 ? found.next : found.previous
    if (at === null) return null
  }
  return undefined
}
