import type { Hash } from 'node:crypto'
import { writeSync } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'

/** The disk writes these while the processor goes on, so that little is left when the file is synced. */
const SYNC_BYTES = 32 * 2 ** 20

/** Writes a file from somewhere on, and hashes the very bytes that it writes. */
export interface HashedWriter {
  /** where it began */
  readonly began: number
  /** On this thread: to hand a piece to another takes longer than a piece does. */
  write(piece: Uint8Array): void
  /** All that was written is on the disk. */
  sync(): Promise<void>
  digest(): string
}

/** @param options.hash of what lies before `at` */
export function createHashedWriter(file: FileHandle, options: { at: number; hash: Hash }): HashedWriter {
  const { at: began, hash } = options
  let [at, synced] = [began, began]
  let syncing: Promise<void> | undefined
  let failure: { error: unknown } | undefined

  const syncBehind = () => {
    if (syncing || at - synced < SYNC_BYTES) return
    synced = at
    syncing = file
      .datasync()
      .catch((error) => {
        failure = { error }
      })
      .finally(() => {
        syncing = undefined
      })
  }
  return {
    began,
    write(piece) {
      if (failure) throw failure.error
      hash.update(piece)
      for (let done = 0; done < piece.length; ) done += writeSync(file.fd, piece, done, piece.length - done, at + done)
      at += piece.length
      syncBehind()
    },
    async sync() {
      await syncing
      if (failure) throw failure.error
      await file.sync()
    },
    digest: () => hash.digest('hex'),
  }
}
