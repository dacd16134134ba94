import { readdir, rm, rmdir, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { diskError, ignoreOn, makeFolder, readTemporary, replaceFile } from '../cache/files.js'
import { DATA, MANIFEST, PULL, readManifestBytes, removeMade } from '../cache/folder.js'
import { JOURNAL } from '../cache/journal.js'
import { isLock, LOCK, takeLock } from '../cache/lock.js'
import { validate } from '../cache/manifest.js'
import { DecantError } from '../errors.js'
import { readInput } from '../input-file.js'
import { parseJson } from '../json.js'
import { isPart } from './fetch-file.js'
import { hashOf } from './file-content.js'
import { BESIDE } from './push.js'

// The folder that a pull writes: `pull.json` says what it will be from the first moment on, shards lie as `*.part` until their hash is
// right, and manifest.json, which makes it a dataset, comes last.

/** A URI and a hash. */
const MAX_STATE_BYTES = 2 ** 16

const stateSchema = z.strictObject({
  format: z.literal('decant pull'),
  version: z.literal(1),
  uri: z.string(),
  /** SHA-256 of the manifest.json that the folder will have */
  manifest: z.string().regex(/^[0-9a-f]{64}$/),
})

export interface PullFolder {
  /** The folder had its manifest already: what is missing or damaged is fetched again. */
  finished: boolean
  /** Writes the manifest, and removes the traces of the pull. */
  finish(manifest: string | Uint8Array): Promise<void>
  /** Takes back what was made, where nothing has come yet: another part may have room here. */
  withdraw(): Promise<void>
  /** Releases the lock. */
  close(): Promise<void>
}

/**
 * Takes a folder for one dataset: new, empty, or one that a pull of the same dataset began or finished.
 * @throws DecantError where it holds anything else; nothing in it is changed
 */
export async function openPullFolder(
  dir: string,
  { uri, manifest }: { uri: string; manifest: string },
): Promise<PullFolder> {
  const made = await makeFolder(dir)
  let release = async () => {}
  try {
    await checkFolder(dir, manifest)
    release = await takeLock(dir)
    const finished = await checkFolder(dir, manifest) // again: the pull that held the lock may have just finished
    if (!finished) {
      const state = { format: 'decant pull', version: 1, uri, manifest }
      await replaceFile(join(dir, PULL), `${JSON.stringify(state, null, 2)}\n`)
    }
    await makeFolder(join(dir, DATA))
    return {
      finished,
      async finish(text) {
        if (!finished) await replaceFile(join(dir, MANIFEST), text)
        await removeLeftovers(dir)
        await rm(join(dir, PULL), { force: true })
      },
      async withdraw() {
        if (finished) return
        const empty = await rmdir(join(dir, DATA)).then(
          () => true,
          () => false,
        )
        if (!empty) return
        await rm(join(dir, PULL), { force: true })
        await release()
        await removeMade(dir, made)
      },
      close: release,
    }
  } catch (error) {
    await release()
    await removeMade(dir, made)
    throw diskError(error, dir)
  }
}

/** @returns whether the folder holds the finished dataset */
async function checkFolder(dir: string, manifest: string): Promise<boolean> {
  const found = await readManifestBytes(dir)
  if (found) {
    const sha256 = hashOf(found)
    if (sha256 === manifest) return true
    throw new DecantError(
      `${dir}: holds another dataset (its manifest is ${short(sha256)}, the one to pull ${short(manifest)}); choose another folder`,
    )
  }
  const names = await readdir(dir)
  if (names.includes(JOURNAL))
    throw new DecantError(`${dir}: holds an export that has not finished; choose another folder`)
  if (names.includes(PULL)) {
    const path = join(dir, PULL)
    const text = String(await readInput(path, MAX_STATE_BYTES))
    const state = validate(stateSchema, parseJson(text, path), path)
    if (state.manifest === manifest) return false
    throw new DecantError(
      `${dir}: holds an unfinished pull of another dataset, or of another version of it (${state.uri}, manifest ${short(state.manifest)}); delete the folder, or pull that one with #sha256=${state.manifest}`,
    )
  }
  const foreign = names.find((name) => !isLeftover(name))
  if (foreign !== undefined)
    throw new DecantError(`${dir}: expected an empty folder, or a pull to continue; found '${foreign}'`)
  return false
}

const isLeftover = (name: string) => isLock(name) || [PULL, MANIFEST, ...BESIDE].includes(readTemporary(name)?.of ?? '')

const short = (sha256: string) => `${sha256.slice(0, 12)}…`

/** What pulls that were killed have left. */
async function removeLeftovers(dir: string): Promise<void> {
  for (const folder of [dir, join(dir, DATA)])
    for (const name of (await readdir(folder).catch((error) => ignoreOn(error, 'ENOENT'))) ?? [])
      if (name !== LOCK && (isPart(name) || isLeftover(name))) await rm(join(folder, name), { force: true })
}

/** @throws DecantError where the disk has not the room: before the first byte, so that what is declared is never begun in vain */
export async function checkSpace(dir: string, bytes: number, uri: string): Promise<void> {
  const { bavail, bsize } = await statfs(dir)
  const free = bavail * bsize
  if (bytes <= free) return
  const megabytes = (count: number) => `${(count / 1e6).toFixed(1)} MB`
  throw new DecantError(`${dir}: ${uri} needs ${megabytes(bytes)} more, the disk has ${megabytes(free)} free`)
}
