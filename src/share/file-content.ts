import { createHash } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'
import { diskError, hashFile } from '../cache/files.js'
import { FormatError } from '../errors.js'
import { openInput } from '../input-file.js'
import type { Content } from './store.js'

const PIECE = 2 ** 20

/**
 * A file of this machine as what is to be written, checked while it is read: the last piece is only handed out once the hash of all is
 * right, so that no store can finish a wrong file. One that is read in parts is hashed first.
 */
export function fileContent(path: string, { bytes, sha256 }: { bytes: number; sha256: string }): Content {
  let checked: Promise<void> | undefined
  const wrong = (found: string) => wrongHash(path, sha256, found)
  const check = async () => {
    const found = await withFile(path, (file) => hashFile(file))
    if (found !== sha256) throw wrong(found)
  }
  return {
    bytes,
    sha256,
    path,
    async *read(from, to) {
      const whole = from === 0 && to === bytes
      if (!whole) {
        checked ??= check()
        await checked
      }
      const hash = whole ? createHash('sha256') : undefined
      const file = await openToRead(path)
      try {
        const { size } = await file.stat()
        if (size !== bytes) throw new FormatError(`${path}: expected ${bytes} bytes, found ${size}`)
        for (let at = from; at < to; ) {
          const piece = Buffer.allocUnsafeSlow(Math.min(PIECE, to - at))
          const { bytesRead } = await file.read(piece, 0, piece.length, at)
          if (bytesRead === 0) throw new FormatError(`${path}: expected ${bytes} bytes, found ${at}`)
          const part = piece.subarray(0, bytesRead)
          at += bytesRead
          hash?.update(part)
          if (hash && at === to) {
            const found = hash.digest('hex')
            if (found !== sha256) throw wrong(found)
          }
          yield part
        }
      } catch (error) {
        throw diskError(error, path)
      } finally {
        await file.close()
      }
    },
  }
}

export const wrongHash = (path: string, sha256: string, found: string): FormatError =>
  new FormatError(`${path}: damaged or altered: expected SHA-256 ${sha256}, found ${found}; nothing wrong was sent`)

/** Bytes in memory as what is to be written. */
export function bytesContent(bytes: Uint8Array): Content {
  return {
    bytes: bytes.length,
    sha256: hashOf(bytes),
    async *read(from, to) {
      yield bytes.subarray(from, to)
    },
  }
}

export const hashOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

async function openToRead(path: string): Promise<FileHandle> {
  return openInput(path).catch((error) => {
    throw diskError(error, path)
  })
}

async function withFile<T>(path: string, work: (file: FileHandle) => Promise<T>): Promise<T> {
  const file = await openToRead(path)
  try {
    return await work(file)
  } finally {
    await file.close()
  }
}
