import { readdir, rm, rmdir } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { DecantError, MismatchError } from '../errors.js'
import { openInput, readInput } from '../input-file.js'
import { diffJson } from './diff.js'
import { diskError, hashFile, ignoreOn, makeFolder, type OpenFile, readTemporary, syncFolder } from './files.js'
import { createJournal, cutJournal, JOURNAL, type JournalLine, readJournal, removeJournal } from './journal.js'
import { isLock, LOCK } from './lock.js'
import { MAX_MANIFEST_BYTES, type Manifest, type Plan, parseManifest, planOf } from './manifest.js'

export const MANIFEST = 'manifest.json'
export const CARD = 'README.md'
/** The card's picture. */
export const PLOT = 'plot.svg'
/** The signature of the manifest, where it was signed. */
export const SIGNATURE = 'manifest.json.sig'
export const DATA = 'data'
/** Of a pull that has not finished: what it fetches. */
export const PULL = 'pull.json'

/** What a process that died may leave behind besides the journal and the shards in it. */
const isLeftover = (name: string) => isLock(name) || REPLACED.includes(readTemporary(name)?.of ?? '')
const REPLACED = [JOURNAL, MANIFEST, CARD, PLOT, SIGNATURE]

/** Same bytes, other words: where the teacher and the source lie, and the Node version, do not change a dataset. */
export const NOT_COMPARED = [
  'source.uri',
  'source.options.files',
  'source.options.labels',
  'teacher.file',
  'runtime.node',
]

/** The manifest in `dir`; undefined where there is none. */
export async function readManifest(dir: string): Promise<Manifest | undefined> {
  const bytes = await readManifestBytes(dir)
  return bytes && parseManifest(bytes.toString(), join(dir, MANIFEST))
}

export async function readManifestBytes(dir: string): Promise<Buffer | undefined> {
  const path = join(dir, MANIFEST)
  try {
    return await readInput(path, MAX_MANIFEST_BYTES).catch((error) => ignoreOn(error, 'ENOENT', 'ENOTDIR'))
  } catch (error) {
    throw diskError(error, path)
  }
}

/**
 * Makes `dir` if need be; a folder that holds something else is not written to.
 * @returns the topmost folder that was made, undefined where `dir` was there
 */
export async function claimFolder(dir: string): Promise<string | undefined> {
  try {
    const made = await makeFolder(dir)
    await checkFolder(dir)
    return made
  } catch (error) {
    throw diskError(error, dir)
  }
}

/** @throws DecantError where `dir` is no folder, or holds something else than an export; one that is not there may be made */
export async function checkFolder(dir: string): Promise<void> {
  try {
    const names = await readdir(dir)
    if (names.includes(MANIFEST) || names.includes(JOURNAL)) return
    const foreign = names.find((name) => !isLeftover(name))
    if (foreign !== undefined)
      throw new DecantError(`${dir}: expected an empty folder or an export to continue, found '${foreign}'`)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return
    throw code === 'ENOTDIR' ? notAFolder(dir) : diskError(error, dir)
  }
}

const notAFolder = (dir: string) => new DecantError(`${dir}: expected a folder, found a file`)

export function checkSamePlan(dir: string, old: Plan, now: Plan): void {
  const differences = diffJson(old, now, NOT_COMPARED)
  if (differences.length > 0)
    throw new MismatchError(
      `${dir}: holds another export; choose another folder or delete this one. Different:`,
      differences,
    )
}

/**
 * With the lock held: brings an unfinished folder to the state after its last whole shard, or starts one.
 * Shards are read again and checked, as a crash of the machine can lose what the process believed written.
 * @returns the plan that the folder was started with, and the shards that stand
 */
export async function resumeFolder(
  dir: string,
  plan: Plan,
  openFile: OpenFile,
): Promise<{ plan: Plan; lines: JournalLine[] }> {
  const journal = await readJournal(dir)
  if (!journal) {
    try {
      await createJournal(dir, plan, openFile)
      await makeFolder(join(dir, DATA))
      await syncFolder(dir)
      await removeLeftovers(dir, 0)
    } catch (error) {
      await clearFolder(dir)
      throw error
    }
    return { plan, lines: [] }
  }
  checkSamePlan(dir, journal.plan, plan)
  await makeFolder(join(dir, DATA))
  let whole = 0
  while (whole < journal.lines.length && (await isWhole(dir, journal.lines[whole]!))) whole++
  await cutJournal(dir, journal.ends[whole]!)
  await removeLeftovers(dir, whole)
  return { plan: journal.plan, lines: journal.lines.slice(0, whole) }
}

async function isWhole(dir: string, { shard }: JournalLine): Promise<boolean> {
  const path = join(dir, shard.file)
  const file = await openInput(path).catch((error) => ignoreOn(error, 'ENOENT'))
  if (!file) return false
  try {
    return (await file.stat()).size === shard.bytes && (await hashFile(file)) === shard.sha256
  } finally {
    await file.close()
  }
}

/** Temporary files, and shards that got their name but not their line in the journal. Anything else is not ours to delete. */
export async function removeLeftovers(dir: string, shards: number): Promise<void> {
  const names = await readdir(join(dir, DATA)).catch((error) => ignoreOn(error, 'ENOENT'))
  const data = (names ?? []).map((name) => `${DATA}/${name}`)
  const stale = data.filter((name) => {
    const temporary = readTemporary(name)
    const number = /^data\/(\d{5,7})\.arrow$/.exec(temporary?.of ?? name)?.[1]
    return number !== undefined && (temporary || Number(number) >= shards)
  })
  const top = (await readdir(dir)).filter((name) => name !== LOCK && isLeftover(name))
  for (const name of [...stale, ...top]) await rm(join(dir, name), { force: true })
}

/** With the lock held: takes back all that an export without a finished shard has written, the lock aside. */
export async function clearFolder(dir: string): Promise<void> {
  await removeLeftovers(dir, 0)
  await removeEmpty(join(dir, DATA))
  await removeJournal(dir)
}

/** Removes `dir` and the folders above it up to `made`, what claimFolder made, as far as nothing is in them. */
export async function removeMade(dir: string, made: string | undefined): Promise<void> {
  if (made === undefined) return
  const top = resolve(made)
  let path = resolve(dir)
  while ((await removeEmpty(path)) && path !== top) path = dirname(path)
}

const removeEmpty = (dir: string): Promise<boolean> =>
  rmdir(dir).then(
    () => true,
    () => false,
  )

/** The plan of the export that `dir` holds, finished or not; undefined where it holds none. */
export async function readPlan(dir: string): Promise<Plan | undefined> {
  const manifest = await readManifest(dir)
  return manifest ? planOf(manifest) : (await readJournal(dir))?.plan
}

/** Whether a finished folder still has the traces of its export, as after a kill between the last two steps. */
export async function hasTraces(dir: string): Promise<boolean> {
  return (await readdir(dir)).some((name) => name === JOURNAL || isLeftover(name))
}

export async function removeTraces(dir: string, manifest: Manifest): Promise<void> {
  await removeJournal(dir)
  await removeLeftovers(dir, manifest.shards.length)
  await syncFolder(dir)
}
