import { methods, type SweepRow } from '../student/index.js'

/** A method without temperature or alpha has one in its row, too, which means nothing. Of a user's own it is not known. */
const has = (name: 'temperature' | 'alpha', { method }: Pick<SweepRow, 'method'>): boolean => {
  const known = methods.find((one) => one.name === method)
  return !known || name in known.parameters
}
export const hasTemperature = (row: Pick<SweepRow, 'method'>): boolean => has('temperature', row)
export const hasAlpha = (row: Pick<SweepRow, 'method'>): boolean => has('alpha', row)

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
