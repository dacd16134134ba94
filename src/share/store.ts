import { DecantError } from '../errors.js'

/** What a store knows of a file without reading it. */
export interface StoredFile {
  /** '/'-separated, relative to the dataset's folder: `manifest.json`, `data/00000.arrow` */
  name: string
  bytes: number
  /** Changes whenever the content does (RFC 9110, 8.8.3); absent where the store gives none. */
  etag?: string
  /** SHA-256 in lower-case hexadecimal, where the store vouches for it (the hub's LFS, S3's checksums, our own metadata). */
  sha256?: string
}

/** What is to be written: its bytes can be read again, so that a failed transfer is repeated. */
export interface Content {
  bytes: number
  sha256: string
  /** Where it lies on this machine, if it does: whoever reads it there checks the hash himself. */
  path?: string
  /**
   * The bytes [from, to), in pieces.
   * @throws FormatError, before the last piece, where they are not those of the hash: a store need not hash again
   */
  read(from: number, to: number): AsyncIterable<Uint8Array>
}

/** A server's answer that says no, by HTTP's status. */
export class RefusedError extends DecantError {
  override name = 'RefusedError'
  constructor(
    message: string,
    readonly status: number | undefined,
  ) {
    super(message)
  }
}

export interface Transfer {
  signal?: AbortSignal
  /** bytes that have been transferred since the last call; negative where a failed part is repeated */
  onBytes?: (bytes: number) => void
}

export interface ReadOptions extends Transfer {
  /** A piece may be overwritten once the next is asked for. */
  reuse?: boolean
}

/**
 * Where a dataset lies: a folder, an http server, a bucket, a hub. All names are relative to the dataset.
 * Errors are DecantErrors that name the file and say what to do; none holds a credential. Passing failures (connection, 429, 5xx) are
 * repeated inside the store; what is thrown has been given up on.
 */
export interface Store {
  /** As the user gave it, without credentials. */
  readonly uri: string
  /** Where a file lies on this machine, if the store is a folder of it. */
  pathOf?(name: string): string
  /** All files of the dataset. @throws UnavailableError where the store cannot list (plain http) */
  list(signal?: AbortSignal): Promise<StoredFile[]>
  /** undefined where there is no such file */
  head(name: string, signal?: AbortSignal): Promise<StoredFile | undefined>
  /**
   * The bytes [from, to) of a file, in pieces; ends early where the connection breaks (the caller goes on from there).
   * @throws MismatchError where the file is no longer the one with this etag
   */
  read(
    name: string,
    range: { from: number; to: number; etag?: string },
    options?: ReadOptions,
  ): AsyncIterable<Uint8Array>
  /** Writes a whole file; no reader ever sees a part of it under its name. */
  write(name: string, content: Content, transfer?: Transfer): Promise<void>
  delete(name: string, signal?: AbortSignal): Promise<void>
  /** Makes what was written and deleted visible, in that order and in as few steps as can be, where a store works by commits (the hub). Called once, last. */
  flush?(signal?: AbortSignal): Promise<void>
}

/** A name that a store may join to its place: plain words between slashes, so that none leads elsewhere. */
export function checkName(name: string): string {
  if (name.length > 255 || !/^[A-Za-z0-9_-][\w.-]*(\/[A-Za-z0-9_-][\w.-]*)*$/.test(name))
    throw new DecantError(`'${name.slice(0, 255)}': expected a name such as data/00000.arrow`)
  return name
}
