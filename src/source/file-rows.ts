import { readSync } from 'node:fs'
import { FormatError } from '../errors.js'

/** Inputs that lie in a file row after row, just as a model is fed them. Whoever needs them reads them, in whichever thread. */
export interface FileRows {
  /** For errors. */
  path: string
  /** Of the file, which stays open as long as its source. */
  fd: number
  /** Of the first row. */
  position: number
  /** Of a row. */
  bytes: number
}

/** Reads as many bytes as `target` has. @throws FormatError if the file ends before */
export function readFileRows({ path, fd, position }: FileRows, target: Uint8Array): void {
  for (let done = 0; done < target.length; ) {
    const found = readSync(fd, target, done, target.length - done, position + done)
    if (found === 0) throw shortened(path, position + done)
    done += found
  }
}

export const shortened = (path: string, end: number) =>
  new FormatError(`${path}: became shorter while it was in use: it ends at byte ${end}`)
