import { isWanted, type SampleHead, type SampleQuery, type Samples } from '../api.js'
import { ask, isOneFile, writeQuery } from './ask.js'

const keyOf = ({ label, predicted, only }: SampleQuery) => writeQuery({ label, predicted, only } as SampleQuery)

/** The rows that a list has shown, by its filters, in order: the way back, which no server has to look for. */
function createKnown() {
  const lists = new Map<string, Set<number>>()
  const of = (query: SampleQuery) => {
    const key = keyOf(query)
    if (!lists.has(key)) lists.set(key, new Set())
    return lists.get(key)!
  }
  return {
    add(query: SampleQuery, { samples }: Samples) {
      const rows = of(query)
      for (const { row } of samples) rows.add(row)
    },
    before(query: SampleQuery, row: number): number | null {
      let best = -1
      for (const one of of(query)) if (one < row && one > best) best = one
      return best < 0 ? null : best
    },
  }
}

export const known = createKnown()

/** Looks further a few times where a filter finds nothing in the rows that one answer looks at. */
const MOST_LOOKS = 20

/** The row after (or before) one in a list; null where there is none. */
export async function stepRow(
  query: SampleQuery,
  { row, by, rows }: { row: number; by: 1 | -1; rows: number },
): Promise<number | null> {
  if (isOneFile) {
    const { samples } = await ask<Samples>(`/api/samples${keyOf(query)}`)
    const others = samples.map((head) => head.row).filter((one) => (by > 0 ? one > row : one < row))
    return others.length === 0 ? null : by > 0 ? Math.min(...others) : Math.max(...others)
  }
  if (keyOf(query) === '') return row + by >= 0 && row + by < rows ? row + by : null
  if (by < 0) return known.before(query, row)
  let from: number | null = row + 1
  for (let look = 0; look < MOST_LOOKS && from !== null && from < rows; look++) {
    const found: Samples = await ask<Samples>(`/api/samples${writeQuery({ ...query, from, limit: 1 })}`)
    const head: SampleHead | undefined = found.samples[0]
    if (head && isWanted(head, query)) {
      known.add(query, found)
      return head.row
    }
    from = found.next
  }
  return null
}
