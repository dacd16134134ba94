import { type Interval, type Measure, moduleNames, tabulate } from '../student/index.js'
import { shorten } from './html.js'
import { type Pooled, pool } from './pool.js'
import type { SweepFile } from './read-sweep.js'
import { bestRow } from './render-sweep.js'

/** One kind of student: its rows, its control and its best row. */
export interface Kind {
  student: string
  rows: Pooled[]
  control: Pooled | undefined
  best: Pooled | undefined
}

/** A sweep as the page shows it. */
export interface View extends SweepFile {
  teacher: { file: string; accuracy: number | null }
  kinds: Kind[]
  /** What ways of learning are compared by: accuracy, or agreement with the teacher where there are no labels. */
  measure: Extract<Measure, 'accuracy' | 'agreement'>
  /** Names of the classes that the similarity is of and that accuracies are by. */
  className(index: number): string
}

export function viewOf(file: SweepFile): View {
  const sweep = withoutPaths(file)
  const { students, data } = sweep
  const rows = pool(tabulate(students), students)
  const labelled = rows.length > 0 && rows.every(({ measures }) => measures.accuracy)
  const kinds = [...new Set(rows.map(({ student }) => student))].map((student): Kind => {
    const own = rows.filter((row) => row.student === student)
    const best = bestRow(rows, student)
    return {
      student,
      rows: own,
      control: own.find(({ control }) => control),
      best: own.find((row) => row === best),
    }
  })
  return {
    ...sweep,
    teacher: { file: shorten(data.teacher.file, 80), accuracy: data.teacher.metrics?.accuracy ?? null },
    kinds,
    measure: labelled ? 'accuracy' : 'agreement',
    className: (index) => data.names?.[index] ?? `class ${index}`,
  }
}

/** Modules by their names, also where a failed student's message says their paths. */
function withoutPaths(sweep: SweepFile): SweepFile {
  const { students, costs } = sweep
  const paths = students.flatMap(({ student, method }) => [student, method])
  const nameOf = moduleNames(paths)
  const within = (text: string) => paths.reduce((text, path) => text.replaceAll(path, nameOf(path)), text)
  return {
    ...sweep,
    students: students.map(({ student, method, failed, ...rest }) => ({
      ...{ ...rest, student: nameOf(student), method: nameOf(method) },
      ...(failed !== undefined && { failed: within(failed) }),
    })),
    costs: costs && { ...costs, models: costs.models.map((model) => ({ ...model, name: nameOf(model.name) })) },
  }
}

/** Where the value of a row stands in what the page compares by. */
export const scoreOf = (row: Pooled | undefined, { measure }: Pick<View, 'measure'>): Interval | undefined =>
  row?.measures[measure]
