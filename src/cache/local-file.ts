import type { FileHandle } from 'node:fs/promises'
import { FormatError } from '../errors.js'
import { openInput } from '../input-file.js'
import type { InputFile } from './dataset-files.js'
import { diskError, MAX_READ, readFully } from './files.js'

/** Arrow puts buffers at multiples of 64 bytes: what lies this close is read in one call, with what is between. */
const GAP_BYTES = 64

interface Wanted {
  into: Uint8Array
  position: number
  done(): void
  fail(error: unknown): void
}

/** A file of the disk. What is asked for in one turn is read in one call where it lies side by side: to wake a thread costs more than a small read. */
export class LocalFile implements InputFile {
  private wanted: Wanted[] = []

  private constructor(
    private readonly handle: FileHandle,
    readonly size: number,
  ) {}

  /** @throws FormatError where it is not there; DecantError where the disk refuses */
  static async open(path: string): Promise<LocalFile> {
    const handle = await openInput(path).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'ENOTDIR')
        throw new FormatError(`${path}: listed in the manifest, but not there`)
      throw diskError(error, path)
    })
    try {
      return new LocalFile(handle, (await handle.stat()).size)
    } catch (error) {
      await handle.close()
      throw error
    }
  }

  read(into: Uint8Array, position: number): Promise<void> {
    if (this.wanted.length === 0) queueMicrotask(() => this.send())
    return new Promise((done, fail) => this.wanted.push({ into, position, done, fail }))
  }

  close(): Promise<void> {
    return this.handle.close()
  }

  private send(): void {
    const wanted = this.wanted.sort((a, b) => a.position - b.position)
    this.wanted = []
    for (let from = 0, to = 0; from < wanted.length; from = to) {
      const { position } = wanted[from]!
      const buffers: Uint8Array[] = []
      for (let end = position; to < wanted.length; to++) {
        const next = wanted[to]!
        const far = next.position < end || next.position > end + GAP_BYTES
        if (to > from && (far || next.position + next.into.length > position + MAX_READ)) break
        buffers.push(new Uint8Array(next.position - end), next.into)
        end = next.position + next.into.length
      }
      const together = wanted.slice(from, to)
      readFully(this.handle, buffers, position).then(
        () => {
          for (const { done } of together) done()
        },
        (error) => {
          for (const { fail } of together) fail(error)
        },
      )
    }
  }
}
