import { z } from 'zod'
import { type EpochRecord, epochSchema } from './checkpoint.js'
import { type Interval, interval } from './interval.js'
import { type Metrics, metricsSchema } from './metrics.js'

/** The method of the student that learns from the labels alone. */
export const CONTROL = 'ce'
export const isControl = ({ method }: { method: string }): boolean => method === CONTROL

/** One student of a sweep, and how good it came out. */
export interface SweepStudent extends Point {
  seed: number
  metrics: Metrics | null
  history: EpochRecord[]
  seconds: number
  /** why there is no student: its training failed */
  failed?: string
}

/** For sweep.json. */
export const sweepStudentSchema: z.ZodType<SweepStudent> = z.strictObject({
  student: z.string(),
  method: z.string(),
  temperature: z.number().positive(),
  alpha: z.number(),
  parameters: z.record(z.string(), z.number()),
  seed: z.int(),
  metrics: metricsSchema.nullable(),
  history: z.array(epochSchema),
  seconds: z.number().min(0),
  failed: z.string().optional(),
})

/** What the students of one row of the table have in common. A method without temperature has T = 1; without a teacher, α = 0. */
export interface Point {
  student: string
  method: string
  temperature: number
  alpha: number
  /** the method's own */
  parameters: Record<string, number>
}

const measures = ['accuracy', 'top5', 'nll', 'ece', 'brier', 'aurc', 'agreement', 'kl'] as const
export type Measure = (typeof measures)[number]

/** The students that differ only in their seed. A measure that some student lacks (no labels) is absent. */
export interface SweepRow extends Point {
  control: boolean
  seeds: number[]
  measures: Partial<Record<Measure, Interval>>
  /** Less the control of the same student, seed by seed; absent where they share no seed. */
  gain: Partial<Record<Measure, Interval>>
}

/** Mean and 95 % interval over the seeds of every point, in the order of the students. */
export function tabulate(students: SweepStudent[]): SweepRow[] {
  const groups = new Map<string, SweepStudent[]>()
  for (const student of students) {
    if (student.metrics === null) continue
    const key = pointOf(student)
    groups.set(key, [...(groups.get(key) ?? []), student])
  }
  const controls = new Map<string, SweepStudent>()
  for (const student of students) if (isControl(student)) controls.set(`${student.student} ${student.seed}`, student)
  return [...groups.values()].map((group): SweepRow => {
    const { student, method, temperature, alpha, parameters } = group[0]!
    const row: SweepRow = {
      student,
      method,
      temperature,
      alpha,
      parameters,
      control: isControl(group[0]!),
      seeds: group.map(({ seed }) => seed),
      measures: {},
      gain: {},
    }
    for (const measure of measures) {
      const values = group.map(({ metrics }) => metrics![measure])
      if (!values.every((value) => value !== null)) continue
      row.measures[measure] = interval(values)
      if (row.control) continue
      const gains = group.flatMap(({ seed, metrics }) => {
        const control = controls.get(`${student} ${seed}`)?.metrics?.[measure]
        return control === undefined || control === null ? [] : [metrics![measure]! - control]
      })
      if (gains.length > 0) row.gain[measure] = interval(gains)
    }
    return row
  })
}

const pointOf = ({ student, method, temperature, alpha, parameters }: Point) =>
  JSON.stringify([student, method, temperature, alpha, parameters])

const columns = [
  'student',
  'method',
  'temperature',
  'alpha',
  'parameters',
  'seed',
  ...measures,
  'seconds',
  'failed',
] as const

/** One line a student, RFC 4180. */
export function formatCsv(students: SweepStudent[]): string {
  const lines = students.map((student) => {
    const parameters = Object.entries(student.parameters).map(([name, value]) => `${name}=${value}`)
    const values: Record<string, unknown> = { ...student, parameters: parameters.join(' '), ...student.metrics }
    return columns.map((column) => quote(values[column] ?? '')).join(',')
  })
  return [columns.join(','), ...lines, ''].join('\r\n')
}

const quote = (value: unknown) =>
  /[",\r\n]/.test(String(value)) ? `"${String(value).replaceAll('"', '""')}"` : String(value)
