import { createHash, randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { type FileHandle, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { DecantError } from '../errors.js'

/** What the writer needs of a file. */
export interface OutputFile {
  writev(buffers: Uint8Array[]): Promise<{ bytesWritten: number }>
  sync(): Promise<void>
  close(): Promise<void>
}

/** The seam to the disk: tests inject failures here. 'w' makes a file that is not there yet, 'a' writes behind the end of one; neither goes through a link. */
export type OpenFile = (path: string, flags: 'w' | 'a') => Promise<OutputFile>

/** Of `open`: a path that is a link is refused. Windows has no such flag. */
export const NO_LINK = constants.O_NOFOLLOW ?? 0
const APPEND = constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND | NO_LINK

export const openFile: OpenFile = (path, flags) => open(path, flags === 'w' ? 'wx' : APPEND)

/** A file's name until it is whole: `<path>.<process>.<8 hexadecimal digits>.tmp`, which no other process or thread has. It goes with `openFile`'s 'w'. */
export const temporaryOf = (path: string): string => `${path}.${process.pid}.${randomBytes(4).toString('hex')}.tmp`

/** What a temporary file was to be called, and by which process; undefined of other files. Before, there were `<name>.tmp` and `<name>.<process>.tmp`. */
export function readTemporary(name: string): { of: string; pid: number | undefined } | undefined {
  const [, of, pid] = /^(.+?)(?:\.(\d+)(?:\.[0-9a-f]{8})?)?\.tmp$/.exec(name) ?? []
  return of === undefined ? undefined : { of, pid: pid === undefined ? undefined : Number(pid) }
}

/** Removes what processes that were killed have left in `dir` of the files `of`. Only for who alone writes them. */
export async function removeTemporaries(dir: string, of: readonly string[]): Promise<void> {
  for (const name of await readdir(dir))
    if (of.includes(readTemporary(name)?.of ?? '')) await rm(join(dir, name), { force: true })
}

/**
 * Makes a folder, and those above it that are missing. One by one: node's own `recursive` says ENOENT of a disk that is read-only.
 * @returns the topmost folder that was made, undefined where `dir` was there
 * @throws DecantError where one of them is a file, or the disk refuses
 */
export async function makeFolder(dir: string): Promise<string | undefined> {
  const missing: string[] = []
  for (let path = resolve(dir); !(await isFolder(path)); path = dirname(path)) missing.unshift(path)
  for (const path of missing) {
    await mkdir(path).catch(async (error) => {
      if (error.code !== 'EEXIST' || !(await isFolder(path))) throw diskError(error, path)
    })
  }
  return missing[0]
}

async function isFolder(path: string): Promise<boolean> {
  const found = await stat(path).catch((error) => {
    if (error.code !== 'ENOENT') throw diskError(error, path)
  })
  if (found && !found.isDirectory()) throw new DecantError(`${path}: expected a folder, found a file`)
  return found !== undefined
}

/** Linux takes at most this many buffers in one call (IOV_MAX). */
const MAX_BUFFERS = 1024
/** One call takes less than 2 GiB. */
export const MAX_READ = 2 ** 30

/** Writes all of `buffers`; a single writev may write less than it was given. */
export async function writeFully(file: OutputFile, buffers: Uint8Array[]): Promise<void> {
  for (let left = behind(buffers, 0); left.length > 0; ) {
    const { bytesWritten } = await file.writev(left.slice(0, MAX_BUFFERS))
    left = behind(left, bytesWritten)
  }
}

/** Fills `buffers`, together at most MAX_READ bytes unless it is one, with what lies from `position` on. @throws Error where the file ends before */
export async function readFully(file: FileHandle, buffers: Uint8Array[], position: number): Promise<void> {
  for (let left = behind(buffers, 0), at = position; left.length > 0; ) {
    const some = left.length === 1 ? [left[0]!.subarray(0, MAX_READ)] : left.slice(0, MAX_BUFFERS)
    const { bytesRead } = await file.readv(some, at)
    if (bytesRead === 0) throw new Error(`the file ends at byte ${at}`)
    at += bytesRead
    left = behind(left, bytesRead)
  }
}

/** What of `buffers` lies behind the first bytes, without empty ones. */
function behind(buffers: Uint8Array[], bytes: number): Uint8Array[] {
  const left: Uint8Array[] = []
  for (const buffer of buffers) {
    if (buffer.length > bytes) left.push(bytes > 0 ? buffer.subarray(bytes) : buffer)
    bytes = Math.max(0, bytes - buffer.length)
  }
  return left
}

/** Makes names in `dir` durable: a rename is only on disk once its folder is. */
export async function syncFolder(dir: string): Promise<void> {
  const folder = await open(dir, 'r').catch((error) => ignoreOn(error, 'EISDIR', 'EPERM', 'EACCES')) // Windows opens no folders
  if (!folder) return
  try {
    await folder.sync().catch((error) => ignoreOn(error, 'EINVAL', 'EPERM', 'ENOTSUP')) // nor do some network file systems sync them
  } finally {
    await folder.close()
  }
}

/** Replaces `path` by `content` in one step: at any moment there is the old file or the new one, whole. */
export async function replaceFile(
  path: string,
  content: string | Uint8Array,
  open: OpenFile = openFile,
): Promise<void> {
  const temporary = temporaryOf(path)
  try {
    const file = await open(temporary, 'w')
    try {
      await writeFully(file, [typeof content === 'string' ? Buffer.from(content) : content])
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, path)
    await syncFolder(dirname(path))
  } catch (error) {
    await rm(temporary, { force: true })
    throw diskError(error, path)
  }
}

/** SHA-256 of a whole file, read in pieces of 4 MiB. */
export async function hashFile(file: FileHandle, signal?: AbortSignal): Promise<string> {
  const hash = createHash('sha256')
  const piece = Buffer.allocUnsafe(4 * 2 ** 20)
  for (let position = 0; ; ) {
    signal?.throwIfAborted()
    const { bytesRead } = await file.read(piece, 0, piece.length, position)
    if (bytesRead === 0) return hash.digest('hex')
    hash.update(piece.subarray(0, bytesRead))
    position += bytesRead
  }
}

/** Turns a failed system call into what a user can act on; anything else is passed on as it is. */
export function diskError(error: unknown, path: string): unknown {
  const { code, syscall, message } = error as NodeJS.ErrnoException
  if (code === undefined || syscall === undefined) return error
  return new DecantError(`${path}: ${ADVICE[code] ?? message}`, { cause: error })
}

const AGAIN = 'then run the same command again: it goes on from what is whole'
const ADVICE: Record<string, string> = {
  ENOSPC: `the disk is full: free some space, ${AGAIN}`,
  EDQUOT: `the disk quota is used up: free some space, ${AGAIN}`,
  EFBIG: `the file system allows no file of this size: choose smaller shards`,
  EIO: `the disk reports an error: check it, ${AGAIN}`,
  EMFILE: `too many open files: raise the limit (ulimit -n), ${AGAIN}`,
  EACCES: 'no permission',
  EPERM: 'no permission',
  EROFS: 'the file system is read-only',
  EEXIST: 'is there already, as something else than is wanted',
  ENOTDIR: 'a part of the path is not a folder',
  ELOOP: 'is a link, expected a file: decant writes through no link',
}

export const ignoreOn = (error: NodeJS.ErrnoException, ...codes: string[]): undefined => {
  if (!codes.includes(error.code ?? '')) throw error
}
