import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { writeCard } from './card.js'
import { diskError, replaceFile } from './files.js'
import { MANIFEST, readManifestBytes, removeTraces, SIGNATURE } from './folder.js'
import { withLock } from './lock.js'
import { formatManifest, type Manifest, parseManifest } from './manifest.js'
import { openTargets } from './reader.js'

export interface Licences {
  /** Of the data: an SPDX identifier, or the name of another licence. */
  license?: string
  /** Of the teacher. */
  teacherLicense?: string
}

/**
 * States the licences of a finished dataset, in its manifest and on its card. The shards stay as they are; the manifest is another one
 * afterwards: its SHA-256 changes, and a signature of the one before is removed. What is stated already is not stated again.
 * @throws DecantError where there is no finished dataset, or another process writes to it
 */
export async function licenseTargets(dir: string, licences: Licences): Promise<Manifest> {
  await (await openTargets(dir)).close() // a folder that is no dataset gets no lock
  return withLock(dir, async () => {
    try {
      const targets = await openTargets(dir) // again: until now another process may have written to it
      await targets.close()
      const { sha256: _, ...before } = targets.manifest
      const path = join(dir, MANIFEST)
      const { license = before.license, teacherLicense = before.teacherLicense } = licences
      const stated = license === before.license && teacherLicense === before.teacherLicense
      const text = stated
        ? String(await readManifestBytes(dir))
        : formatManifest({ ...before, license, ...(teacherLicense !== undefined && { teacherLicense }) })
      const manifest = parseManifest(text, path)
      await writeCard(dir, text)
      if (!stated) {
        await rm(join(dir, SIGNATURE), { force: true })
        await replaceFile(path, text)
      }
      await removeTraces(dir, manifest)
      return manifest
    } catch (error) {
      throw diskError(error, dir)
    }
  })
}
