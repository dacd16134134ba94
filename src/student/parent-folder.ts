import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { diskError, makeFolder, readTemporary, removeTemporaries, replaceFile } from '../cache/files.js'
import { isLock, withLock } from '../cache/lock.js'
import { DecantError } from '../errors.js'
import type { StudentConfig } from './config.js'

/** Beside the folders of several students: all that are to be trained, names and configs, in their order. */
export const PLAN = 'plan.json'
/** In the folder of a sweep: its students' folders. */
export const STUDENTS = 'students'

const OF_SWEEPS = ['sweep.json', 'sweep.csv', 'report.html']

type Planned = { name: string; config: StudentConfig }[]

/**
 * Does `work` in the folder of a sweep, made where there is none, which says from now on which students it will have.
 * @throws DecantError where it holds something else, or another process writes to it
 */
export function inSweep<T>(dir: string, plan: Planned, work: () => Promise<T>): Promise<T> {
  return inOwn(dir, { isChild: (name) => name === STUDENTS, replaced: OF_SWEEPS, what: 'sweep' }, async () => {
    await makeFolder(join(dir, STUDENTS))
    await writePlan(join(dir, STUDENTS), plan)
    return work()
  })
}

/** The same of a folder of several students. */
export function inPlanned<T>(dir: string, plan: Planned, work: () => Promise<T>): Promise<T> {
  return inOwn(dir, { isChild: (name) => /^seed-\d+$/.test(name), replaced: [PLAN], what: 'student' }, async () => {
    await writePlan(dir, plan)
    return work()
  })
}

async function inOwn<T>(
  dir: string,
  { isChild, replaced, what }: { isChild: (name: string) => boolean; replaced: string[]; what: string },
  work: () => Promise<T>,
): Promise<T> {
  await makeFolder(dir)
  const names = await readdir(dir).catch((error) => {
    throw diskError(error, dir)
  })
  const isOwn = (name: string) => isChild(name) || isLock(name) || replaced.includes(readTemporary(name)?.of ?? name)
  const foreign = names.find((name) => !isOwn(name))
  if (foreign) throw new DecantError(`${dir}: not empty and no ${what}'s folder: it holds ${foreign}`)
  return withLock(dir, async () => {
    await removeTemporaries(dir, replaced)
    return work()
  })
}

async function writePlan(dir: string, plan: Planned): Promise<void> {
  await removeTemporaries(dir, [PLAN])
  await replaceFile(join(dir, PLAN), `${JSON.stringify(plan, null, 2)}\n`)
}
