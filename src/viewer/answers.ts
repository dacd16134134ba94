import { DecantError } from '../errors.js'
import type { SampleQuery } from './api.js'
import { findSamples, readImage, readSample } from './samples.js'
import { readStudents } from './students.js'
import type { Subject } from './subject.js'

/** What cannot be answered, with the status that says why. */
export class Refused extends DecantError {
  override name = 'Refused'
  constructor(
    readonly status: 400 | 403 | 404 | 405,
    message: string,
  ) {
    super(message)
  }
}

export type Answer = { json: unknown } | { png: Uint8Array }

const MAX_LIMIT = 500

/** Makes the function that answers the paths of api.ts, `/api/live` aside. */
export function createAnswers(subject: Subject) {
  return async (path: string, query: URLSearchParams, signal: AbortSignal): Promise<Answer> => {
    const { samples, overview, classes, students } = subject
    if (path === '/api/what') {
      readQuery(query, {})
      return { json: subject.what }
    }
    if (path === '/api/students' && students) {
      readQuery(query, {})
      return { json: (await readStudents(students)).students }
    }
    if (!samples || !overview || !classes) throw new Refused(404, `there is no ${path} here`)
    if (path === '/api/overview') {
      readQuery(query, {})
      return { json: await overview() }
    }
    if (path === '/api/classes') {
      readQuery(query, {})
      return { json: await classes() }
    }
    if (path === '/api/samples') {
      const most = { label: samples.targets.classes - 1, predicted: samples.targets.classes - 1 }
      const only = onlyOf(query)
      const found = readQuery(query, {
        ...most,
        from: Number.MAX_SAFE_INTEGER,
        before: Number.MAX_SAFE_INTEGER,
        limit: MAX_LIMIT,
      })
      if (found.from !== undefined && found.before !== undefined)
        throw new Refused(400, 'from and before: expected one of them')
      if (found.limit === 0) throw new Refused(400, 'limit: expected 1 or more')
      if (only === 'disagree' && !samples.student)
        throw new Refused(400, 'there is no student here that could disagree')
      return { json: await findSamples(samples, { ...found, ...(only && { only }) }, signal) }
    }
    const [, row, image] = /^\/api\/samples\/(\d{1,15})(\/image)?$/.exec(path) ?? []
    if (row === undefined) throw new Refused(404, `there is no ${path.slice(0, 200)} here`)
    if (image) {
      readQuery(query, {})
      const png = await readImage(samples, Number(row), { signal })
      if (!png) throw new Refused(404, `row ${row} has no picture here`)
      return { png }
    }
    const { position } = readQuery(query, { position: (samples.targets.manifest.positions ?? 1) - 1 })
    const sample = await readSample(samples, { row: Number(row), position }, signal)
    if (!sample) throw new Refused(404, `there is no row ${row}: this dataset has ${samples.targets.rows}`)
    return { json: sample }
  }
}

/** Whole numbers of a query, each at most once and from 0 to what `most` says; anything else is refused. */
function readQuery<Name extends string>(
  query: URLSearchParams,
  most: Record<Name, number>,
): Partial<Record<Name, number>> {
  const found: Partial<Record<Name, number>> = {}
  for (const [name, value] of query) {
    if (!Object.hasOwn(most, name)) throw new Refused(400, `'${name.slice(0, 50)}' is not known here`)
    const key = name as Name
    if (found[key] !== undefined) throw new Refused(400, `${name} is given twice`)
    if (!/^\d{1,16}$/.test(value) || Number(value) > most[key])
      throw new Refused(400, `${name}: expected a whole number from 0 to ${most[key]}, found '${value.slice(0, 50)}'`)
    found[key] = Number(value)
  }
  return found
}

const filters = ['wrong', 'uncertain', 'disagree'] as const

/** Takes `only` out of a query. */
function onlyOf(query: URLSearchParams): SampleQuery['only'] {
  const [text, more] = query.getAll('only')
  query.delete('only')
  const only = filters.find((filter) => filter === text)
  if (more !== undefined || (text !== undefined && !only))
    throw new Refused(400, `only: expected one of ${filters.join(', ')}, once`)
  return only
}
