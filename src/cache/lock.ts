import { open, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import { DecantError } from '../errors.js'
import { READ } from '../input-file.js'
import { parseJson } from '../json.js'
import { diskError, ignoreOn, NO_LINK } from './files.js'

/** The name of the file that keeps a second process that writes out of a folder. */
export const LOCK = 'lock'

/** The lock, or one that was being taken over from a dead process. */
export const isLock = (name: string): boolean => /^lock(\.\d+\.stale)?$/.test(name)

const holderSchema = z.strictObject({ pid: z.int(), host: z.string(), started: z.string() })
type Holder = z.infer<typeof holderSchema>

/**
 * Takes the folder for this process. A lock whose process is dead is taken over; so a killed one needs no cleaning up.
 * @returns the function that releases it
 * @throws DecantError where another process, or thread, holds it
 */
export async function takeLock(dir: string): Promise<() => Promise<void>> {
  const path = join(dir, LOCK)
  const own = JSON.stringify({ pid: process.pid, host: hostname(), started: (await startOf(process.pid)) ?? '' })
  for (let attempt = 0; attempt < 10; attempt++) {
    try {
      await create(path, own)
      let held = true
      return async () => {
        if (held) await rm(path, { force: true }) // once: the next one is somebody else's
        held = false
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw diskError(error, path)
    }
    const found = await readLock(path)
    const holder = parseHolder(found)
    if (holder && (await isAlive(holder))) throw heldBy(holder, dir, path)
    await removeStale(path, found)
  }
  throw new DecantError(`${path}: other processes keep taking this lock; try again when they have ended`)
}

/** Does `work` while the folder is this process's. @throws what `takeLock` throws */
export async function withLock<T>(dir: string, work: () => Promise<T>): Promise<T> {
  const release = await takeLock(dir)
  try {
    return await work()
  } finally {
    await release()
  }
}

/** Writes a file that is not there yet; one that the disk has no room for is removed again. */
async function create(path: string, text: string): Promise<void> {
  const file = await open(path, 'wx')
  try {
    await file.writeFile(text)
  } catch (error) {
    await rm(path, { force: true })
    throw error
  } finally {
    await file.close()
  }
}

/** The lock's text. One that has only just been created may still be empty: that is looked at again. */
async function readLock(path: string): Promise<string> {
  const text = await readText(path)
  if (parseHolder(text)) return text
  await sleep(100)
  return readText(path)
}

/** Empty where there is no such file, or a link. */
const readText = async (path: string): Promise<string> => {
  const text = readFile(path, { encoding: 'utf8', flag: READ | NO_LINK })
  return (await text.catch((error) => ignoreOn(error, 'ENOENT', 'ELOOP'))) ?? ''
}

/** Moves the lock aside before deleting it: of two that find it stale, the second must not delete the first one's new lock. */
async function removeStale(path: string, expected: string): Promise<void> {
  const aside = `${path}.${process.pid}.stale`
  try {
    await rename(path, aside)
  } catch (error) {
    return ignoreOn(error as NodeJS.ErrnoException, 'ENOENT')
  }
  const moved = await readText(aside)
  if (moved !== expected) await writeFile(path, moved, { flag: 'wx' }).catch((error) => ignoreOn(error, 'EEXIST'))
  await rm(aside, { force: true })
}

function parseHolder(text: string): Holder | undefined {
  try {
    return holderSchema.parse(parseJson(text, LOCK))
  } catch {
    return undefined // a process that died before it had written its name
  }
}

/** A process of another machine cannot be seen from here, so it counts as alive. */
async function isAlive({ pid, host, started }: Holder): Promise<boolean> {
  if (host !== hostname()) return true
  const start = await startOf(pid)
  if (start !== undefined) return start !== 'zombie' && (started === '' || started === start)
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** When a process started, in clock ticks since boot, where /proc tells: numbers of processes are used again, above all in containers. */
async function startOf(pid: number): Promise<string | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined)
  // proc_pid_stat(5): field 3 is the state, 22 the start; field 2, the program's name, is in brackets and may hold any character.
  const fields = stat?.slice(stat.lastIndexOf(')') + 2).split(' ')
  return fields?.[0] === 'Z' ? 'zombie' : fields?.[19] // killed, and not yet waited for by its parent
}

function heldBy({ pid, host }: Holder, dir: string, path: string): DecantError {
  const elsewhere = host === hostname() ? '' : ` on ${host}; if that has ended, delete ${path}`
  return new DecantError(`${dir}: another decant command is writing here (process ${pid}${elsewhere})`)
}
