import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { DecantError } from '../errors.js'
import { openInput } from '../input-file.js'
import { ignoreOn } from './files.js'
import { DATA, MANIFEST, PULL, readManifestBytes, SIGNATURE } from './folder.js'
import { JOURNAL } from './journal.js'
import { LocalFile } from './local-file.js'
import type { ShardEntry } from './manifest.js'

/** Where a dataset's files are read from: a folder, or a remote dataset by ranges. Nothing in them is trusted by who reads. */
export interface DatasetFiles {
  /** For messages: the folder, or the URI without credentials. */
  readonly place: string
  /** The place of files that are elsewhere. */
  readonly uri?: string
  /** For messages: the place of one file. */
  path(name: string): string
  /** All bytes of manifest.json. @throws DecantError where there is no dataset; FormatError where they are too many */
  manifest(): Promise<Uint8Array>
  /** All bytes of manifest.json.sig; undefined where there is none. */
  signature(): Promise<Uint8Array | undefined>
  /** @throws FormatError where the file is not there */
  open(shard: ShardEntry): Promise<InputFile>
  /** Names under data/; undefined where the place cannot tell. */
  list(): Promise<string[] | undefined>
  /** Says that this shard will be read whole, and soon. */
  prefetch?(shard: ShardEntry): void
  /** Says that the shard was not what the manifest says: what is kept of it is of no use. */
  discard?(shard: ShardEntry): Promise<void>
  close(): Promise<void>
}

export interface InputFile {
  readonly size: number
  /** Says that the bytes [from, to) will be read, and soon. */
  expect?(from: number, to: number): void
  /** Fills `into` with the bytes from `position` on. Safe to call many times at once. @throws Error where the file ends before */
  read(into: Uint8Array, position: number): Promise<void>
  close(): Promise<void>
}

/** The files of a dataset in a folder. */
export function folderFiles(dir: string): DatasetFiles {
  const path = (name: string) => join(dir, name)
  return {
    place: dir,
    path,
    async manifest() {
      const bytes = await readManifestBytes(dir)
      if (!bytes) throw await explainMissing(dir)
      return bytes
    },
    signature: () => readSignature(path(SIGNATURE)),
    open: ({ file }) => LocalFile.open(path(file)),
    async list() {
      const names = (await readdir(path(DATA)).catch((error) => ignoreOn(error, 'ENOENT', 'ENOTDIR'))) ?? []
      return names.map((name) => `${DATA}/${name}`)
    },
    close: async () => {},
  }
}

async function explainMissing(dir: string): Promise<DecantError> {
  const has = (name: string) => stat(join(dir, name)).then(Boolean, () => false)
  if (await has(JOURNAL))
    return new DecantError(`${dir}: this export has not finished; run the same decant export again to continue it`)
  if (await has(PULL))
    return new DecantError(`${dir}: this pull has not finished; run the same decant pull again to continue it`)
  const place = await stat(dir).catch(() => undefined)
  const found = place?.isDirectory() ? `a folder without ${MANIFEST}` : place ? 'a file' : 'no such folder'
  return new DecantError(`${dir}: expected the folder of a soft-target dataset, found ${found}`)
}

/** A signature is 64 bytes: of a longer file so many that it is seen to be none. */
async function readSignature(path: string): Promise<Uint8Array | undefined> {
  const file = await openInput(path).catch((error) => ignoreOn(error, 'ENOENT', 'ENOTDIR'))
  if (!file) return undefined
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(1024), 0, 1024, 0)
    return buffer.subarray(0, bytesRead)
  } finally {
    await file.close()
  }
}
