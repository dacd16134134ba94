import { isPath, methods, type SweepRow } from '../student/index.js'

/** A method without temperature has one in its row, too, which means nothing. Of a user's own it is not known. */
export const hasTemperature = ({ method }: Pick<SweepRow, 'method'>): boolean => {
  const known = methods.find(({ name }) => name === method)
  return !known || 'temperature' in known.parameters
}

/**
 * What modules are called on a page: the ends of their paths, as much of them as tells one from another. A page is passed on, and where its
 * author's files are is nobody's business.
 */
export function moduleNames(specifications: readonly string[]): (specification: string) => string {
  const paths = [...new Set(specifications)].filter(isPath)
  const end = (path: string, parts: number) =>
    path
      .split(/[\\/]+/)
      .slice(-parts)
      .join('/')
  const nameOf = (path: string) => {
    let parts = 1
    while (parts < 32 && paths.some((other) => other !== path && end(other, parts) === end(path, parts))) parts++
    return end(path, parts)
  }
  const names = new Map(paths.map((path) => [path, nameOf(path)]))
  return (specification) => names.get(specification) ?? specification
}

/** The parameters that the sweep varied, as `name=value`. */
export function varied({ method, parameters }: SweepRow, rows: readonly SweepRow[]): string[] {
  const same = rows.filter((row) => row.method === method)
  return Object.entries(parameters)
    .filter(([name, value]) => same.some((row) => row.parameters[name] !== value))
    .map(([name, value]) => `${name}=${value}`)
}

/** A row less its student and temperature, as `kd α=0.9`: what a line over temperatures is of. α is named where it varies. */
export function methodName(row: SweepRow, rows: readonly SweepRow[]): string {
  if (row.control) return `${row.method} (control)`
  const alphas = new Set(rows.filter(({ method }) => method === row.method).map(({ alpha }) => alpha))
  return [row.method, ...(alphas.size > 1 ? [`α=${row.alpha}`] : []), ...varied(row, rows)].join(' ')
}

/** A row less its student: `kd T=4`. The temperature is named where it varies. */
export function rowName(row: SweepRow, rows: readonly SweepRow[]): string {
  const temperatures = new Set(rows.filter(({ method }) => method === row.method).map(({ temperature }) => temperature))
  return temperatures.size > 1 && !row.control ? `${methodName(row, rows)} T=${row.temperature}` : methodName(row, rows)
}
