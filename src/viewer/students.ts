import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { readProgress } from '../student/checkpoint.js'
import { CHECKPOINT, SUMMARY } from '../student/folder.js'
import type { SweepStudent } from '../student/index.js'
import type { StudentRow, Students } from './api.js'

/** Where students are: one folder each. A sweep that has ended says all in one file. */
export interface StudentsFolder {
  dir: string
  kind: 'sweep' | 'seeds' | 'student'
}

/** What of a student's config a row shows. */
type Point = Pick<SweepStudent, 'student' | 'method' | 'temperature' | 'alpha' | 'parameters' | 'seed'>

const provenance = z.object({
  config: z.object({
    student: z.string(),
    method: z.string(),
    temperature: z.number(),
    alpha: z.number(),
    parameters: z.record(z.string(), z.number()),
    seed: z.int(),
  }),
})

export const exists = (path: string): Promise<boolean> => stat(path).then(Boolean, () => false)

/** Finds students in a folder; undefined where there are none. */
export async function findStudents(dir: string): Promise<StudentsFolder | undefined> {
  const names = await readdir(dir).catch(() => [] as string[])
  if (names.includes('sweep.json') || names.includes('students')) return { dir, kind: 'sweep' }
  if (names.includes(SUMMARY) || names.includes(CHECKPOINT)) return { dir, kind: 'student' }
  return names.some(isSeed) ? { dir, kind: 'seeds' } : undefined
}

const isSeed = (name: string) => /^seed-\d+$/.test(name)

/** The students as they are now, and whether all of them that are there have been trained. */
export async function readStudents({ dir, kind }: StudentsFolder): Promise<{ students: Students; done: boolean }> {
  if (kind === 'sweep' && (await exists(join(dir, 'sweep.json')))) {
    const { readSweep } = await import('../report/read-sweep.js') // loads tfjs
    const { students } = await readSweep(dir)
    return {
      students: together(
        students.map(({ metrics, history, failed, ...point }) =>
          rowOf(point, failed === undefined ? (metrics ?? nothing) : null, { history, failed }),
        ),
      ),
      done: true,
    }
  }
  const rows: StudentRow[] = []
  for (const folder of await foldersOf({ dir, kind })) {
    const row = await readFolder(folder)
    if (row) rows.push(row)
  }
  return { students: together(rows), done: kind !== 'sweep' && rows.every(({ metrics }) => metrics !== null) }
}

async function foldersOf({ dir, kind }: StudentsFolder): Promise<string[]> {
  if (kind === 'student') return [dir]
  const parent = kind === 'sweep' ? join(dir, 'students') : dir
  const names = (await readdir(parent).catch(() => [] as string[])).sort()
  return names.filter((name) => kind === 'sweep' || isSeed(name)).map((name) => join(parent, name))
}

/** A student's folder while it is trained, or after; undefined where nothing of it is on disk yet. */
async function readFolder(dir: string): Promise<StudentRow | undefined> {
  if (await exists(join(dir, SUMMARY))) {
    const { readSummary } = await import('../student/save.js')
    const { provenance, metrics, history } = await readSummary(dir)
    return rowOf(pointOf(provenance), metrics ?? nothing, { history })
  }
  const found = await readProgress(join(dir, CHECKPOINT))
  return found && rowOf(pointOf(found.provenance), null, found.progress)
}

/** Of a student that is trained, but was measured on no rows. */
const nothing = { accuracy: null, nll: null, ece: null, agreement: null, kl: null }

function pointOf(value: unknown): Point {
  const parsed = provenance.safeParse(value)
  if (parsed.success) return parsed.data.config
  return { student: '?', method: '?', temperature: 1, alpha: 0, parameters: {}, seed: 0 }
}

function rowOf(
  point: Point,
  metrics: StudentRow['metrics'],
  { history, failed }: Pick<SweepStudent, 'history'> & { failed?: string | undefined },
): StudentRow {
  const { student, method, temperature, alpha, parameters, seed } = point
  const control = method === 'ce'
  const { accuracy, nll, ece, agreement, kl } = metrics ?? nothing
  return {
    id: JSON.stringify([student, method, temperature, alpha, parameters, seed]),
    student,
    method: [method, ...Object.entries(parameters).map(([name, value]) => `${name}=${value}`)].join(' '),
    temperature: control ? null : temperature,
    alpha: control ? null : alpha,
    seed,
    metrics: metrics && { accuracy, nll, ece, agreement, kl },
    ...(failed !== undefined && { failed }),
    epochs: history.map(({ epoch, loss, accuracy = null }) => ({ epoch, loss, accuracy })),
  }
}

function together(students: StudentRow[]): Students {
  const controls = new Map<string, number[]>()
  for (const { student, method, metrics } of students) {
    if (method !== 'ce' || metrics?.accuracy == null) continue
    controls.set(student, [...(controls.get(student) ?? []), metrics.accuracy])
  }
  return {
    students,
    controls: [...controls].map(([student, all]) => ({
      student,
      accuracy: all.reduce((sum, one) => sum + one, 0) / all.length,
    })),
  }
}
