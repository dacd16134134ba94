import type { EpochRecord, Metrics, Reliability, SweepRow, SweepStudent } from '../student/index.js'

/** A row of the table with the students that it is of. */
export interface Pooled extends SweepRow {
  students: SweepStudent[]
}

/** Every row with its students, which differ only in their seed. */
export function pool(table: readonly SweepRow[], students: readonly SweepStudent[]): Pooled[] {
  const key = ({ student, method, temperature, alpha, parameters }: SweepRow | SweepStudent) =>
    JSON.stringify([student, method, temperature, alpha, parameters])
  return table.map((row) => ({
    ...row,
    students: students.filter((student) => student.metrics !== null && key(student) === key(row)),
  }))
}

/** The mean over the students that trained that long, by epoch. */
export function meanHistory(
  students: readonly SweepStudent[],
  of: (epoch: EpochRecord, first: EpochRecord) => number | null | undefined,
) {
  const epochs = Math.max(0, ...students.map(({ history }) => history.length))
  return Array.from({ length: epochs }, (_, i) => {
    const values = students.flatMap(({ history }) => (history[i] ? (of(history[i], history[0]!) ?? []) : []))
    return { epoch: i + 1, value: values.length > 0 ? values.reduce((a, b) => a + b) / values.length : null }
  }).filter((point): point is { epoch: number; value: number } => point.value !== null)
}

/** The bins of all students together: as if their rows were one set. */
export function meanReliability(metrics: readonly Metrics[]): Reliability | null {
  const all = metrics.flatMap(({ reliability }) => reliability ?? [])
  const bins = all[0]?.rows.length ?? 0
  if (bins === 0) return null
  const rows = Array.from({ length: bins }, (_, bin) => all.reduce((sum, one) => sum + (one.rows[bin] ?? 0), 0))
  const mean = (values: (one: Reliability) => (number | null)[]) =>
    rows.map((n, bin) =>
      n === 0 ? null : all.reduce((sum, one) => sum + (one.rows[bin] ?? 0) * (values(one)[bin] ?? 0), 0) / n,
    )
  return { rows, confidence: mean((one) => one.confidence), accuracy: mean((one) => one.accuracy) }
}

/** Mean accuracy by class over the students; null where a class has no row. */
export function meanPerClass(metrics: readonly Metrics[]): (number | null)[] {
  const all = metrics.flatMap(({ perClass }) => perClass ?? [])
  return (all[0]?.accuracy ?? []).map((first, c) =>
    first === null ? null : all.reduce((sum, one) => sum + (one.accuracy[c] ?? 0), 0) / all.length,
  )
}
