import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { readSweep } from '../report/read-sweep.js'
import { readProgress } from '../student/checkpoint.js'
import { CHECKPOINT, readJson, SUMMARY, TRAINING } from '../student/folder.js'
import type { SweepStudent } from '../student/index.js'
import { moduleNames } from '../student/module.js'
import { PLAN } from '../student/parent-folder.js'
import { readTrainingState, type TrainingState } from '../student/progress.js'
import { readSummary } from '../student/summary.js'
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

/** A name is a folder's, and leads nowhere else. */
const plan = z.array(provenance.extend({ name: z.string().regex(/^[\w.-]*\w$/) })).max(100_000)

export const exists = (path: string): Promise<boolean> => stat(path).then(Boolean, () => false)

/** Finds students in a folder; undefined where there are none. */
export async function findStudents(dir: string): Promise<StudentsFolder | undefined> {
  const names = await readdir(dir).catch(() => [] as string[])
  if (names.includes('sweep.json') || names.includes('students')) return { dir, kind: 'sweep' }
  if ([SUMMARY, CHECKPOINT, TRAINING].some((name) => names.includes(name))) return { dir, kind: 'student' }
  return names.includes(PLAN) || names.some(isSeed) ? { dir, kind: 'seeds' } : undefined
}

const isSeed = (name: string) => /^seed-\d+$/.test(name)

/** The students as they are now, and whether all of them that are there have been trained. */
export async function readStudents({ dir, kind }: StudentsFolder): Promise<{ students: Students; done: boolean }> {
  if (kind === 'sweep' && (await exists(join(dir, 'sweep.json')))) {
    const { students } = await readSweep(dir)
    return {
      students: await together(
        students.map(({ metrics, history, failed, ...point }) =>
          rowOf(point, failed === undefined ? (metrics ?? nothing) : null, { history, failed }),
        ),
      ),
      done: true,
    }
  }
  const planned = kind === 'student' ? [] : await readPlan(kind === 'sweep' ? join(dir, 'students') : dir)
  const rows: Found[] = []
  for (const { path, config } of planned.length > 0 ? planned : await foldersOf({ dir, kind })) {
    const row = (await readFolder(path)) ?? (config && rowOf(config, null, { history: [] }))
    if (row) rows.push(row)
  }
  return { students: await together(rows), done: kind !== 'sweep' && rows.every(({ metrics }) => metrics !== null) }
}

/** The folder of the most accurate of the students that are trained by now; undefined where there is none. */
export async function findBest(found: StudentsFolder): Promise<string | undefined> {
  let best: { path: string; accuracy: number } | undefined
  for (const { path } of await foldersOf(found)) {
    if (!(await exists(join(path, SUMMARY)))) continue
    const accuracy = (await readSummary(path)).metrics?.accuracy ?? -1
    if (!best || accuracy > best.accuracy) best = { path, accuracy }
  }
  return best?.path
}

interface Folder {
  path: string
  /** of a student that is planned */
  config?: Point
}

async function foldersOf({ dir, kind }: StudentsFolder): Promise<Folder[]> {
  if (kind === 'student') return [{ path: dir }]
  const parent = kind === 'sweep' ? join(dir, 'students') : dir
  const names = (await readdir(parent).catch(() => [] as string[])).sort()
  return names.filter((name) => kind === 'sweep' || isSeed(name)).map((name) => ({ path: join(parent, name) }))
}

/** The students that are to be trained; none where its folder does not say. */
async function readPlan(parent: string): Promise<Folder[]> {
  if (!(await exists(join(parent, PLAN)))) return []
  const parsed = plan.safeParse(await readJson(join(parent, PLAN)))
  return parsed.success ? parsed.data.map(({ name, config }) => ({ path: join(parent, name), config })) : []
}

/** A student's folder while it is trained, or after; undefined where nothing of it is on disk yet. */
async function readFolder(dir: string): Promise<Found | undefined> {
  const isWhole = () => exists(join(dir, SUMMARY))
  const whole = await isWhole()
  const training = whole ? undefined : await readTrainingState(dir)
  if (training) return rowOf(pointOf(training), null, training)
  const found = whole ? undefined : await readProgress(join(dir, CHECKPOINT))
  if (found) return rowOf(pointOf(found.provenance), null, found.progress)
  // It may have become whole just now, and lost its checkpoint.
  if (await isWhole()) {
    const { provenance, metrics, history } = await readSummary(dir)
    return rowOf(pointOf(provenance), metrics ?? nothing, { history })
  }
  return undefined
}

/** Of a student that is trained, but was measured on no rows. */
const nothing = { accuracy: null, nll: null, ece: null, agreement: null, kl: null }

function pointOf(value: unknown): Point {
  const parsed = provenance.safeParse(value)
  if (parsed.success) return parsed.data.config
  return { student: '?', method: '?', temperature: 1, alpha: 0, parameters: {}, seed: 0 }
}

/** A student before its row says what it is among the others. */
type Found = Omit<StudentRow, 'id' | 'student' | 'method' | 'temperature' | 'alpha' | 'seed'> & { point: Point }

function rowOf(
  point: Point,
  metrics: StudentRow['metrics'],
  {
    history,
    failed,
    steps,
    ...now
  }: Pick<SweepStudent, 'history'> & { failed?: string | undefined } & Partial<TrainingState>,
): Found {
  const { accuracy, nll, ece, agreement, kl } = metrics ?? nothing
  return {
    point,
    metrics: metrics && { accuracy, nll, ece, agreement, kl },
    ...(failed !== undefined && { failed }),
    ...(steps !== undefined && { training: { step: now.step!, steps, loss: now.loss! } }),
    epochs: history.map(({ epoch, loss, accuracy = null }) => ({ epoch, loss, accuracy })),
  }
}

/** Modules have names instead of paths, also where a failed student's message says them: a page of one file is passed on. */
async function together(found: Found[]): Promise<Students> {
  if (found.length === 0) return { students: [], controls: [] }
  const { hasAlpha, hasTemperature } = await import('../report/names.js') // loads tfjs
  const specifications = found.flatMap(({ point }) => [point.student, point.method])
  const nameOf = moduleNames(specifications)
  const named = (text: string) => specifications.reduce((text, one) => text.replaceAll(one, nameOf(one)), text)
  const students = found.map(({ point, failed, ...row }): StudentRow => {
    const { temperature, alpha, parameters, seed } = point
    const [student, method] = [nameOf(point.student), nameOf(point.method)]
    return {
      id: JSON.stringify([student, method, temperature, alpha, parameters, seed]),
      student,
      method: [method, ...Object.entries(parameters).map(([name, value]) => `${name}=${value}`)].join(' '),
      temperature: hasTemperature(point) ? temperature : null,
      alpha: hasAlpha(point) ? alpha : null,
      seed,
      ...row,
      ...(failed !== undefined && { failed: named(failed) }),
    }
  })
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
