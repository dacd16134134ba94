import { type FileHandle, mkdtemp, open, readdir, rm } from 'node:fs/promises'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { DecantError } from '../errors.js'

/** A temporary file, open for writing and reading. */
export interface Scratch {
  handle: FileHandle
  /** Where it lies, if it still has a name: it can be opened again, and `handle` closed until then. */
  place: string | undefined
  /** Closes what is open and removes the file. */
  remove(): Promise<void>
}

/** Files without a name that are open at once; what is beyond has a name, since a process may open only so many. */
const MAX_HELD = 128
const PREFIX = `decant-inflated-${hostname().replace(/[^\w.]/g, '_')}-`

let held = 0
let swept: Promise<void> | undefined

/**
 * Makes a temporary file in TMPDIR. Where the system allows it the name goes at once, so that nothing is left of a process that is killed; where not, the name
 * has the process's number, and the next process on this machine removes what has none.
 * @throws DecantError: no file can be made there
 */
export async function makeScratch(purpose: string): Promise<Scratch> {
  swept ??= sweep()
  await swept
  const refused = (error: NodeJS.ErrnoException) => {
    throw new DecantError(
      `${tmpdir()}: no temporary file can be made ${purpose}: ${error.code ?? error.message}; set TMPDIR to a folder that can be written to`,
    )
  }
  const folder = await mkdtemp(join(tmpdir(), `${PREFIX}${process.pid}-`)).catch(refused)
  const clear = () => rm(folder, { recursive: true, force: true })
  const place = join(folder, 'data')
  const handle = await open(place, 'wx+', 0o600).catch(async (error) => {
    await clear()
    return refused(error)
  })
  if (process.platform === 'win32' || held >= MAX_HELD)
    return {
      handle,
      place,
      async remove() {
        await handle.close()
        await clear()
      },
    }
  held++
  await clear()
  let gone = false
  return {
    handle,
    place: undefined,
    async remove() {
      if (!gone) held--
      gone = true
      await handle.close()
    },
  }
}

/** Removes what processes of this machine that are no more have left. */
async function sweep(): Promise<void> {
  const names = await readdir(tmpdir()).catch(() => [])
  for (const name of names) {
    const pid = name.startsWith(PREFIX) ? Number(/^(\d+)-/.exec(name.slice(PREFIX.length))?.[1]) : Number.NaN
    if (pid > 0 && !isAlive(pid)) await rm(join(tmpdir(), name), { recursive: true, force: true }).catch(() => {})
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH'
  }
}
