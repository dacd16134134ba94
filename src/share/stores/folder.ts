import { createHash } from 'node:crypto'
import { type FileHandle, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { dirname, join, relative, sep } from 'node:path'
import {
  diskError,
  ignoreOn,
  makeFolder,
  readTemporary,
  syncFolder,
  temporaryOf,
  writeFully,
} from '../../cache/files.js'
import { MismatchError } from '../../errors.js'
import { openInput } from '../../input-file.js'
import { copyHashed } from '../copy-hashed.js'
import { wrongHash } from '../file-content.js'
import { createHashedWriter } from '../hashed-writer.js'
import { type Content, checkName, type Store, type StoredFile, type Transfer } from '../store.js'

/** Bytes that are read and handed on at once. */
const PIECE = 2 ** 20

/** A folder of this machine, or of a network's file system. */
export function openFolderStore(dir: string): Store {
  const pathOf = (name: string) => join(dir, checkName(name))
  const swept = new Set<string>()
  const sweep = async (folder: string) => {
    if (swept.has(folder)) return
    swept.add(folder)
    await removeStale(folder)
  }
  return {
    uri: dir,
    pathOf,
    async list() {
      const entries = await readdir(dir, { recursive: true, withFileTypes: true }).catch((error) =>
        ignoreOn(error, 'ENOENT'),
      )
      const files: StoredFile[] = []
      for (const entry of entries ?? []) {
        const path = join(entry.parentPath, entry.name)
        if (entry.isFile() && writerOf(entry.name) === undefined)
          files.push({ name: relative(dir, path).split(sep).join('/'), ...(await describe(path))! })
      }
      return files.sort((a, b) => (a.name < b.name ? -1 : 1))
    },
    async head(name) {
      const found = await describe(pathOf(name))
      return found && { name, ...found }
    },
    read: (name, range, transfer) => read(pathOf(name), range, transfer),
    write: (name, content, transfer) => write(pathOf(name), content, { ...transfer, sweep }),
    async delete(name) {
      const path = pathOf(name)
      await rm(path, { force: true }).catch((error) => {
        throw diskError(error, path)
      })
      await syncFolder(dirname(path)).catch((error) => ignoreOn(error, 'ENOENT'))
    },
  }
}

/** Of a file that this store is writing, the process's number. */
const writerOf = (name: string): number | undefined => readTemporary(name)?.pid

async function describe(path: string): Promise<{ bytes: number; etag: string } | undefined> {
  const found = await stat(path, { bigint: true }).catch((error) => {
    if (!['ENOENT', 'ENOTDIR'].includes(error.code)) throw diskError(error, path)
  })
  if (!found?.isFile()) return undefined
  return { bytes: Number(found.size), etag: `"${found.ino}-${found.size}-${found.mtimeNs}"` }
}

async function* read(
  path: string,
  { from, to, etag }: { from: number; to: number; etag?: string },
  { signal, onBytes }: { signal?: AbortSignal; onBytes?: (bytes: number) => void } = {},
): AsyncGenerator<Uint8Array> {
  const file = await openInput(path).catch((error) => {
    throw diskError(error, path)
  })
  try {
    const found = await describe(path)
    if (etag !== undefined && found?.etag !== etag)
      throw new MismatchError(`${path}: the file changed while it was read`, [])
    for (let at = from; at < to; ) {
      signal?.throwIfAborted()
      const piece = Buffer.allocUnsafeSlow(Math.min(PIECE, to - at))
      const { bytesRead } = await file.read(piece, 0, piece.length, at)
      if (bytesRead === 0) throw new MismatchError(`${path}: ends at byte ${at}, expected at least ${to}`, [])
      at += bytesRead
      onBytes?.(bytesRead)
      yield piece.subarray(0, bytesRead)
    }
  } catch (error) {
    throw diskError(error, path)
  } finally {
    await file.close()
  }
}

/** Written under a temporary name and synced, before it gets its own. */
async function write(
  path: string,
  content: Content,
  { sweep, ...transfer }: Transfer & { sweep: (dir: string) => Promise<void> },
): Promise<void> {
  const temporary = temporaryOf(path)
  let file: FileHandle | undefined
  try {
    await makeFolder(dirname(path))
    await sweep(dirname(path))
    file = await open(temporary, 'wx+')
    if (content.path === undefined) await writePieces(file, content, transfer)
    else await copy(file, { ...content, path: content.path }, transfer)
    await file.close()
    file = undefined
    await rename(temporary, path)
    await syncFolder(dirname(path))
  } catch (error) {
    await file?.close()
    await rm(temporary, { force: true })
    throw diskError(error, path)
  }
}

async function writePieces(file: FileHandle, { bytes, read }: Content, { signal, onBytes }: Transfer): Promise<void> {
  let last: Promise<void> | undefined
  for await (const piece of read(0, bytes)) {
    await last
    signal?.throwIfAborted()
    last = writeFully(file, [piece]).then(() => onBytes?.(piece.length)) // while the next piece is read and hashed
    last.catch(() => {}) // thrown where it is awaited
  }
  await last
  await file.sync()
}

/** From one folder to another: without a new piece of memory for each piece of the file. */
async function copy(
  file: FileHandle,
  { path, bytes, sha256 }: Content & { path: string },
  transfer: Transfer,
): Promise<void> {
  const writer = createHashedWriter(file, { at: 0, hash: createHash('sha256') })
  await copyHashed(path, writer, { from: 0, to: bytes, ...transfer })
  await writer.sync()
  const found = writer.digest()
  if (found !== sha256) throw wrongHash(path, sha256, found)
}

/** What processes that were killed while they wrote into this folder have left. */
async function removeStale(dir: string): Promise<void> {
  for (const name of await readdir(dir)) {
    const pid = writerOf(name)
    if (pid && pid !== process.pid && !isAlive(pid)) await rm(join(dir, name), { force: true })
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
